/**
 * When a failed request to a hub is sent again: after what the hub asks for, else full jitter below a ceiling that doubles; never
 * more often than `hubFailuresMax` in a row without a byte that came, and where there is no way to the hub and there never was
 * one, once. All requests to one hub share one `Retries`: when it asks for fewer, all of them wait.
 */
import { type Clock, ExoError, LIMITS, printable, type Random, sleep } from '../../shared/index.js';
import { HubError } from '../hub/failure.js';

/** A name that is looked up in vain may take many seconds. */
const SOON_MS = 2_000;

/** What waits and when, over all requests to a hub. */
export class Retries {
  readonly #clock: Clock;
  readonly #random: Random;
  #pausedUntilMs = 0;
  /** The hub has answered: it is there, and a way to it that is gone may come back. */
  #hasAnswered = false;

  constructor(components: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = components.clock;
    this.#random = components.random;
  }

  /**
   * Does `work` until it succeeds, or fails for a reason that stays, or too often. `work` calls `progressed` when something came:
   * then earlier failures are forgotten.
   */
  async run<T>(signal: AbortSignal, work: (progressed: () => void) => Promise<T>): Promise<T> {
    let failures = 0;
    for (;;) {
      await this.#pause(signal);
      const startedMs = this.#clock.now();
      try {
        const result = await work(() => {
          failures = 0;
          this.#hasAnswered = true;
        });
        this.#hasAnswered = true;
        return result;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ExoError) || !error.retryable) throw error;
        failures += 1;
        const tookMs = this.#clock.now() - startedMs;
        if (failures >= this.#failuresMax(error, tookMs)) throw gaveUp(error, failures);
        await this.#wait(error, failures, signal);
      }
    }
  }

  /** Without a network nobody should wait for half a minute: a second try, and that only where the first one failed soon. */
  #failuresMax(error: ExoError, tookMs: number): number {
    const isCutOff = error instanceof HubError && error.isCutOff;
    if (isCutOff && !this.#hasAnswered) return tookMs < SOON_MS ? 2 : 1;
    if (!isCutOff) this.#hasAnswered = true;
    return LIMITS.hubFailuresMax;
  }

  async #wait(error: ExoError, failures: number, signal: AbortSignal): Promise<void> {
    const asked = error instanceof HubError ? error.retryAfterMs : undefined;
    if (asked !== undefined) {
      if (asked > LIMITS.hubRetryAfterMsMax) {
        throw new ExoError(
          error.code,
          `${error.message} (it asks to wait ${Math.ceil(asked / 60_000)} min); what was fetched is kept`,
          { retryable: true, cause: error },
        );
      }
      this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#clock.now() + asked);
      return;
    }
    const ceilingMs = Math.min(
      LIMITS.hubRetryCeilingMsMax,
      LIMITS.hubRetryCeilingMsMin * 2 ** Math.min(failures - 1, 16),
    );
    await sleep(this.#clock, this.#random.next() * ceilingMs, signal);
  }

  /** Until the hub may be asked again; with some jitter, so that not all come back at once. */
  async #pause(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const leftMs = this.#pausedUntilMs - this.#clock.now();
      if (leftMs <= 0) return;
      await sleep(this.#clock, leftMs + this.#random.next() * LIMITS.hubRetryCeilingMsMin, signal);
    }
  }
}

function gaveUp(error: ExoError, failures: number): ExoError {
  return new ExoError(
    error.code,
    `${printable(error.message, 400)} (given up after ${failures === 1 ? 'one try' : `${failures} tries`}; what was fetched is kept, ask again to go on)`,
    { retryable: true, cause: error },
  );
}
