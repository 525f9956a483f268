/**
 * Base answers leave in the order in which their requests came, whatever order the handlers finish in: an old
 * client has nothing else to tell them apart by. Sans-I/O.
 */

/** A place in the order. */
export interface AnswerSlot {
  /** Sends the answer; undefined until it is ready. */
  send: (() => void) | undefined;
}

/** First in, first out. */
export class AnswerQueue {
  readonly #slots: AnswerSlot[] = [];

  /** Requests that are not answered yet. */
  get size(): number {
    return this.#slots.length;
  }

  /** Takes the next place. */
  open(): AnswerSlot {
    const slot: AnswerSlot = { send: undefined };
    this.#slots.push(slot);
    return slot;
  }

  /** Fills a place, and sends everything that is now at the front. */
  settle(slot: AnswerSlot, send: () => void): void {
    slot.send = send;
    for (let first = this.#slots[0]; first?.send !== undefined; first = this.#slots[0]) {
      this.#slots.shift();
      first.send();
    }
  }
}
