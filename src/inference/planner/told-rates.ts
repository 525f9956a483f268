/**
 * What other entry nodes have learnt of their answers, by their offers: an entry node that has computed none of a model predicts as
 * those that have. What a node has learnt itself counts more (`load-times.ts`, `step-costs.ts`), and only that is told on. Pure.
 */
import type { OfferResponse } from '../../protocol/index.js';

/** As in an offer; what is absent was not learnt. */
export type LearntRates = Pick<OfferResponse, 'loadBytesPerS' | 'stepMs'>;

/** Of the offers for one model. */
export class ToldRates {
  /** The middle one of those that were told; undefined where nobody has learnt it. */
  readonly stepMs: number | undefined;
  readonly #offers: ReadonlyMap<string, LearntRates>;
  readonly #middleLoad: number | undefined;

  constructor(offers: ReadonlyMap<string, LearntRates>) {
    const all = [...offers.values()];
    this.#offers = offers;
    this.stepMs = middle(all.flatMap(({ stepMs }) => stepMs ?? []));
    this.#middleLoad = middle(all.flatMap(({ loadBytesPerS }) => loadBytesPerS ?? []));
  }

  /** At which weights come into the memory of a node: by its own word, else the middle one of what others saw. */
  loadBytesPerS(nodeId: string): number | undefined {
    return this.#offers.get(nodeId)?.loadBytesPerS ?? this.#middleLoad;
  }
}

/** Of two the lower one. */
function middle(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1];
}
