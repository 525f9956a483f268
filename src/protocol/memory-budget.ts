/**
 * Bytes that may be held at once for bodies being received and not yet handled, over all connections of a node.
 * Only bookkeeping; `session.ts` reserves before it takes a buffer and releases when the handler is done.
 */
import { LIMITS } from '../shared/index.js';

/** Which part of the budget a connection draws from: peers without a hello share a smaller one. */
export type BudgetClass = 'established' | 'legacy';

/** How large the budget is. */
export interface MemoryBudgetOptions {
  /** @default LIMITS.memoryBudgetBytes */
  readonly totalBytes?: number;
  /** Part of it for peers without a hello. @default LIMITS.legacyBudgetBytes */
  readonly legacyBytes?: number;
  /** Something did not fit. */
  readonly onRefused?: () => void;
}

/** A shared counter with a ceiling. */
export class MemoryBudget {
  readonly #totalBytes: number;
  readonly #legacyBytes: number;
  readonly #onRefused: () => void;
  #used = 0;
  #usedByLegacy = 0;

  constructor(options: MemoryBudgetOptions = {}) {
    this.#totalBytes = options.totalBytes ?? LIMITS.memoryBudgetBytes;
    this.#legacyBytes = options.legacyBytes ?? LIMITS.legacyBudgetBytes;
    this.#onRefused = options.onRefused ?? (() => undefined);
  }

  /** Bytes reserved now. */
  get usedBytes(): number {
    return this.#used;
  }

  /** Takes `bytes`, or takes nothing and returns false when they do not fit. */
  reserve(bytes: number, from: BudgetClass): boolean {
    const isLegacy = from === 'legacy';
    if (
      this.#used + bytes > this.#totalBytes ||
      (isLegacy && this.#usedByLegacy + bytes > this.#legacyBytes)
    ) {
      this.#onRefused();
      return false;
    }
    if (isLegacy) this.#usedByLegacy += bytes;
    this.#used += bytes;
    return true;
  }

  /** Gives back what `reserve` took. */
  release(bytes: number, from: BudgetClass): void {
    this.#used -= bytes;
    if (from === 'legacy') this.#usedByLegacy -= bytes;
  }
}
