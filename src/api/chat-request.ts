/**
 * A chat request as clients of OpenAI and of the original send it, and what it means to us. Fields that change
 * nothing (user, metadata, …) are accepted and ignored; those that would change the answer are refused (`chat-unsupported.ts`).
 */
import * as z from 'zod';
import { type ChatMessage, meantModel, type Placement, type RequestedSampling } from '../inference/index.js';
import { LIMITS } from '../shared/index.js';
import { messageList, toMessages } from './chat-messages.js';
import { exoFields, toPlacement } from './chat-placement.js';
import { few, samplingFields, toSampling } from './chat-sampling.js';
import { refuseUnseen, refuseUnsupported } from './chat-unsupported.js';
import type { ChatService } from './ports.js';
import type { ApiContext } from './route.js';

const TOKEN_COUNT = `must be a whole number of at least 1 and at most ${Number.MAX_SAFE_INTEGER}`;
const tokenCount = z.int({ error: TOKEN_COUNT }).min(1, { error: TOKEN_COUNT }).nullish();

const stopText = z
  .string({ error: 'must be a string' })
  .max(LIMITS.stopSequenceCharsMax, { error: `must have at most ${LIMITS.stopSequenceCharsMax} characters` });

const STOPS = `must be a string or a list of at most ${LIMITS.stopSequencesMax} strings of at most ${LIMITS.stopSequenceCharsMax} characters`;

const conversation = {
  model: z.string({ error: 'must be the name of a model; GET /v1/models lists them' }).nullish(),
  messages: messageList,
};

/** Body of POST /v1/chat/completions. */
export const chatBody = z.looseObject(
  {
    ...conversation,
    ...samplingFields,
    max_tokens: tokenCount,
    max_completion_tokens: tokenCount,
    stop: few(
      z.union([stopText, z.array(stopText)], { error: STOPS }),
      LIMITS.stopSequencesMax,
      STOPS,
    ).nullish(),
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
    messages: toMessages(body.messages, refuseUnseen),
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
