/**
 * Showing something until Ctrl-C: on a terminal one picture that renews itself, elsewhere a line for each thing that is new.
 * What is shown is asked again every second; the history of a tunnel has what happened in between.
 */
import { sleep } from '../../shared/index.js';
import { EXIT } from '../errors.js';
import type { CliHost } from '../host.js';
import { stopSignal } from '../stop-signal.js';

const EVERY_MS = 1_000;
/** Up so many lines, and everything below erased. */
const rewind = (lines: number) => (lines === 0 ? '' : `\u001b[${lines}A\r\u001b[J`);

/** How to show one kind of thing. */
export interface Watched<T> {
  ask(signal: AbortSignal): Promise<T>;
  /** The picture for a terminal. */
  picture(value: T): readonly string[];
  /** What is new since the last one, for a file or a program; `before` is absent at the first. */
  news(value: T, before: T | undefined): readonly string[];
  /** Lines only, also on a terminal (`--json`). */
  readonly linesOnly: boolean;
}

/** Exit code 0 after Ctrl-C; rejects with what the node says when it cannot be asked any more. */
export async function watch<T>(host: CliHost, watched: Watched<T>): Promise<number> {
  const stop = stopSignal(host);
  const redraws = host.stdout.isTTY === true && !watched.linesOnly;
  let before: T | undefined;
  let drawn = 0;
  try {
    for (;;) {
      const value = await watched.ask(stop.signal);
      const { columns, rows } = host.stdout;
      const lines = redraws ? fitting(watched.picture(value), columns, rows) : watched.news(value, before);
      if (redraws) host.stdout.write(rewind(drawn));
      if (lines.length > 0) host.stdout.write(`${lines.join('\n')}\n`);
      drawn = rowsOf(lines, columns);
      before = value;
      await sleep(host.clock, EVERY_MS, stop.signal);
    }
  } catch (error) {
    if (stop.signal.aborted) return EXIT.ok;
    throw error;
  } finally {
    stop.release();
  }
}

/** What lies above the first row of a terminal cannot be drawn again: the end of a picture that is too tall is left out. */
function fitting(
  lines: readonly string[],
  columns: number | undefined,
  rows: number | undefined,
): readonly string[] {
  // The cursor has a row of its own, and what is left out is said in another.
  if (rows === undefined || rows <= 2 || rowsOf(lines, columns) < rows) return lines;
  let shown = lines.length;
  while (shown > 0 && rowsOf(lines.slice(0, shown), columns) > rows - 2) shown -= 1;
  return [...lines.slice(0, shown), `… ${lines.length - shown} more`];
}

/** A line that is wider than the terminal takes several rows of it. Colour codes take none. */
function rowsOf(lines: readonly string[], terminalColumns: number | undefined): number {
  if (terminalColumns === undefined || terminalColumns <= 0) return lines.length;
  let rows = 0;
  for (const line of lines) {
    const width = line.replace(/\u001b\[[\d;]*m/g, '').length;
    rows += Math.max(1, Math.ceil(width / terminalColumns));
  }
  return rows;
}
