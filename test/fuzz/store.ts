/**
 * Inputs on disk: corpus/<target>/ is where mutation begins, found/<target>/ holds what was a bug once and is run by every
 * `npm test`. One file an input, named by its digest.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));
/** The corpora of all targets together stay under 200 KiB: they are part of every clone. */
const CORPUS_BYTES_MAX = 7 * 1024;
const CORPUS_INPUT_BYTES_MAX = 1_024;
const CORPUS_INPUTS_MAX = 24;

/** Which of the two. */
export type Shelf = 'corpus' | 'found';

/** All inputs of a target, in the order of their names. */
export function load(
  shelf: Shelf,
  target: string,
): ReadonlyArray<{ readonly name: string; readonly input: Buffer }> {
  const folder = path.join(HERE, shelf, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, input: readFileSync(path.join(folder, name)) }));
}

/** Keeps an input that was a bug. Returns where. */
export function saveFound(target: string, input: Buffer): string {
  return save(path.join(HERE, 'found', target), input);
}

/** Its inputs are private keys, if only of this test: nothing that looks like one is committed. */
const NOT_KEPT: ReadonlySet<string> = new Set(['ssh-key']);

/** Replaces the corpus of a target; what does not fit is left out. Returns how many are kept. */
export function replaceCorpus(target: string, inputs: readonly Buffer[]): number {
  const folder = path.join(HERE, 'corpus', target);
  rmSync(folder, { recursive: true, force: true });
  if (NOT_KEPT.has(target)) return 0;
  let bytes = 0;
  let count = 0;
  for (const input of inputs) {
    if (count === CORPUS_INPUTS_MAX) break;
    if (input.length > CORPUS_INPUT_BYTES_MAX || bytes + input.length > CORPUS_BYTES_MAX) continue;
    save(folder, input);
    bytes += input.length;
    count += 1;
  }
  return count;
}

function save(folder: string, input: Buffer): string {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, createHash('sha256').update(input).digest('hex').slice(0, 12));
  writeFileSync(file, input);
  return file;
}
