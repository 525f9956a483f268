/** The answers of the chat endpoint in OpenAI's shape. Pure. */
import type { Candidate, GeneratedLogprobs } from '../inference/index.js';
import type { AnswerPlan } from './ports.js';

/** Why an answer ended. */
export type FinishReason = 'stop' | 'length';

/** What all parts of one answer have in common. */
export interface CompletionHead {
  readonly requestId: string;
  /** Seconds since the Unix epoch. */
  readonly createdSeconds: number;
  readonly model: string;
  /** Version of this program. */
  readonly version: string;
  /** The client gets our additions: token ids beside log probabilities, and in the end where it was computed. */
  readonly isExtended?: boolean;
}

/** Tokens counted. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** Text, and the log probabilities of its tokens; null where nobody asked for them. */
export interface Answer {
  readonly content: string;
  readonly logprobs: readonly GeneratedLogprobs[] | null;
}

/** The whole answer. */
export function completion(
  head: CompletionHead,
  { content, logprobs }: Answer,
  finishReason: FinishReason,
  usage: Usage,
  plan?: AnswerPlan,
) {
  return {
    ...headFields(head, 'chat.completion'),
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content },
        logprobs: logprobFields(logprobs, head.isExtended),
        finish_reason: finishReason,
      },
    ],
    usage: usageFields(usage),
    ...exoFields(head, plan),
  };
}

/** One chunk of a stream. */
export function chunk(
  head: CompletionHead,
  delta: { readonly role?: 'assistant'; readonly content?: string },
  finishReason: FinishReason | null,
  logprobs: readonly GeneratedLogprobs[] | null = null,
  plan?: AnswerPlan,
) {
  return {
    ...headFields(head, 'chat.completion.chunk'),
    choices: [
      { index: 0, delta, logprobs: logprobFields(logprobs, head.isExtended), finish_reason: finishReason },
    ],
    ...(finishReason === null ? {} : exoFields(head, plan)),
  };
}

/** The last chunk where the client asked for usage: no choices. */
export function usageChunk(head: CompletionHead, usage: Usage) {
  return { ...headFields(head, 'chat.completion.chunk'), choices: [], usage: usageFields(usage) };
}

function headFields(head: CompletionHead, object: string) {
  return {
    id: `chatcmpl-${head.requestId}`,
    object,
    created: head.createdSeconds,
    model: head.model,
    system_fingerprint: `exo_${head.version}`,
  };
}

/** Where it was computed, for clients that ask. */
function exoFields({ isExtended }: CompletionHead, plan: AnswerPlan | undefined) {
  if (isExtended !== true) return {};
  const ring = plan?.ring?.map(({ nodeId, shard }) => {
    return { node: nodeId, layers: [shard.startLayer, shard.endLayer] };
  });
  return {
    exo: {
      ring: ring ?? null,
      predicted_tokens_per_s: plan?.prediction?.tokensPerS ?? null,
      reason: plan?.reason ?? null,
      outsiders: (plan?.outsiders ?? []).map(({ id, reason }) => ({ node: id, reason })),
    },
  };
}

function logprobFields(logprobs: readonly GeneratedLogprobs[] | null, isExtended = false) {
  if (logprobs === null) return null;
  const fields = (candidate: Candidate) => ({
    ...candidateFields(candidate),
    ...(isExtended ? { token_id: candidate.token } : {}),
  });
  const content = logprobs.map((each) => ({ ...fields(each), top_logprobs: each.top.map(fields) }));
  return { content, refusal: null };
}

/** OpenAI gives the bytes so that a client can join parts of a character; of such a part the bytes are not known here. */
function candidateFields({ text, logprob }: Candidate) {
  return { token: text, logprob, bytes: text.includes('\ufffd') ? null : [...Buffer.from(text)] };
}

function usageFields(usage: Usage) {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
  };
}
