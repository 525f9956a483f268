/** Of the folders in which models lie. Put together with the others in `limits.ts`. */
import { type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const MODEL_STORE = {
  modelLearnMs: [
    20_000,
    'that a member of a ring waits for configuration and tokenizer of a model: well within ringHopTimeoutMs; the sender then asks again',
  ],
  modelLearnMarginMs: [
    5_000,
    'before the end of its response timeout a client is told how far they are instead',
  ],
  modelsPerPlaceMax: [2_000, 'models in one folder; a look at 300 of them takes a second'],
  modelSurveysKept: [
    4_096,
    'folders of models that are looked into again only when a file there has changed',
  ],
  modelsLookMs: [
    60_000,
    'for one look at all folders; what a slow disk has not shown by then is found when it is asked for',
  ],
  modelsStartMs: [400, 'that a start waits for its first look; it goes on meanwhile'],
  modelRecordCharsMax: [16 * MIB, 'what is recorded of a model’s files; ten thousand have less'],
} as const satisfies LimitTable;
