/**
 * Memory in pages of 2 MB, where the system gives them to those who ask: weights are read from end to end for every token, and the
 * processor knows the places of few small pages at once. Linux only; elsewhere, and where it is refused, nothing is lost but
 * that. Called by whoever has memory for weights.
 */
import koffi from 'koffi';
import type { Pointer } from './functions.js';

/** What the call wants its start to be a multiple of, on every machine. */
const PAGE_BYTES = 64n * 1024n;
const MADV_HUGEPAGE = 14;

/** Asks for it, for memory that nothing has been written to yet. */
export function askForHugePages(address: Pointer, bytes: number): void {
  if (process.platform !== 'linux') return;
  const from = ((address + PAGE_BYTES - 1n) / PAGE_BYTES) * PAGE_BYTES;
  const length = Number(address + BigInt(bytes) - from);
  if (length <= 0) return;
  const madvise = koffi.load(null).func('madvise', 'int', ['void *', 'size_t', 'int']);
  madvise(from, length, MADV_HUGEPAGE);
}
