/**
 * Which shards the engine's process does not survive: files that native code fails on, or a machine that ends whatever needs so
 * much memory. Each try costs the other requests a restart, so after a few of them in a row there is a rest. Called by
 * `../ggml-engine.ts`.
 */
import { BoundedMap, type Clock, ExoError, LIMITS, printable } from '../../../../shared/index.js';

/** One death may have had another reason; three in a row, with nothing loaded between them, have not. */
const DEATHS_MAX = 3;
/** Then the shard is left alone for so long. */
const REST_MS = 60_000;

interface Deaths {
  count: number;
  lastAtMs: number;
  why: string;
}

/** Loads in which the process died. */
export class FatalLoads {
  readonly #clock: Clock;
  readonly #shards = new BoundedMap<string, Deaths>(LIMITS.fatalShardsKept);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws `engine-failed`, not retryable, for a shard that has a rest. */
  check(shardKey: string): void {
    const deaths = this.#shards.get(shardKey);
    if (deaths === undefined || deaths.count < DEATHS_MAX) return;
    const restMs = deaths.lastAtMs + REST_MS - this.#clock.now();
    if (restMs <= 0) {
      // One more try, not three.
      deaths.count = DEATHS_MAX - 1;
      return;
    }
    throw new ExoError(
      'engine-failed',
      `the engine’s process ended ${deaths.count} times in a row while it loaded ${printable(shardKey, 120)}, which is not tried again for ${Math.ceil(restMs / 1000)} s; check its files (exo model verify) and the memory of the machine. The last time: ${deaths.why}`,
    );
  }

  /** The process has ended while it loaded the shard. */
  note(shardKey: string, { message }: ExoError): void {
    const count = (this.#shards.get(shardKey)?.count ?? 0) + 1;
    this.#shards.set(shardKey, { count, lastAtMs: this.#clock.now(), why: printable(message, 300) });
  }

  /** It was loaded. */
  forget(shardKey: string): void {
    this.#shards.delete(shardKey);
  }
}
