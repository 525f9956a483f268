/**
 * A chat request as clients of OpenAI and of the original send it, and what it means to us. Fields that change
 * nothing (user, metadata, …) are accepted and ignored; those that would change the answer are refused (`chat-unsupported.ts`).
 */
import { z } from 'zod';
import { type ChatMessage, meantModel, type Placement, type RequestedSampling } from '../inference/index.js';
import { LIMITS, printable } from '../shared/index.js';
import { exoFields, toPlacement } from './chat-placement.js';
import { samplingFields, toSampling } from './chat-sampling.js';
import { refuseUnsupported } from './chat-unsupported.js';
import { HttpError } from './openai-errors.js';
import type { ChatService } from './ports.js';
import type { ApiContext } from './route.js';

const part = z.looseObject(
  { type: z.string({ error: 'must be a string' }), text: z.string({ error: 'must be a string' }).optional() },
  { error: 'must be an object like {"type": "text", "text": "…"}' },
);

const message = z.looseObject(
  {
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function'], {
      error: 'must be system, developer, user, assistant, tool or function',
    }),
    content: z
      .union([z.string(), z.array(part)], { error: 'must be a string or a list of text parts' })
      .nullish(),
  },
  { error: 'must be an object with "role" and "content"' },
);

const TOKEN_COUNT = `must be a whole number of at least 1 and at most ${Number.MAX_SAFE_INTEGER}`;
const tokenCount = z.int({ error: TOKEN_COUNT }).min(1, { error: TOKEN_COUNT }).nullish();

const stopText = z
  .string({ error: 'must be a string' })
  .max(LIMITS.stopSequenceCharsMax, { error: `must have at most ${LIMITS.stopSequenceCharsMax} characters` });

const conversation = {
  model: z.string({ error: 'must be the name of a model; GET /v1/models lists them' }).nullish(),
  messages: z
    .array(message, { error: 'must be a list of messages, each with "role" and "content"' })
    .min(1, { error: 'must have at least one message' }),
};

/** Body of POST /v1/chat/completions. */
export const chatBody = z.looseObject(
  {
    ...conversation,
    ...samplingFields,
    max_tokens: tokenCount,
    max_completion_tokens: tokenCount,
    stop: z
      .union([stopText, z.array(stopText).max(LIMITS.stopSequencesMax)], {
        error: `must be a string or a list of at most ${LIMITS.stopSequencesMax} strings of at most ${LIMITS.stopSequenceCharsMax} characters`,
      })
      .nullish(),
    exo: exoFields,
    n: z.int({ error: 'must be 1' }).min(1, { error: 'must be 1' }).nullish(),
    stream: z.boolean({ error: 'must be true or false' }).nullish(),
    stream_options: z
      .looseObject(
        { include_usage: z.boolean({ error: 'must be true or false' }).nullish() },
        { error: 'must be an object' },
      )
      .nullish(),
  },
  { error: 'must be a JSON object' },
);

/** Body of POST /v1/chat/token/encode. */
export const encodeBody = z.looseObject(conversation, { error: 'must be a JSON object' });

/** A chat request, understood. */
export interface ChatCall {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly sampling: RequestedSampling;
  readonly maxTokens: number | undefined;
  readonly stops: readonly string[];
  /** Absent: the node’s own setting. */
  readonly placement: Placement | undefined;
  /** The client knows our additions (`exo`), and gets them. */
  readonly isExtended: boolean;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

/** Throws `http-invalid` for content that no model here can read, and `http-unsupported`. */
export function toChatCall(
  body: z.infer<typeof chatBody>,
  { chat, mesh }: Pick<ApiContext, 'chat' | 'mesh'>,
): ChatCall {
  refuseUnsupported(body);
  const stop = body.stop ?? [];
  return {
    model: askedModel(body.model, chat),
    messages: toMessages(body.messages),
    sampling: toSampling(body),
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    stops: typeof stop === 'string' ? [stop] : stop,
    placement: toPlacement(body.exo, mesh),
    isExtended: body.exo != null,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
  };
}

/** What a client’s name means, also none. Not checked: its files may have come since anybody looked. */
export function askedModel(name: string | null | undefined, chat: Pick<ChatService, 'defaultModel'>): string {
  return meantModel(name ?? undefined, { defaultId: chat.defaultModel });
}

/** Who may have said nothing: an assistant that called tools or was cut short, and a function that returned nothing. */
const MAY_BE_SILENT: ReadonlySet<string> = new Set(['assistant', 'function']);

/** Messages in the engine's form. Throws `http-invalid` for parts that are not text, and where there is no content. */
export function toMessages(messages: z.infer<typeof encodeBody>['messages']): ChatMessage[] {
  return messages.map(({ role, content }, index) => {
    const isEmpty = content === null || content === undefined || content.length === 0;
    // An empty string is what its client wrote; anything else that is empty is a field that somebody forgot to fill.
    if (isEmpty && content !== '' && !MAY_BE_SILENT.has(role)) throw withoutContent(role, index);
    return {
      role: role === 'developer' ? 'system' : role === 'function' ? 'tool' : role,
      content: joinParts(content, index),
    };
  });
}

function withoutContent(role: string, index: number): HttpError {
  const param = `messages.${index}.content`;
  return new HttpError(
    'http-invalid',
    `${param}: a message of role ${role} needs content: a string, or a list of at least one text part`,
    { param },
  );
}

function joinParts(content: z.infer<typeof message>['content'], index: number): string {
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  return content
    .map(({ type, text }, at) => {
      if (type === 'text' && text !== undefined) return text;
      const reason =
        type === 'text'
          ? 'a text part needs "text"'
          : `parts of type "${printable(type, 40)}" are not supported yet; send text parts only`;
      throw new HttpError('http-invalid', reason, { param: `messages.${index}.content.${at}` });
    })
    .join('\n');
}
