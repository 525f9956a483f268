/**
 * Keeps a flood of made-up announcements from burying a real one. While newcomers are few, each is let in at
 * first hearing. Beyond that rate only those heard a second time are: a real node repeats itself every 2.5 s,
 * a spoofer that makes up a new source each time does not. Pure, of fixed size. The pool asks it.
 */
import { LIMITS, type Random, TokenBucket } from '../shared/index.js';

/** The original sends twice in one round (subnet, then everywhere): that is one hearing. */
const HEARD_AGAIN_MS_MIN = 1_000;
/** Four rounds of an announcer whose datagrams are being lost. */
const HEARD_AGAIN_MS_MAX = 12_000;
/** The gate stays closed this long after the rate was last too high. */
const CALM_MS = 10_000;

/** One per pool. */
export class FloodGate {
  readonly #bucket: TokenBucket;
  readonly #seed: number;
  readonly #tags = new Uint32Array(LIMITS.announcementsRemembered);
  readonly #heardAtMs = new Uint32Array(LIMITS.announcementsRemembered);
  #closedUntilMs = 0;

  constructor(random: Random, nowMs: number) {
    this.#bucket = new TokenBucket(LIMITS.newcomersPerSecond, LIMITS.newcomersBurst, nowMs);
    this.#seed = random.bytes(4).readUInt32LE(0);
  }

  /** Whether an announcement that is not known yet may come in now. `identity`: what stays the same when it is repeated. */
  admit(identity: string, nowMs: number): boolean {
    const repeated = this.#remember(identity, nowMs);
    const withinRate = this.#bucket.take(nowMs);
    if (repeated) return true;
    if (!withinRate) this.#closedUntilMs = nowMs + CALM_MS;
    return !this.isClosed(nowMs);
  }

  /** Whether a flood goes on. */
  isClosed(nowMs: number): boolean {
    return nowMs < this.#closedUntilMs;
  }

  /** Notes a hearing; true when it is a repetition. A slot that another announcement took counts as never heard. */
  #remember(identity: string, nowMs: number): boolean {
    const tag = fnv1a(identity, this.#seed);
    const slot = Math.imul(tag, 0x9e3779b1) >>> (32 - Math.log2(LIMITS.announcementsRemembered));
    const sinceMs = (nowMs - this.#heardAtMs[slot]!) >>> 0;
    const same = this.#tags[slot] === tag && sinceMs <= HEARD_AGAIN_MS_MAX;
    if (same && sinceMs < HEARD_AGAIN_MS_MIN) return false;
    this.#tags[slot] = tag;
    this.#heardAtMs[slot] = nowMs >>> 0;
    return same;
  }
}

/** FNV-1a, 32 bits; the seed keeps an outsider from choosing what collides. */
function fnv1a(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash;
}
