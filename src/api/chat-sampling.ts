/**
 * The fields of a chat request that say how its answer is sampled: OpenAI's names, and those that other servers of open
 * models have in common. What is null or absent changes nothing.
 */
import * as z from 'zod';
import type { RequestedSampling } from '../inference/index.js';
import { LIMITS } from '../shared/index.js';
import { HttpError } from './openai-errors.js';

function number(error: string, isUsable: (value: number) => boolean) {
  return z.number({ error }).refine(isUsable, { error }).nullish();
}

const between = (least: number, most: number) =>
  number(`must be a number from ${least} to ${most}`, (value) => value >= least && value <= most);
const SEED = 'must be a whole number that JSON carries exactly (at most 9007199254740991, also negative)';
const BIAS = `must be an object of at most ${LIMITS.logitBiasMax} token ids with a number from -100 to 100 each`;

/** A list or an object whose size is looked at before what is in it: a schema notes a fault for each entry. */
export function few<T>(schema: z.ZodType<T>, most: number, error: string) {
  const isFew = (value: unknown) =>
    typeof value !== 'object' || value === null || Object.keys(value).length <= most;
  return z.unknown().refine(isFew, { error, abort: true }).pipe(schema);
}

/** Goes into the schema of the body. */
export const samplingFields = {
  temperature: between(0, 2),
  top_p: number('must be a number above 0 and at most 1', (value) => value > 0 && value <= 1),
  // Other servers take -1 for "all".
  top_k: number(
    'must be a whole number; 0 or -1 is all tokens',
    (value) => Number.isSafeInteger(value) && value >= -1,
  ),
  min_p: between(0, 1),
  repetition_penalty: number(
    'must be a number above 0 and at most 2; 1 changes nothing',
    (value) => value > 0 && value <= 2,
  ),
  frequency_penalty: between(-2, 2),
  presence_penalty: between(-2, 2),
  seed: number(SEED, Number.isSafeInteger),
  logit_bias: few(
    z
      .record(z.string().regex(/^\d{1,9}$/, { error: BIAS }), z.number({ error: BIAS }), { error: BIAS })
      .refine((bias) => Object.values(bias).every((value) => Math.abs(value) <= 100), { error: BIAS }),
    LIMITS.logitBiasMax,
    BIAS,
  ).nullish(),
  logprobs: z.boolean({ error: 'must be true or false' }).nullish(),
  top_logprobs: number(
    `must be a whole number from 0 to ${LIMITS.topLogprobsMax}`,
    (value) => Number.isInteger(value) && value >= 0 && value <= LIMITS.topLogprobsMax,
  ),
};

const fields = z.object(samplingFields);

/** What the fields ask for. Throws `http-invalid` for `top_logprobs` without `logprobs`. */
export function toSampling(body: z.infer<typeof fields>): RequestedSampling {
  if (body.top_logprobs != null && body.logprobs !== true) {
    throw new HttpError('http-invalid', 'top_logprobs: needs "logprobs": true beside it', {
      param: 'top_logprobs',
    });
  }
  const bias = Object.entries(body.logit_bias ?? {}).map(([id, by]) => [Number(id), by] as const);
  const asked = {
    temperature: body.temperature,
    topP: body.top_p,
    topK: body.top_k == null ? undefined : Math.max(body.top_k, 0),
    minP: body.min_p,
    repetitionPenalty: body.repetition_penalty,
    frequencyPenalty: body.frequency_penalty,
    presencePenalty: body.presence_penalty,
    seed: body.seed,
    logitBias: bias.length === 0 ? undefined : new Map(bias),
    logprobs: body.logprobs === true ? (body.top_logprobs ?? 0) : undefined,
  };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value != null));
}
