/**
 * Chooses a token from logits: penalties and bias, then temperature, top_k, top_p and min_p in this order, then a draw.
 * The same logits, options and place give the same token on every node. Not what the options of a request are
 * (`sampling-state.ts`). Pure. Called by the engines that have logits.
 */
import type { Tensor } from '../../protocol/index.js';
import { ExoError } from '../../shared/index.js';
import type { SampledToken, SamplingOptions, SamplingPlace, TokenLogprobs } from '../engine.js';
import { counterRandom } from './counter-random.js';
import { exponential } from './exponential.js';
import { allIds, cutByWeight, isKept, likeliest, sorted } from './likeliest.js';

/** Of a token that cannot come; what OpenAI tells there, and JSON has no infinity. */
const LOGPROB_MIN = -9_999;

/**
 * The token for the last position of a tensor of logits, float32 [vocab] or [1, …, vocab].
 * Throws `tensor-invalid` for another type, `engine-failed` where no token can be chosen.
 */
export function sampleLogits(logits: Tensor, options: SamplingOptions, place: SamplingPlace): SampledToken {
  const vocab = logits.shape.at(-1) ?? 0;
  const { dtype, data } = logits;
  if (dtype !== 'float32' || vocab === 0 || data.length < vocab * 4) {
    throw new ExoError(
      'tensor-invalid',
      `a token is chosen from float32 [vocab], not ${dtype} [${logits.shape}]`,
    );
  }
  const from = data.length - vocab * 4;
  const isAligned = (data.byteOffset + from) % 4 === 0;
  const last = isAligned ? data.subarray(from) : Uint8Array.prototype.slice.call(data, from);
  return sampleToken(new Float32Array(last.buffer, last.byteOffset, vocab), options, place);
}

/** Whether only the highest logit matters, as the model gives it: then `highestOf` chooses what `sampleToken` does. */
export function isGreedy(options: SamplingOptions): boolean {
  const { logitBias, logprobs } = options;
  const isChanged = hasPenalties(options) || (logitBias?.size ?? 0) > 0;
  return takesHighest(options) && !isChanged && logprobs === undefined;
}

/** Whether tokens that were there before have other logits than the model gives. */
export function hasPenalties(options: SamplingOptions): boolean {
  const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0 } = options;
  return repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
}

/** The token for these logits, one for each id of the vocabulary. Throws `engine-failed` for NaN and where all are masked. */
export function sampleToken(
  logits: Float32Array,
  options: SamplingOptions,
  place: SamplingPlace,
): SampledToken {
  const values = adjusted(logits, options, place);
  const best = highestOf(values);
  const token = takesHighest(options) ? best : draw(values, best, options, place);
  if (options.logprobs === undefined) return { token };
  return { token, logprobs: logprobsOf(logits, token, options.logprobs) };
}

function takesHighest({ temperature, topK }: SamplingOptions): boolean {
  return temperature === 0 || topK === 1;
}

/** Logits after penalties and bias; the given ones where there are none. Ids beyond the vocabulary are ignored. */
function adjusted(logits: Float32Array, options: SamplingOptions, { history }: SamplingPlace): Float32Array {
  const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0, logitBias } = options;
  const repeats = repetitionPenalty === 1 ? undefined : history?.all;
  const counts = frequencyPenalty === 0 && presencePenalty === 0 ? undefined : history?.answer;
  if (!(repeats?.size || counts?.size || logitBias?.size)) return logits;
  const values = logits.slice();
  for (const token of repeats?.keys() ?? []) {
    const value = values[token];
    if (value !== undefined && Number.isFinite(value))
      values[token] = finite(value > 0 ? value / repetitionPenalty : value * repetitionPenalty);
  }
  for (const [token, count] of counts ?? []) {
    if (token < values.length) values[token]! -= frequencyPenalty * count + presencePenalty;
  }
  for (const [token, bias] of logitBias ?? []) if (token < values.length) values[token]! += bias;
  return values;
}

const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/** A penalty near 0 leads beyond what a logit may be. */
function finite(value: number): number {
  return Math.max(-LARGEST_FLOAT32, Math.min(LARGEST_FLOAT32, value));
}

/** The token of the highest logit, of equal ones the lowest id. Throws `engine-failed` for NaN and where all are masked. */
export function highestOf(values: Float32Array): number {
  let best = -1;
  let max = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < values.length; id += 1) {
    while (id + 8 <= values.length && areAtMost(max, values, id)) id += 8;
    if (id === values.length) break;
    const value = values[id]!;
    // One comparison for nearly all: only what is higher, and what is not a number, is not at most the highest.
    if (value <= max) continue;
    if (Number.isNaN(value)) {
      throw new ExoError(
        'engine-failed',
        `no token can be chosen: the logit of token ${id} is not a number, which weights that are damaged lead to (exo model verify)`,
      );
    }
    max = value;
    best = id;
  }
  if (best === -1 || max === Number.POSITIVE_INFINITY) {
    throw new ExoError(
      'engine-failed',
      'no token can be chosen: no logit, or an infinite one, is the highest',
    );
  }
  return best;
}

/** Whether each of eight is; a loop over them takes twice as long, and this is looked at for all of the vocabulary. */
function areAtMost(max: number, values: Float32Array, from: number): boolean {
  return (
    values[from]! <= max &&
    values[from + 1]! <= max &&
    values[from + 2]! <= max &&
    values[from + 3]! <= max &&
    values[from + 4]! <= max &&
    values[from + 5]! <= max &&
    values[from + 6]! <= max &&
    values[from + 7]! <= max
  );
}

/** Tokens that may be chosen, in the order of their ids, and their probabilities relative to that of the likeliest. */
interface Candidates {
  readonly ids: Int32Array;
  readonly weights: Float64Array;
}

function draw(values: Float32Array, best: number, options: SamplingOptions, place: SamplingPlace): number {
  const { temperature, topK = 0, topP = 1, minP = 0 } = options;
  const all = topK > 0 && topK < values.length ? likeliest(values, topK) : allIds(values.length);
  let candidates: Candidates = { ids: all, weights: weightsOf(values, all, values[best]!, temperature) };
  if (topP < 1) candidates = likeliestPart(values, candidates, topP);
  if (minP > 0) candidates = heavierThan(minP, candidates);
  const { ids, weights } = candidates;
  const goal = counterRandom(place.seed, place.index) * sumOf(weights);
  let sum = 0;
  for (let at = 0; at < ids.length; at += 1) {
    sum += weights[at]!;
    if (goal < sum) return ids[at]!;
  }
  return best;
}

/** The likeliest that together have this part of the weight. */
function likeliestPart(values: Float32Array, candidates: Candidates, part: number): Candidates {
  const total = sumOf(candidates.weights);
  // Even all that weigh less together do not reach what may be left out, so none of them is needed.
  const { ids, weights } = heavierThan(((1 - part) * total) / candidates.ids.length, candidates);
  const cut = cutByWeight(values, ids, weights, part * total);
  return filtered({ ids, weights }, (at) => isKept(cut, values, ids[at]!));
}

function heavierThan(least: number, candidates: Candidates): Candidates {
  const { weights } = candidates;
  return filtered(candidates, (at) => weights[at]! >= least);
}

function filtered({ ids, weights }: Candidates, test: (at: number) => boolean): Candidates {
  const keptIds = new Int32Array(ids.length);
  const keptWeights = new Float64Array(ids.length);
  let count = 0;
  for (let at = 0; at < ids.length; at += 1) {
    if (!test(at)) continue;
    keptIds[count] = ids[at]!;
    keptWeights[count] = weights[at]!;
    count += 1;
  }
  return { ids: keptIds.subarray(0, count), weights: keptWeights.subarray(0, count) };
}

/** Probabilities of these ids relative to that of the likeliest. */
function weightsOf(values: Float32Array, ids: Int32Array, max: number, temperature: number): Float64Array {
  const weights = new Float64Array(ids.length);
  for (let at = 0; at < ids.length; at += 1)
    weights[at] = exponential((values[ids[at]!]! - max) / temperature);
  return weights;
}

function sumOf(weights: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < weights.length; at += 1) sum += weights[at]!;
  return sum;
}

function logprobsOf(logits: Float32Array, token: number, count: number): TokenLogprobs {
  const ids = allIds(logits.length);
  const max = logits[highestOf(logits)]!;
  const norm = max + Math.log(sumOf(weightsOf(logits, ids, max, 1)));
  const top = likeliest(logits, Math.min(count, logits.length));
  return {
    logprob: Math.max(logits[token]! - norm, LOGPROB_MIN),
    top: [...sorted(logits, top)].map((id) => ({
      token: id,
      logprob: Math.max(logits[id]! - norm, LOGPROB_MIN),
    })),
  };
}
