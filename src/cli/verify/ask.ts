/** One fixed question to a running node, greedy, with the ids and log probabilities of the answer, computed where the caller says. */
import type { Clock } from '../../shared/index.js';
import { ExoError, printable } from '../../shared/index.js';
import { callApi } from '../api-client.js';
import type { ChatExoJson } from '../api-shapes.js';
import type { ApiTarget } from '../target.js';
import type { ChosenJson, VerifiedAnswer } from './compare.js';

/** How it is computed; as in `exo.placement` of a chat. */
export type VerifyPlacement =
  | 'solo'
  | 'split'
  | ReadonlyArray<{ readonly node: string; readonly layers: readonly [number, number] }>;

/** What is asked. */
export interface VerifyQuestion {
  readonly model: string;
  readonly prompt: string;
  readonly tokens: number;
  readonly placement: VerifyPlacement;
  readonly timeoutMs: number;
}

/** An answer, and who computed it. */
export interface PlacedAnswer extends VerifiedAnswer {
  readonly model: string;
  readonly ring: ChatExoJson['ring'];
  /** Why it was computed there, and who computes nothing. */
  readonly why: string;
}

/** The likeliest tokens that are compared at each place. */
const CANDIDATES = 5;

interface CompletionJson {
  readonly model: string;
  readonly choices: ReadonlyArray<{
    readonly finish_reason: string;
    readonly logprobs: { readonly content: readonly ChosenJson[] } | null;
  }>;
  readonly exo?: ChatExoJson;
}

/** Rejects with the node's own error, or `api-refused` where it does not tell ids. */
export async function askPlaced(
  clock: Clock,
  target: ApiTarget,
  question: VerifyQuestion,
  signal: AbortSignal,
): Promise<PlacedAnswer> {
  const { model, prompt, tokens, placement, timeoutMs } = question;
  const answer = await callApi<CompletionJson>(clock, target, {
    method: 'POST',
    path: '/v1/chat/completions',
    timeoutMs,
    signal,
    body: {
      model,
      messages: [{ role: 'user', content: prompt }],
      temperature: 0,
      max_tokens: tokens,
      logprobs: true,
      top_logprobs: CANDIDATES,
      exo: { placement },
    },
  });
  const choice = answer.choices[0];
  const content = choice?.logprobs?.content;
  if (choice === undefined || content === undefined || content.some(({ token_id: id }) => id === undefined)) {
    throw new ExoError(
      'api-refused',
      'the node tells no token ids and log probabilities of its answer; it, and every node of its mesh, must be of this version',
    );
  }
  return {
    model: answer.model,
    tokens: content,
    finishReason: choice.finish_reason,
    ring: answer.exo?.ring ?? null,
    why: [
      answer.exo?.reason ?? '',
      ...(answer.exo?.outsiders ?? []).map((each) => `${each.node}: ${each.reason}`),
    ]
      .filter((text) => text !== '')
      .map((text) => printable(text, 300))
      .join('; '),
  };
}
