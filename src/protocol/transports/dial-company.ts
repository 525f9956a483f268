/**
 * One dial as several attempts. Linux before 6.5 sends a first packet that was lost again only after 1, 3 and 7 s, so a path that
 * comes back in between would be used seconds late. An attempt that has no answer yet gets a fresh one for company; whichever connects
 * first is taken and the others are given up, as RFC 8305 does between addresses. Knows no sockets; `tcp-dial.ts` makes the
 * attempts.
 */
import { type Clock, LIMITS } from '../../shared/index.js';
import type { ByteStream } from './transport.js';

/** How one attempt is made. */
export interface AttemptOptions {
  /** From 1. */
  readonly number: number;
  readonly timeoutMs: number;
  /** Aborted when another attempt has connected, or the whole dial is given up. */
  readonly signal: AbortSignal;
  /** To be called when the first packet has left. Before that (the name is still looked up) company is of no use. */
  onSent(): void;
}

/** Ends as the first attempt that ends. What connects after that is dropped. */
export function dialInCompany(
  clock: Clock,
  how: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  attempt: (how: AttemptOptions) => Promise<ByteStream>,
): Promise<ByteStream> {
  const { timeoutMs, signal } = how;
  return new Promise((resolve, reject) => {
    const abort = new AbortController();
    const onAbort = () => abort.abort(signal?.reason);
    let attempts = 0;
    let next: { cancel(): void } | undefined;
    let isOver = false;
    const finish = () => {
      isOver = true;
      next?.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    const begin = () => {
      attempts += 1;
      next = undefined;
      const onSent = () => {
        if (!isOver && attempts < LIMITS.dialAttemptsMax) next ??= clock.after(LIMITS.dialAttemptMs, begin);
      };
      attempt({ number: attempts, timeoutMs, signal: abort.signal, onSent }).then(
        (stream) => {
          if (isOver) {
            stream.destroy();
            return;
          }
          finish();
          resolve(stream);
          abort.abort();
        },
        (error: unknown) => {
          if (isOver) return;
          finish();
          reject(error);
          abort.abort();
        },
      );
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    begin();
  });
}
