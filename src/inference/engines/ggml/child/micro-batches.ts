/**
 * How many of the requests that decode side by side are computed in one run. All of them at once is the fewest work; but where the
 * shard is one of several of a ring, the members after it have nothing to do meanwhile, and this one has nothing to do while they
 * compute. In several groups, one behind the other, all members compute at the same time (the micro-batches of a
 * pipeline). Each member decides for itself, by what runs of each size took and how long a result is on its way around the others:
 * a node alone has its requests back at once, and keeps them together. Pure. Called by the scheduler.
 */
import { BATCH_REQUESTS_MAX } from './batch.js';

/** More groups than members of a usual ring gain nothing, and each is another wait at every member. */
const GROUPS_MAX = 8;
/** Of the time of a round: what more groups must spare, because predictions are as rough as that. */
const GAIN_MIN = 0.1;
/** A run takes longer as its requests get longer, and as the machine gets other work: what is older says nothing. */
const KEPT_MS = 60_000;
/** Of the time of one request: what each further one costs, as long as runs of one size only are known. It is soon measured. */
const FURTHER_SHARE = 1 / 4;

interface Run {
  /** Smoothed. */
  ms: number;
  atMs: number;
}

/** What the runs of one shard have taken, and what follows of it. */
export class MicroBatches {
  /** By requests in the run. */
  readonly #runs = new Map<number, Run>();

  /** A run of so many requests, one token of each, has taken `ms`. */
  ran(requests: number, ms: number, nowMs: number): void {
    const known = this.#runs.get(requests);
    const isKnown = known !== undefined && nowMs - known.atMs < KEPT_MS;
    this.#runs.set(requests, { ms: isKnown ? (known.ms + ms) / 2 : ms, atMs: nowMs });
  }

  /**
   * How many requests the next run may have.
   * @param requests that decode here now
   * @param restMs from a result to the next step of the same request: what the rest of the ring takes; undefined: not known
   */
  size(requests: number, restMs: number | undefined, nowMs: number): number {
    const known = [...this.#runs].filter(([, { atMs }]) => nowMs - atMs < KEPT_MS).sort(([a], [b]) => a - b);
    if (known.length === 0 || restMs === undefined) return BATCH_REQUESTS_MAX;
    let best = { size: BATCH_REQUESTS_MAX, ms: runMs(known, requests) + restMs };
    for (let groups = 2; groups <= Math.min(requests, GROUPS_MAX); groups += 1) {
      const size = Math.ceil(requests / groups);
      const ownMs = runMs(known, size);
      // A group is back here after its round, or when the other groups have been computed.
      const ms = Math.max(Math.ceil(requests / size) * ownMs, ownMs + restMs);
      if (ms < best.ms * (1 - GAIN_MIN)) best = { size, ms };
    }
    return best.size;
  }
}

/** Of a run of so many requests: measured, or on the line through the two sizes next to it. */
function runMs(known: readonly (readonly [number, Run])[], requests: number): number {
  const above = known.findIndex(([size]) => size >= requests);
  const at = above < 0 ? known.length - 1 : Math.max(above, 1);
  const [[fromSize, from], to] = [known[at - 1] ?? known[0]!, known[at]];
  if (to === undefined || fromSize === to[0]) return (from.ms * shareOf(requests)) / shareOf(fromSize);
  // Noise must not make fewer requests dearer than more.
  const slope = Math.max(0, (to[1].ms - from.ms) / (to[0] - fromSize));
  return Math.max(0, from.ms + slope * (requests - fromSize));
}

function shareOf(requests: number): number {
  return 1 + FURTHER_SHARE * (requests - 1);
}
