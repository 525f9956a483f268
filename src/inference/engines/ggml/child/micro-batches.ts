/**
 * How many of the requests that decode side by side are computed in one run. All of them at once is the fewest work; but where the
 * shard is one of several of a ring, the members after it have nothing to do meanwhile, and this one has nothing to do while they
 * compute. In several groups, one behind the other, all members compute at the same time (the micro-batches of a
 * pipeline). Each member decides for itself, by what runs of each size took and how long a result is on its way around the others:
 * where requests are back at once, as on a node alone, they stay together. Pure. Called by the scheduler.
 */
import { GRAPHS_KEPT } from '../graph/kept-graphs.js';
import { BATCH_REQUESTS_MAX } from './batch.js';

/** Each group has a graph, which must not be built for every run. */
const GROUPS_MAX = GRAPHS_KEPT;
/** Of the time of a round: what more groups must spare, because predictions are as rough as that. */
const GAIN_MIN = 0.1;
/** A run takes longer as its requests get longer, and as the machine gets other work: what is older says nothing. */
const KEPT_MS = 60_000;
/** The first runs of a size build graphs and fill caches: of so many the shortest counts. */
const RUNS_MIN = 3;
/** Of the time of one request: what each further one costs, as long as runs of one size only are known. It is soon measured. */
const FURTHER_SHARE = 1 / 4;

interface Runs {
  count: number;
  /** The shortest of the first `RUNS_MIN`, from then on smoothed. */
  ms: number;
  atMs: number;
}

type Known = readonly (readonly [number, Runs])[];

/** What the runs of one shard have taken, and what follows of it. */
export class MicroBatches {
  /** By requests in the run. */
  readonly #runs = new Map<number, Runs>();

  /** A run of so many requests, one token of each, has taken `ms`. */
  ran(requests: number, ms: number, nowMs: number): void {
    const known = this.#runs.get(requests);
    if (known === undefined || nowMs - known.atMs >= KEPT_MS) {
      this.#runs.set(requests, { count: 1, ms, atMs: nowMs });
      return;
    }
    known.count += 1;
    known.ms = known.count <= RUNS_MIN ? Math.min(known.ms, ms) : (known.ms + ms) / 2;
    known.atMs = nowMs;
  }

  /**
   * How many requests the next run should have; undefined: all that are there.
   * @param requests that decode here now
   * @param restMs from a result to the next step of the same request: what the rest of the ring takes; undefined: not known
   */
  size(requests: number, restMs: number | undefined, nowMs: number): number | undefined {
    const known = [...this.#runs]
      .filter(([, { count, atMs }]) => count >= RUNS_MIN && nowMs - atMs < KEPT_MS)
      .sort(([a], [b]) => a - b);
    if (known.length === 0 || restMs === undefined) return undefined;
    let best: { readonly size: number | undefined; readonly ms: number } | undefined;
    for (let groups = 1; groups <= Math.min(requests, GROUPS_MAX); groups += 1) {
      const size = Math.min(BATCH_REQUESTS_MAX, Math.ceil(requests / groups));
      const ownMs = runMs(known, size);
      // A group is back here after its round, or when the other groups have been computed.
      const ms = Math.max(roundMs(known, requests, size), ownMs + restMs);
      if (best !== undefined && ms >= best.ms * (1 - GAIN_MIN)) continue;
      best = { size: groups === 1 ? undefined : size, ms };
    }
    return best?.size;
  }
}

/** Of all requests once, in runs of `size`. */
function roundMs(known: Known, requests: number, size: number): number {
  const rest = requests % size;
  return Math.floor(requests / size) * runMs(known, size) + (rest === 0 ? 0 : runMs(known, rest));
}

/** Of a run of so many requests: measured, or on the line through the two sizes next to it. */
function runMs(known: Known, requests: number): number {
  const measured = known.find(([size]) => size === requests);
  if (measured !== undefined) return measured[1].ms;
  const above = known.findIndex(([size]) => size > requests);
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
