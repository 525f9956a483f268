/**
 * How long work for one request may go on: until the client leaves, the deadline passes or the server stops.
 * All three abort one signal whose reason is the error to answer with.
 */
import type { ServerResponse } from 'node:http';
import { ExoError } from '../shared/index.js';
import type { ApiContext } from './route.js';

/** The life of one request's work. */
export class WorkScope {
  readonly #controller = new AbortController();
  readonly #release: () => void;

  constructor(api: ApiContext, outgoing: ServerResponse) {
    const { stopping, clock, responseTimeoutMs } = api;
    const onClose = () =>
      this.cancel(new ExoError('request-cancelled', 'the client left before the answer was complete'));
    const onStop = () => this.cancel(stopping.reason);
    const timer = clock.after(responseTimeoutMs, () =>
      this.cancel(
        new ExoError(
          'generation-timeout',
          `Response generation timed out after ${responseTimeoutMs / 1000} s; ask for fewer tokens or raise --chatgpt-api-response-timeout`,
        ),
      ),
    );
    outgoing.once('close', onClose);
    stopping.addEventListener('abort', onStop, { once: true });
    this.#release = () => {
      timer.cancel();
      outgoing.off('close', onClose);
      stopping.removeEventListener('abort', onStop);
    };
    if (stopping.aborted) onStop();
    else if (outgoing.destroyed) onClose();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the work for another reason (the stream's reader left, a stop sequence was found). */
  cancel(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** The work's outcome, or the reason of the abort as soon as there is one: work that ignores its signal holds nobody up. */
  race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#controller;
    work.catch(() => undefined);
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      work
        .then(resolve, (error) => reject(signal.aborted ? signal.reason : error))
        .finally(() => signal.removeEventListener('abort', onAbort));
    });
  }

  /** The work is over; must be called once. */
  end(): void {
    this.#release();
  }
}
