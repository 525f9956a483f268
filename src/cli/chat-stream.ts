/** A streamed chat answer of a running node: pieces of text as they come, then what was counted. */
import { ExoError, formatAddress } from '../shared/index.js';
import { apiError, open } from './api-client.js';
import type { ChatChunkJson, ChatExoJson } from './api-shapes.js';
import { events } from './event-stream.js';
import type { ApiTarget } from './target.js';

/** A question. Absent fields: the node's own defaults. */
export interface Question {
  /** Empty: the node’s default. */
  readonly model: string;
  readonly prompt: string;
  readonly systemPrompt?: string | undefined;
  readonly temperature?: number | undefined;
  readonly maxTokens?: number | undefined;
}

/** What came of it. */
export interface AnswerEnd {
  /** That answered. */
  readonly model: string;
  readonly finishReason: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Absent: the node does not tell. */
  readonly where?: ChatExoJson;
}

/** Calls `onText` for each piece. Rejects with the error that the node told, or `connection-closed`. */
export async function askNode(
  target: ApiTarget,
  question: Question,
  signal: AbortSignal,
  onText: (text: string) => void,
): Promise<AnswerEnd> {
  const { model, prompt, systemPrompt, temperature, maxTokens } = question;
  const system = systemPrompt === undefined ? [] : [{ role: 'system', content: systemPrompt }];
  const response = await open(
    target,
    {
      method: 'POST',
      path: '/v1/chat/completions',
      body: {
        model,
        messages: [...system, { role: 'user', content: prompt }],
        stream: true,
        stream_options: { include_usage: true },
        exo: {},
        ...(temperature === undefined ? {} : { temperature }),
        ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
      },
    },
    signal,
  );
  let end: AnswerEnd = { model, finishReason: '', promptTokens: 0, completionTokens: 0 };
  try {
    for await (const { data } of events(response)) {
      if (data === '[DONE]') return end;
      const chunk = parse(data, target);
      if (chunk.error !== undefined) throw apiError(chunk.error.code, chunk.error.message);
      if (typeof chunk.model === 'string') end = { ...end, model: chunk.model };
      const choice = chunk.choices?.[0];
      if (choice?.delta?.content) onText(choice.delta.content);
      if (choice?.finish_reason) end = { ...end, finishReason: choice.finish_reason };
      if (chunk.exo !== undefined) end = { ...end, where: chunk.exo };
      const usage = chunk.usage;
      if (usage) {
        end = { ...end, promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens };
      }
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof ExoError) throw error;
    throw new ExoError('connection-closed', ended(target), { cause: error });
  } finally {
    response.destroy();
  }
  throw new ExoError('connection-closed', ended(target));
}

function parse(data: string, target: ApiTarget): ChatChunkJson {
  try {
    return JSON.parse(data) as ChatChunkJson;
  } catch {
    throw new ExoError('api-refused', `${formatAddress(target)} sent an event that is not JSON`);
  }
}

const ended = (target: ApiTarget) =>
  `the node at ${formatAddress(target)} ended before the answer was complete`;
