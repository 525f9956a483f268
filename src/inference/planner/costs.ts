/** What ranges of layers cost a node, by its offer: sums that are made once for a plan and asked for very often. Pure. */
import type { OfferedLayer, OfferResponse } from '../../protocol/index.js';
import type { KnownLoad } from './load-times.js';

/** Layers that fit, with the caches of so many positions. */
export interface Capacity {
  readonly positions: number;
  /** Without the last layer of the model. */
  readonly before: number;
  /** With it. */
  readonly last: number;
}

/** Of files whose fetching was never measured: 100 Mbit/s. */
const FETCH_BYTES_PER_S = 12.5e6;

/** A node that can take layers, with what they cost it. */
export class NodeCosts {
  readonly nodeId: string;
  readonly offer: OfferResponse;
  readonly layers: number;
  readonly #weightBytes: Float64Array;
  readonly #multiplyAdds: Float64Array;
  readonly #cacheBytes: Float64Array;
  /** Until files are here that are not on its disk. */
  readonly #fetchMs: Float64Array;
  /** Of these, what was never measured. */
  readonly #assumedMs: Float64Array;
  /** Bytes that are not in its memory yet. */
  readonly #unloadedBytes: Float64Array;
  readonly #load: KnownLoad | undefined;
  #capacity: Capacity | undefined;

  /**
   * @param elsewhere ranges of layers that are on the disk of any node
   * @param load absent: loading is left out
   */
  constructor(
    nodeId: string,
    offer: OfferResponse,
    elsewhere: OfferResponse['stored'] = [],
    load: KnownLoad | undefined = undefined,
  ) {
    this.nodeId = nodeId;
    this.offer = offer;
    this.layers = offer.layers.length;
    const isHere = covered(offer.stored, this.layers);
    const isThere = covered(elsewhere, this.layers);
    this.#weightBytes = sums(offer.layers, ({ weightBytes }) => weightBytes);
    this.#multiplyAdds = sums(offer.layers, ({ multiplyAdds }) => multiplyAdds);
    this.#cacheBytes = sums(offer.layers, ({ cacheBytes }) => cacheBytes);
    const fromPeers = offer.peerFetchBytesPerS ?? null;
    const rateOf = (index: number) => (isThere[index] === 1 ? fromPeers : null) ?? offer.fetchBytesPerS;
    this.#fetchMs = sums(offer.layers, ({ weightBytes }, index) =>
      isHere[index] === 1 ? 0 : (1_000 * weightBytes) / (rateOf(index) ?? FETCH_BYTES_PER_S),
    );
    const isLoaded = covered(load?.loaded ?? [], this.layers);
    this.#load = load;
    this.#unloadedBytes = sums(offer.layers, ({ weightBytes }, index) =>
      load === undefined || isLoaded[index] === 1 ? 0 : weightBytes,
    );
    this.#assumedMs = sums(offer.layers, ({ weightBytes }, index) =>
      isHere[index] === 1 || rateOf(index) !== null ? 0 : (1_000 * weightBytes) / FETCH_BYTES_PER_S,
    );
  }

  /** Of layers `start` up to, not with, `end`. */
  weightBytes(start: number, end: number): number {
    return this.#weightBytes[end]! - this.#weightBytes[start]!;
  }

  multiplyAdds(start: number, end: number): number {
    return this.#multiplyAdds[end]! - this.#multiplyAdds[start]!;
  }

  cacheBytes(start: number, end: number): number {
    return this.#cacheBytes[end]! - this.#cacheBytes[start]!;
  }

  /** From other nodes where one has them and that was measured, else from a hub. */
  fetchMs(start: number, end: number): number {
    return this.#fetchMs[end]! - this.#fetchMs[start]!;
  }

  /** Whether the rate of fetching was never measured, and there is something to fetch. */
  isFetchAssumed(start: number, end: number): boolean {
    return this.#assumedMs[end]! > this.#assumedMs[start]!;
  }

  /** Weights of these layers that are to come into memory first. */
  unloadedBytes(start: number, end: number): number {
    return this.#unloadedBytes[end]! - this.#unloadedBytes[start]!;
  }

  /** Until they are there, once they are on its disk. */
  loadMs(start: number, end: number): number {
    return this.#load === undefined ? 0 : (1_000 * this.unloadedBytes(start, end)) / this.#load.bytesPerS;
  }

  /** Whether the rate of loading was never measured, and there is something to load. */
  isLoadAssumed(start: number, end: number): boolean {
    return this.#load?.isAssumed === true && this.unloadedBytes(start, end) > 0;
  }

  /** What weights and the cache of one request take. */
  memoryBytes(start: number, end: number, positions: number): number {
    return this.weightBytes(start, end) + this.cacheBytes(start, end) * positions;
  }

  fits(start: number, end: number, positions: number): boolean {
    return this.memoryBytes(start, end, positions) <= this.offer.memoryBytes;
  }

  /**
   * Layers that it can hold: the last ones of the model, which have the head, or others, of which each counts as the largest.
   * For one number of positions it is counted once.
   */
  capacity(positions: number): Capacity {
    if (this.#capacity?.positions !== positions) this.#capacity = this.#count(positions);
    return this.#capacity;
  }

  #count(positions: number): Capacity {
    const { layers, offer } = this;
    let last = 0;
    while (last < layers && this.fits(layers - last - 1, layers, positions)) last += 1;
    let largest = 0;
    for (let layer = 0; layer < layers - 1; layer += 1) {
      largest = Math.max(largest, this.memoryBytes(layer, layer + 1, positions));
    }
    const before = largest === 0 ? layers : Math.min(layers, Math.floor(offer.memoryBytes / largest));
    return { positions, before, last };
  }

  /** For a step of one token with so many positions before it. */
  decodeMs(start: number, end: number, positions: number): number {
    return (1_000 * this.memoryBytes(start, end, positions)) / this.offer.bytesPerS;
  }

  prefillMs(start: number, end: number, tokens: number): number {
    return (1_000 * tokens * this.multiplyAdds(start, end)) / this.offer.multiplyAddsPerS;
  }
}

/** A node that says nothing of its speed, or of its layers, cannot be planned with. */
export function isMeasured({
  bytesPerS,
  multiplyAddsPerS,
  layers,
}: Pick<OfferResponse, 'bytesPerS' | 'multiplyAddsPerS' | 'layers'>): boolean {
  return bytesPerS > 0 && multiplyAddsPerS > 0 && layers.some(({ weightBytes }) => weightBytes > 0);
}

function covered(ranges: OfferResponse['stored'], layers: number): Uint8Array {
  const is = new Uint8Array(layers);
  for (const [from, to] of ranges) is.fill(1, from, to + 1);
  return is;
}

/** Sums of all layers before each, and of all. */
function sums(
  layers: readonly OfferedLayer[],
  pick: (layer: OfferedLayer, index: number) => number,
): Float64Array {
  const result = new Float64Array(layers.length + 1);
  for (const [index, layer] of layers.entries()) result[index + 1] = result[index]! + pick(layer, index);
  return result;
}
