/**
 * How the sampling options of a request, and how far its answer is, reach the node that samples: in `inference_state`,
 * which every node (old ones too) passes on as it is. Absent when a request names nothing, so that it looks as the
 * original's. What comes from the wire is checked field by field: what is not usable counts as absent. Pure.
 */
import type { Json, JsonObject } from '../../protocol/index.js';
import { LIMITS } from '../../shared/index.js';
import type { SamplingOptions } from '../engine.js';

/** What a client may ask for. */
export type RequestedSampling = Partial<SamplingOptions>;

/** How far an answer is when a ring takes it up. */
export interface AnswerProgress {
  /** Tokens of the answer that were chosen before. */
  readonly answered: number;
  /** The tokens before, as far as penalties look at them; the answer's are the last. */
  readonly history: readonly number[];
}

type NumberOption = Exclude<keyof SamplingOptions, 'logitBias'>;

interface Field {
  readonly key: string;
  readonly isUsable: (value: number) => boolean;
}

/** The numbers on the wire, and what is usable of them: the bounds of docs/PROTOCOL.md 14 and of the chat endpoint. */
const FIELDS: Readonly<Record<NumberOption, Field>> = {
  temperature: { key: 'temperature', isUsable: (value) => value >= 0 && value <= 2 },
  topK: { key: 'top_k', isUsable: (value) => Number.isSafeInteger(value) && value >= 0 },
  topP: { key: 'top_p', isUsable: (value) => value > 0 && value <= 1 },
  minP: { key: 'min_p', isUsable: (value) => value >= 0 && value <= 1 },
  repetitionPenalty: { key: 'repetition_penalty', isUsable: (value) => value > 0 && value <= 2 },
  frequencyPenalty: { key: 'frequency_penalty', isUsable: (value) => Math.abs(value) <= 2 },
  presencePenalty: { key: 'presence_penalty', isUsable: (value) => Math.abs(value) <= 2 },
  seed: { key: 'seed', isUsable: Number.isSafeInteger },
  logprobs: { key: 'logprobs', isUsable: (value) => isCount(value) && value <= LIMITS.topLogprobsMax },
};
const BIAS_MAX = 100;

/** The state that carries what was asked for, and how far the answer is; null where that is nothing. */
export function samplingState(requested: RequestedSampling, progress?: AnswerProgress): JsonObject | null {
  const state: { [key: string]: Json } = {};
  for (const [name, { key }] of Object.entries(FIELDS)) {
    const value = requested[name as NumberOption];
    if (value !== undefined) state[key] = value;
  }
  if (requested.logitBias?.size) state['logit_bias'] = Object.fromEntries(requested.logitBias);
  if (progress?.answered) state['answered'] = progress.answered;
  if (progress?.history.length) state['history'] = progress.history;
  return Object.keys(state).length === 0 ? null : state;
}

/** How to sample by a state from the wire; the default temperature where it says nothing usable. */
export function samplingOf(state: JsonObject | null, defaultTemperature: number): SamplingOptions {
  const numbers: Partial<Record<NumberOption, number>> = {};
  for (const [name, { key, isUsable }] of Object.entries(FIELDS)) {
    const value = state?.[key];
    if (typeof value === 'number' && isUsable(value)) numbers[name as NumberOption] = value;
  }
  const logitBias = biasOf(state?.['logit_bias']);
  return { temperature: defaultTemperature, ...numbers, ...(logitBias.size === 0 ? {} : { logitBias }) };
}

/** How far the answer was when this ring took it up. */
export function progressOf(state: JsonObject | null): AnswerProgress {
  const answered = state?.['answered'];
  const history = state?.['history'];
  const isUsable =
    Array.isArray(history) && history.length <= LIMITS.penaltyTokensMax && history.every(isCount);
  return { answered: isCount(answered) ? answered : 0, history: isUsable ? (history as number[]) : [] };
}

/** The part of a sequence that a state must carry for these options: what their penalties look at, and no more. */
export function historyFor(
  options: RequestedSampling,
  prompt: readonly number[],
  answer: readonly number[],
): readonly number[] {
  const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0 } = options;
  const last = answer.slice(-LIMITS.penaltyTokensMax);
  const left = LIMITS.penaltyTokensMax - last.length;
  if (repetitionPenalty !== 1) return left === 0 ? last : [...prompt.slice(-left), ...last];
  return frequencyPenalty === 0 && presencePenalty === 0 ? [] : last;
}

function biasOf(value: Json | undefined): ReadonlyMap<number, number> {
  const bias = new Map<number, number>();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return bias;
  for (const [id, by] of Object.entries(value).slice(0, LIMITS.logitBiasMax)) {
    const isUsable = /^\d{1,9}$/.test(id) && typeof by === 'number' && Math.abs(by) <= BIAS_MAX;
    if (isUsable) bias.set(Number(id), by);
  }
  return bias;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
