/**
 * Whether a prompt and its answer fit the context of a model, found before anything is computed. Pure. The node that serves the
 * client decides; a ring computes what it is given. Called by `generations.ts`.
 */
import { ExoError, printable } from '../../shared/index.js';
import type { ModelEntry } from '../engine-models.js';

/** The context of a model on this node, in tokens; undefined where nobody knows it. */
export function contextOf(
  { contextTokens }: Pick<ModelEntry, 'contextTokens'>,
  contextTokensMax: number | undefined,
): number | undefined {
  if (contextTokens === undefined || contextTokensMax === undefined) return contextTokens ?? contextTokensMax;
  return Math.min(contextTokens, contextTokensMax);
}

/**
 * Throws `prompt-too-long` where there are more messages than tokens in the context: a template takes at least one for each, and
 * many seconds for a hundred thousand.
 */
export function assertFew(
  messages: readonly unknown[],
  { id }: Pick<ModelEntry, 'id'>,
  context: number,
): void {
  if (messages.length <= context) return;
  throw new ExoError(
    'prompt-too-long',
    `the context of ${printable(id, 80)} has ${context} tokens, and there are ${messages.length} messages, each of at least one; send fewer`,
  );
}

/**
 * How many tokens an answer may have: what the request says, and not more than the prompt leaves of the context. Undefined: neither
 * bounds it. Throws `prompt-too-long`, with both numbers, where the prompt leaves no room for one token, or less than
 * the request asks for.
 */
export function answerTokensMax(
  request: { readonly promptTokens: number; readonly maxTokens: number | undefined },
  model: Pick<ModelEntry, 'id' | 'contextTokens'>,
  contextTokensMax: number | undefined,
): number | undefined {
  const { promptTokens, maxTokens } = request;
  const context = contextOf(model, contextTokensMax);
  if (context === undefined) return maxTokens;
  const named = printable(model.id, 80);
  if (promptTokens >= context) {
    throw new ExoError(
      'prompt-too-long',
      `the context of ${named} has ${context} tokens, and the messages have ${promptTokens}; shorten them`,
    );
  }
  if (maxTokens !== undefined && promptTokens + maxTokens > context) {
    throw new ExoError(
      'prompt-too-long',
      `the context of ${named} has ${context} tokens, and ${promptTokens + maxTokens} are asked for (${promptTokens} of the messages, ${maxTokens} of the answer); shorten the messages or ask for at most ${context - promptTokens}`,
    );
  }
  return maxTokens ?? context - promptTokens;
}
