/**
 * Where bodies live between their first byte and the end of their handler: small ones in a slab, large ones in the pool
 * and under the memory budget. One per connection; used by the assembler. The memory itself is the node's.
 */
import { LIMITS } from '../shared/index.js';
import type { BudgetClass, MemoryBudget } from './memory-budget.js';
import type { PayloadPool } from './payload-pool.js';
import type { SlabAllocator } from './slab.js';

/** What a large body holds until it is given back. */
export interface Held {
  readonly buffer: Buffer;
  readonly budgetClass: BudgetClass;
}

/** Takes and gives back the memory of bodies. */
export class BodyStore {
  readonly #slabs: SlabAllocator;
  readonly #budget: MemoryBudget;
  readonly #pool: PayloadPool;

  constructor(budget: MemoryBudget, pool: PayloadPool, slabs: SlabAllocator) {
    this.#slabs = slabs;
    this.#budget = budget;
    this.#pool = pool;
  }

  /** Whether a body of this length is under the budget. */
  isLarge(length: number): boolean {
    return length > LIMITS.smallBodyBytesMax;
  }

  /** Memory for a small body; nothing to give back. */
  takeSmall(length: number): Buffer {
    return this.#slabs.take(length);
  }

  /** Memory for a large body, or undefined when the budget is used up. */
  takeLarge(length: number, budgetClass: BudgetClass): Held | undefined {
    if (!this.#budget.reserve(length, budgetClass)) return undefined;
    return { buffer: this.#pool.take(length), budgetClass };
  }

  /**
   * The body is no longer needed. With `reuse` its memory goes back to the pool; without, somebody may still look
   * at it, and it is left to the garbage collector.
   */
  giveBack(held: Held, reuse: boolean): void {
    this.#budget.release(held.buffer.length, held.budgetClass);
    if (reuse) this.reuse(held.buffer);
  }

  /** Nobody looks at this memory any more. */
  reuse(buffer: Buffer): void {
    this.#pool.release(buffer);
  }
}
