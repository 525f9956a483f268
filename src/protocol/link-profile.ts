/**
 * What a network path is like, in one direction, and the ladder of named ones that tests climb. Plain data: the
 * in-memory network and namespace labs (tbf, netem) are set up from the same description.
 */

/** One direction of a path. Absent values mean "perfect". */
export interface LinkProfile {
  /** Time of flight of one direction. @default 0 */
  readonly latencyMs?: number;
  /** Uniform deviation to both sides of the latency; order is kept. @default 0 */
  readonly jitterMs?: number;
  /** Shared by all streams of the direction. @default unlimited */
  readonly bytesPerSecond?: number;
  /** Share of packets lost. A stream sees a lost packet as a delay: the time until it is sent again. @default 0 */
  readonly lossShare?: number;
  /** Bytes arrive in pieces of random size from 1 to this. @default pieces as the sender and the buffers make them */
  readonly pieceBytesMax?: number;
  /** Streams break (reset at both ends) after a random number of bytes with this mean. @default never */
  readonly resetAfterBytesMean?: number;
  /** Streams break after exactly this many bytes. @default never */
  readonly resetAfterBytes?: number;
  /** FIN arrives this much later than the bytes before it. @default 0 */
  readonly closeDelayMs?: number;
  /** Connections are refused, as by a firewall that answers. @default false */
  readonly refuse?: boolean;
  /** Bytes on their way and not yet read by the other side. @default two round trips' worth, 256 KiB to 4 MiB */
  readonly windowBytes?: number;
}

const mbit = (megabitsPerSecond: number): number => (megabitsPerSecond * 1_000_000) / 8;

/** From a cable to a satellite. Latency is half of the round trip that is usual there. */
export const LINK_PROFILES = {
  perfect: {},
  lan: { latencyMs: 0.1, jitterMs: 0.05, bytesPerSecond: mbit(1_000) },
  'good-wifi': { latencyMs: 8, jitterMs: 1, bytesPerSecond: mbit(100), lossShare: 0.001 },
  'congested-wifi': { latencyMs: 20, jitterMs: 6, bytesPerSecond: mbit(25), lossShare: 0.01 },
  'weak-4g': { latencyMs: 45, jitterMs: 7.5, bytesPerSecond: mbit(8), lossShare: 0.02 },
  'slow-3g': { latencyMs: 100, jitterMs: 15, bytesPerSecond: mbit(3), lossShare: 0.03 },
  'congested-cellular': { latencyMs: 150, jitterMs: 20, bytesPerSecond: mbit(1.5), lossShare: 0.05 },
  'very-bad': { latencyMs: 225, jitterMs: 30, bytesPerSecond: mbit(0.8), lossShare: 0.08 },
  satellite: { latencyMs: 300, jitterMs: 20, bytesPerSecond: mbit(25), lossShare: 0.015 },
} as const satisfies Record<string, LinkProfile>;

/** A name of the ladder. */
export type LinkName = keyof typeof LINK_PROFILES;

/** A profile given by name or as it is. */
export function linkProfile(link: LinkName | LinkProfile): LinkProfile {
  return typeof link === 'string' ? LINK_PROFILES[link] : link;
}

const KIB = 1024;
/** What Linux gives a connection at first, and at most (`tcp_rmem`), about. */
const WINDOW_BYTES_MIN = 256 * KIB;
const WINDOW_BYTES_MAX = 4096 * KIB;

/** The window of a stream over this link: what fills the path twice, as TCP's autotuning does. */
export function windowBytes(profile: LinkProfile): number {
  if (profile.windowBytes !== undefined) return profile.windowBytes;
  const roundTripBytes = ((profile.latencyMs ?? 0) * 2 * (profile.bytesPerSecond ?? 0)) / 1000;
  return Math.min(WINDOW_BYTES_MAX, Math.max(WINDOW_BYTES_MIN, Math.ceil(2 * roundTripBytes)));
}
