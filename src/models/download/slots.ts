/** How many requests of a download are under way at once; the others wait in the order in which they came. */

import { setMaxListeners } from 'node:events';

/** A number of places. */
export class Slots {
  #free: number;
  readonly #waiting: Array<() => void> = [];

  constructor(places: number) {
    this.#free = places;
  }

  /** Does `work` once there is a place. Rejects with the signal's reason while it waits. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#take(signal);
    try {
      return await work();
    } finally {
      this.#give();
    }
  }

  #take(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal.reason);
      };
      const enter = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      this.#waiting.push(enter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

/**
 * Does all of it side by side; at the first failure the signal that the others have is aborted. Resolves or rejects (with that
 * failure) when all have ended.
 */
export async function allOrNone(
  signal: AbortSignal,
  works: ReadonlyArray<(signal: AbortSignal) => Promise<void>>,
): Promise<void> {
  const controller = new AbortController();
  // Each part of a file waits on it: Node would take eleven for a leak.
  setMaxListeners(0, controller.signal);
  const onAbort = () => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  let failure: { readonly error: unknown } | undefined;
  try {
    await Promise.all(
      works.map(async (work) => {
        try {
          await work(controller.signal);
        } catch (error) {
          failure ??= { error };
          controller.abort(error);
        }
      }),
    );
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  if (failure !== undefined) throw failure.error;
}
