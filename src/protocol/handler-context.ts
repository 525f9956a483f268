/**
 * The signal that handlers of a connection get, made when the first of them looks at it: an idle connection, and one whose
 * handlers are quick, has none. Only `connection.ts` uses it.
 */

/** Aborted when the connection closes. */
export class LazySignal {
  #controller: AbortController | undefined;
  #ended = false;
  #reason: unknown;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** The first call counts. */
  abort(reason: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/** What a handler is told besides the message. */
export class HandlerContext {
  readonly answerWanted: boolean;
  readonly #lazy: LazySignal;

  constructor(lazy: LazySignal, answerWanted: boolean) {
    this.#lazy = lazy;
    this.answerWanted = answerWanted;
  }

  get signal(): AbortSignal {
    return this.#lazy.signal;
  }
}
