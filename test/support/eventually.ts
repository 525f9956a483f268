/**
 * Waiting for something that another process does: the condition is asked again until it holds or the deadline
 * has passed. For what happens inside this process use its event.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { repeats } from './repeats.js';

/**
 * How many times as long as promised everything may take. A campaign holds the product to its promises and publishes the figures;
 * `npm test` runs on any machine, beside other tests, and finds what hangs or fails. EXO_TEST_PATIENCE says otherwise.
 */
export const PATIENCE = Math.max(1, Number(process.env['EXO_TEST_PATIENCE'] ?? repeats(3, 1)));

/** `ms` of real time, as a test allows them. */
export const inTime = (ms: number): number => ms * PATIENCE;

/** How to wait. */
export interface EventuallyOptions {
  readonly timeoutMs: number;
  /** What is waited for, for the error message. */
  readonly what: string;
  /** @default 50 */
  readonly everyMs?: number;
  /** More to say when it did not happen (a log, a last state). */
  readonly onLate?: () => string;
}

/** Thrown by a probe: it can never hold any more, waiting longer is of no use. */
export class Hopeless extends Error {}

/**
 * Resolves with the first value of `probe` that is not undefined, null or false, and the milliseconds it took.
 * A probe that throws counts as "not yet"; its last error is in the message.
 */
export async function eventually<T>(
  options: EventuallyOptions,
  probe: () => Promise<T | undefined | null | false> | T | undefined | null | false,
): Promise<{ value: T; tookMs: number }> {
  const started = performance.now();
  const timeoutMs = inTime(options.timeoutMs);
  let last = '';
  let hopeless = false;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== null && value !== false) {
        return { value, tookMs: performance.now() - started };
      }
      last = '';
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
      hopeless = error instanceof Hopeless;
    }
    if (hopeless || performance.now() - started > timeoutMs) {
      const more = options.onLate?.() ?? '';
      throw new Error(
        `not within ${Math.round(hopeless ? performance.now() - started : timeoutMs)} ms: ${options.what}${last === '' ? '' : ` (last: ${last})`}${more === '' ? '' : `\n${more}`}`,
      );
    }
    await delay(options.everyMs ?? 50);
  }
}
