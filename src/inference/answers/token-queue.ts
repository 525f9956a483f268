/** Tokens between the ring and one reader: bounded, in order, ended once, read once. */
import { ExoError } from '../../shared/index.js';

/** Items of one producer for one consumer. */
export class TokenQueue<T> implements AsyncIterable<T> {
  readonly #itemsMax: number;
  readonly #onAbandoned: () => void;
  readonly #items: T[] = [];
  #end: { readonly error?: ExoError } | undefined;
  #wake: (() => void) | undefined;
  #isRead = false;

  /** `onAbandoned`: the reader stopped before the end. */
  constructor(itemsMax: number, onAbandoned: () => void) {
    this.#itemsMax = itemsMax;
    this.#onAbandoned = onAbandoned;
  }

  /** False when the reader is too slow: the item was not taken. After the end nothing is taken. */
  push(item: T): boolean {
    if (this.#end !== undefined) return true;
    if (this.#items.length >= this.#itemsMax) return false;
    this.#items.push(item);
    this.#wake?.();
    return true;
  }

  /** After what is queued the reader's loop ends, or throws `error`. The first call counts. */
  close(error?: ExoError): void {
    this.#end ??= error === undefined ? {} : { error };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    if (this.#isRead) throw new ExoError('internal', 'the tokens of a generation can be read only once');
    this.#isRead = true;
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) yield item;
        else if (this.#end === undefined) await this.#more();
        else if (this.#end.error !== undefined) throw this.#end.error;
        else return;
      }
    } finally {
      if (this.#end === undefined) this.#onAbandoned();
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
