/**
 * What entry nodes have learnt of their answers, by their offers: one that has computed none of a model predicts as those that have.
 * What a node has learnt itself of the model counts more (`load-times.ts`, `step-costs.ts`), and only that is told on. Pure.
 */
import type { OfferResponse } from '../../protocol/index.js';

/** As in an offer; what is absent was not learnt. */
export type LearntRates = Pick<OfferResponse, 'loadBytesPerS' | 'stepMs'>;

/** Of the offers for one model. */
export class ToldRates {
  /** The middle one of those that were told, as the others are; undefined where nobody has learnt it. */
  readonly stepMs: number | undefined;
  /** Of the member that loaded longest, whichever that was: of no node in particular. */
  readonly loadBytesPerS: number | undefined;

  constructor(offers: ReadonlyMap<string, LearntRates>) {
    const all = [...offers.values()];
    this.stepMs = middle(all.flatMap(({ stepMs }) => stepMs ?? []));
    this.loadBytesPerS = middle(all.flatMap(({ loadBytesPerS }) => loadBytesPerS ?? []));
  }
}

/** Of two the lower one. */
function middle(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1];
}
