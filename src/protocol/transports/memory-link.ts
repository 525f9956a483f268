/** One direction between two hosts of the in-memory network: when what is sent now arrives, and whether it does. */
import { type Random, randomInt } from '../../shared/index.js';
import { type LinkProfile, windowBytes } from '../link-profile.js';

/** Bytes of a full packet on an ordinary network: what one loss costs. */
const PACKET_BYTES = 1448;
/** TCP sends a lost packet again after about a round trip when more follow; this is the least it takes. */
const RESEND_MS_MIN = 10;
/** Losses in a row that are looked at; more are as good as a cut. */
const LOSSES_MAX = 8;

/** A stream's direction, as the link's owner reaches it (`memory-pipe.ts`). */
export interface LinkUser {
  wake(): void;
  restart(): void;
  settle(): void;
  breakNow(): void;
  lose(): void;
}

/** The state of one direction; shared by its streams. */
export class MemoryLink {
  /** Nothing gets through; what is sent waits. */
  cut = false;
  /** Streams' directions that use this link. */
  readonly pipes = new Set<LinkUser>();
  windowBytes = 0;
  #profile: LinkProfile = {};
  #busyUntilMs = 0;
  readonly #random: Random;

  constructor(profile: LinkProfile, random: Random) {
    this.#random = random;
    this.profile = profile;
  }

  get profile(): LinkProfile {
    return this.#profile;
  }

  set profile(profile: LinkProfile) {
    this.#profile = profile;
    this.windowBytes = windowBytes(profile);
  }

  /** When `bytes` that are sent now arrive. Takes the link's capacity for them. */
  arrivalMs(nowMs: number, bytes: number): number {
    const { latencyMs = 0, jitterMs = 0, bytesPerSecond, lossShare = 0 } = this.#profile;
    let atMs = nowMs;
    if (bytesPerSecond !== undefined) {
      atMs = Math.max(nowMs, this.#busyUntilMs) + (bytes / bytesPerSecond) * 1000;
      this.#busyUntilMs = atMs;
    }
    atMs += latencyMs;
    if (jitterMs > 0) atMs += (this.#random.next() * 2 - 1) * jitterMs;
    if (lossShare > 0) atMs += this.#resendMs(bytes, lossShare, latencyMs);
    return Math.max(nowMs, atMs);
  }

  /** The size of the next piece, at most `bytesMax`. */
  pieceBytes(bytesMax: number): number {
    const { pieceBytesMax } = this.#profile;
    if (pieceBytesMax === undefined) return bytesMax;
    return Math.min(bytesMax, randomInt(this.#random, 1, pieceBytesMax));
  }

  /** How many bytes a new stream may carry before the link breaks it. */
  lifeBytes(): number {
    const { resetAfterBytes, resetAfterBytesMean } = this.#profile;
    const drawn =
      resetAfterBytesMean === undefined
        ? Number.POSITIVE_INFINITY
        : Math.ceil(-Math.log(1 - this.#random.next()) * resetAfterBytesMean);
    return Math.min(resetAfterBytes ?? Number.POSITIVE_INFINITY, drawn);
  }

  #resendMs(bytes: number, lossShare: number, latencyMs: number): number {
    const resendMs = Math.max(RESEND_MS_MIN, 2 * latencyMs);
    const packets = Math.max(1, Math.ceil(bytes / PACKET_BYTES));
    let share = 1 - (1 - lossShare) ** packets;
    let delayMs = 0;
    for (let losses = 0; losses < LOSSES_MAX && this.#random.next() < share; losses += 1) {
      delayMs += resendMs;
      share = lossShare;
    }
    return delayMs;
  }
}
