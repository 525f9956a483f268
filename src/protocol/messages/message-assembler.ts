/**
 * Puts the fragments of correlated messages together: each fragment is received straight into its message's memory.
 * Knows nothing of what messages mean; the session decides which are kept. Sans-I/O.
 */
import { ExoError, LIMITS } from '../../shared/index.js';
import type { BodyStore, Held } from '../body-store.js';
import { FLAG_ABANDON, FLAG_MORE, FLAG_TOTAL, isAnswerType } from '../frame.js';
import type { FrameHead } from '../frame-decoder.js';
import type { BudgetClass } from '../memory-budget.js';

/** Why a body is received and thrown away; `silent`: nobody waits for it. */
export type SkipReason = 'request-unsupported' | 'auth-required' | 'overloaded' | 'silent';

/** A message of which not everything is here. */
export interface Assembly {
  readonly type: number;
  readonly total: number;
  /** Undefined for small and for skipped ones. */
  readonly held: Held | undefined;
  readonly buffer: Buffer | undefined;
  readonly skip: SkipReason | undefined;
  filled: number;
  /** When it began, and how many bytes the connection had received then. */
  readonly sinceMs: number;
  readonly bytesThen: number;
}

/** Everything being assembled on one connection. */
export class MessageAssembler {
  readonly #open = new Map<number, Assembly>();
  readonly #store: BodyStore;

  constructor(store: BodyStore) {
    this.#store = store;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The message that a continuation belongs to, or undefined for a first fragment. Throws `frame-malformed`. */
  find(head: FrameHead, type: number): Assembly | undefined {
    const assembly = this.#open.get(keyOf(head, type));
    if ((head.flags & FLAG_ABANDON) !== 0) {
      if (head.bodyLength !== 0) throw malformed('an ABANDON frame with a body');
      return assembly;
    }
    const first = (head.flags & FLAG_TOTAL) !== 0;
    if (assembly === undefined) {
      if (!first && (head.flags & FLAG_MORE) !== 0)
        throw malformed('a fragment of a message that never began');
      return undefined;
    }
    if (first) throw malformed('a second beginning of one message');
    if (assembly.type !== type) throw malformed('a fragment of another type than its message');
    this.#checkSum(head, assembly.filled, assembly.total);
    return assembly;
  }

  /**
   * Begins a message of `head.total` bytes. `skip` undefined: keep it, unless the budget is used up, which makes it skipped
   * as `overloaded`.
   */
  begin(
    head: FrameHead,
    type: number,
    skip: SkipReason | undefined,
    budgetClass: BudgetClass,
    nowMs: number,
    bytesThen: number,
  ): Assembly {
    this.#checkSum(head, 0, head.total);
    let held: Held | undefined;
    let buffer: Buffer | undefined;
    let reason = skip;
    if (reason === undefined) {
      if (!this.#store.isLarge(head.total)) buffer = this.#store.takeSmall(head.total);
      else {
        held = this.#store.takeLarge(head.total, budgetClass);
        buffer = held?.buffer;
        if (held === undefined) reason = 'overloaded';
      }
    }
    const assembly = {
      type,
      total: head.total,
      held,
      buffer,
      skip: reason,
      filled: 0,
      sinceMs: nowMs,
      bytesThen,
    };
    if ((head.flags & FLAG_MORE) !== 0) {
      if (this.#open.size >= LIMITS.assembliesPerConnection) {
        if (held !== undefined) this.#store.giveBack(held, true);
        throw new ExoError(
          'protocol-violation',
          `more than ${this.#open.size} messages in fragments at once`,
        );
      }
      this.#open.set(keyOf(head, type), assembly);
    }
    return assembly;
  }

  /** The fragment in `head` is here. True when the message is complete (and forgotten here). */
  advance(assembly: Assembly, head: FrameHead, type: number): boolean {
    assembly.filled += head.bodyLength;
    if ((head.flags & FLAG_MORE) !== 0) return false;
    if ((head.flags & FLAG_TOTAL) === 0) this.#open.delete(keyOf(head, type));
    return true;
  }

  /** The sender gave the message up. */
  abandon(head: FrameHead, type: number): void {
    const key = keyOf(head, type);
    const assembly = this.#open.get(key);
    this.#open.delete(key);
    if (assembly?.held !== undefined) this.#store.giveBack(assembly.held, true);
  }

  /** The message that has waited longest. */
  oldest(): Assembly | undefined {
    // a Map keeps the order of insertion
    const first = this.#open.values().next();
    return first.done === true ? undefined : first.value;
  }

  /** Gives everything back; `current` is the message whose frame is being received, if any. */
  clear(current: Assembly | undefined): void {
    const all = new Set(this.#open.values());
    if (current !== undefined) all.add(current);
    for (const { held } of all) if (held !== undefined) this.#store.giveBack(held, true);
    this.#open.clear();
  }

  #checkSum(head: FrameHead, filled: number, total: number): void {
    const sum = filled + head.bodyLength;
    const more = (head.flags & FLAG_MORE) !== 0;
    if (more ? sum >= total : sum !== total) throw malformed('fragments that do not add up to their total');
    if (more && head.bodyLength === 0) throw malformed('an empty fragment');
  }
}

/** Requests carry the sender's ids and answers the receiver's: two spaces. */
function keyOf(head: FrameHead, type: number): number {
  return isAnswerType(type) ? head.id + 0x1_0000_0000 : head.id;
}

function malformed(what: string): ExoError {
  return new ExoError('frame-malformed', `${what}; the sender does not follow docs/PROTOCOL.md`);
}
