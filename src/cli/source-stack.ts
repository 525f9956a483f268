/**
 * A stack trace as the sources have it. The program that runs is put together from many files (tools/bundle.mjs): without this, a fault
 * would stand in `chunk-UGGCW5AZ.js:11012`. The maps are read when a fault is told and never before: with Node's
 * `--enable-source-maps` every start would pay for them.
 */
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** As far from the sources as from the built program. */
const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A place in a stack: `file:///…/dist/program/chunk-UGGCW5AZ.js:11012:7`. */
const PLACE = /(file:\/\/[^\s()]+\.js):(\d+):(\d+)/g;

/** The stack of an error; a place without a map stays as it is. Undefined where there is no stack. */
export function sourceStack(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const maps = new Map<string, SourceMap | undefined>();
  return error.stack?.replace(PLACE, (place: string, file: string, line: string, column: string) => {
    if (!maps.has(file)) maps.set(file, readMap(file));
    const entry = maps.get(file)?.findEntry(Number(line) - 1, Number(column) - 1);
    if (entry === undefined || !('originalSource' in entry)) return place;
    const source = fileURLToPath(new URL(entry.originalSource, file));
    // The log has room for a few hundred characters, and whoever reads it for the place in the repository.
    return `${path.relative(PACKAGE_ROOT, source)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
}

/** An installation may have come without maps, and a broken one is no second fault. */
function readMap(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(fileURLToPath(`${file}.map`), 'utf8')));
  } catch {
    return undefined;
  }
}
