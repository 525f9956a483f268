/**
 * Which layers the nodes have in memory, and how fast weights come there, as the entry node sees it: by the answers that were
 * computed. What a ring computed is loaded on its members; what no answer of this node has used counts as not loaded, although
 * another node's may have. Not a measurement of disks: weights that are quantised on the way come slower than any disk.
 */
import { BoundedMap, LIMITS } from '../../shared/index.js';
import type { PlacedRange } from '../placement.js';

/** Until an answer has shown it: a shard of 1 GB is to be there within a second, from an SSD or what the system has of the file. */
const ASSUMED_BYTES_PER_S = 1e9;
/** A network file system that hardly answers. */
const BYTES_PER_S_MIN = 1e6;
/** No disk gives more, and hardly a machine copies more: what comes faster was there already, for an answer of another node. */
const BYTES_PER_S_MAX = 20e9;

/** What is known of one node and one model. */
export interface KnownLoad {
  /** Both ends included. */
  readonly loaded: ReadonlyArray<readonly [from: number, to: number]>;
  readonly bytesPerS: number;
  /** The rate was not measured. */
  readonly isAssumed: boolean;
}

/** One answer that began with a load, and nothing else to wait for. */
export interface LearntLoad {
  readonly model: string;
  /** Of the member that was predicted to load longest. */
  readonly loadBytes: number;
  /** Predicted to the first token, in ms; `loadMs` of it to load. */
  readonly predictedMs: number;
  readonly loadMs: number;
  readonly measuredMs: number;
}

/** Of one entry node, for itself and, in its offers, for others. */
export class LoadTimes {
  readonly #rings = new BoundedMap<string, readonly PlacedRange[]>(LIMITS.ringsRemembered);
  readonly #bytesPerS = new BoundedMap<string, number>(LIMITS.ringsRemembered);
  /** Of whatever model was loaded last. */
  #lastBytesPerS: number | undefined;

  /** @param told the rate that others have learnt, where one has */
  of(model: string, nodeId: string, told?: number): KnownLoad {
    const ring = this.#rings.get(model) ?? [];
    const own = ring.filter((range) => range.nodeId === nodeId);
    const isTold = told !== undefined && told >= BYTES_PER_S_MIN && told <= BYTES_PER_S_MAX;
    const measured = this.#bytesPerS.get(model) ?? (isTold ? told : this.#lastBytesPerS);
    return {
      loaded: own.map(({ startLayer, endLayer }) => [startLayer, endLayer] as const),
      bytesPerS: measured ?? ASSUMED_BYTES_PER_S,
      isAssumed: measured === undefined,
    };
  }

  /** What answers of this node have shown, of the model or of the last one. */
  learnt(model: string): number | undefined {
    return this.#bytesPerS.get(model) ?? this.#lastBytesPerS;
  }

  /** A token of the ring has come. */
  used(model: string, ring: readonly PlacedRange[]): void {
    this.#rings.set(model, ring);
  }

  learn({ model, loadBytes, predictedMs, loadMs, measuredMs }: LearntLoad): void {
    if (!(loadBytes > 0)) return;
    const shownMs = measuredMs - (predictedMs - loadMs);
    const shown = (1_000 * loadBytes) / shownMs;
    if (!(shown > 0 && shown <= BYTES_PER_S_MAX)) return;
    this.#lastBytesPerS = Math.max(BYTES_PER_S_MIN, shown);
    this.#bytesPerS.set(model, this.#lastBytesPerS);
  }
}
