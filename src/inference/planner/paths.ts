/**
 * What is known of the paths between nodes, by who measured them; what nobody measured is taken for slow, and said to be an
 * assumption. Pure. Made anew for each plan.
 */
import type { OfferResponse } from '../../protocol/index.js';

/** A path between two nodes. */
export interface PathFigures {
  readonly rttMs: number;
  readonly bytesPerS: number;
  /** Something of it was not measured. */
  readonly isAssumed: boolean;
}

/** Between two nodes of which nothing is known but that they are connected: another continent. */
const UNKNOWN_RTT_MS = 100;
/** A path that nobody filled yet: Gigabit Ethernet within a room, a slow one within a city, a home's uplink beyond. */
const RATES: ReadonlyArray<readonly [belowMs: number, bytesPerS: number]> = [
  [1, 100e6],
  [10, 10e6],
  [Number.POSITIVE_INFINITY, 2e6],
];
/** Within one node. */
const NONE: PathFigures = { rttMs: 0, bytesPerS: Number.POSITIVE_INFINITY, isAssumed: false };

/** The paths of one moment. */
export class Paths {
  readonly #entryId: string;
  readonly #told = new Map<string, { readonly rttMs: number; readonly bytesPerS: number | null }>();

  /** @param entryId the node that plans: it has a path to each of the others */
  constructor(entryId: string, offers: ReadonlyMap<string, Pick<OfferResponse, 'paths'>>) {
    this.#entryId = entryId;
    for (const [from, { paths }] of offers) {
      for (const { nodeId, rttMs, bytesPerS } of paths) {
        const key = keyOf(from, nodeId);
        const known = this.#told.get(key);
        // Of two measurements the worse one; a rate is of use to both directions.
        this.#told.set(key, {
          rttMs: Math.max(rttMs, known?.rttMs ?? 0),
          bytesPerS: lower(bytesPerS, known?.bytesPerS ?? null),
        });
      }
    }
  }

  between(one: string, two: string): PathFigures {
    if (one === two) return NONE;
    const told = this.#told.get(keyOf(one, two));
    const rttMs = told?.rttMs ?? this.#detourMs(one, two);
    const bytesPerS = told?.bytesPerS ?? RATES.find(([belowMs]) => rttMs < belowMs)![1];
    return { rttMs, bytesPerS, isAssumed: told === undefined || told.bytesPerS === null };
  }

  /** No path is longer than the one over the planning node would be. */
  #detourMs(one: string, two: string): number {
    if (one === this.#entryId || two === this.#entryId) return UNKNOWN_RTT_MS;
    const there = this.#told.get(keyOf(this.#entryId, one))?.rttMs;
    const back = this.#told.get(keyOf(this.#entryId, two))?.rttMs;
    return there === undefined || back === undefined ? UNKNOWN_RTT_MS : there + back;
  }
}

function keyOf(one: string, two: string): string {
  // No id has a zero byte in it.
  return one < two ? `${one}\0${two}` : `${two}\0${one}`;
}

function lower(one: number | null, two: number | null): number | null {
  if (one === null || two === null) return one ?? two;
  return Math.min(one, two);
}
