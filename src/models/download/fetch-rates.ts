/**
 * How fast files of models came lately, from a hub and from other nodes apart: what the planner reckons with for those that are still
 * to come. Not how far a download is (`progress.ts`). Kept by `fetches.ts`, told by `file.ts`.
 */
import type { Clock } from '../../shared/index.js';

/** Where bytes come from. */
export type FetchSource = 'hub' | 'peers';

/** One request for bytes. */
export interface FetchWatch {
  came(bytes: number): void;
  /** Idempotent. */
  end(): void;
}

/** Fewer bytes are all waiting for the first of them. */
const BYTES_MIN = 1024 * 1024;
/** A long download is looked at in parts: its rate may change. */
const PART_MS = 5_000;

/** All requests to one kind of source, as one stream; the time counts while there is one. */
class Stream {
  /** Of the last part that was long enough. */
  bytesPerS: number | null = null;
  #active = 0;
  /** Of the part: until `#sinceMs`. */
  #busyMs = 0;
  #sinceMs = 0;
  #bytes = 0;

  begin(nowMs: number): void {
    this.#passed(nowMs);
    this.#active += 1;
  }

  came(bytes: number, nowMs: number): void {
    this.#passed(nowMs);
    this.#bytes += bytes;
    if (this.#busyMs >= PART_MS) this.#settle();
  }

  end(nowMs: number): void {
    this.#passed(nowMs);
    this.#active -= 1;
    if (this.#active === 0) this.#settle();
  }

  #passed(nowMs: number): void {
    if (this.#active > 0) this.#busyMs += nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
  }

  #settle(): void {
    const isSlow = this.#busyMs >= PART_MS && this.#bytes > 0;
    if ((!isSlow && this.#bytes < BYTES_MIN) || this.#busyMs <= 0) return;
    this.bytesPerS = Math.round((1_000 * this.#bytes) / this.#busyMs);
    this.#busyMs = 0;
    this.#bytes = 0;
  }
}

/** Of one node. */
export class FetchRates {
  readonly #clock: Clock;
  readonly #streams: Readonly<Record<FetchSource, Stream>> = { hub: new Stream(), peers: new Stream() };

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock;
  }

  /** Bytes a second; null before anything of size came from there. */
  of(source: FetchSource): number | null {
    return this.#streams[source].bytesPerS;
  }

  /** Bytes are asked for. */
  begin(source: FetchSource): FetchWatch {
    const stream = this.#streams[source];
    let isOver = false;
    stream.begin(this.#clock.now());
    return {
      came: (bytes) => stream.came(bytes, this.#clock.now()),
      end: () => {
        if (isOver) return;
        isOver = true;
        stream.end(this.#clock.now());
      },
    };
  }
}
