/**
 * What the API needs from the rest of the program: the mesh as `node` shows it, and a chat service. `node/node.ts`
 * hands both in; a test may hand in a small service of its own.
 */
import type { ChatMessage } from '../inference/index.js';

/** A model that a request may name. */
export interface ChatModel {
  readonly id: string;
  /** Name for people. @default the id */
  readonly name?: string;
  /** It can answer now, without a download. */
  readonly ready: boolean;
  /** Layers of the whole model, to show which node holds which. */
  readonly nLayers?: number;
}

/** One question to the ring. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  /** Absent: `--default-temp`. */
  readonly temperature?: number;
  /** Absent: `--max-generate-tokens`. */
  readonly maxTokens?: number;
  /** Aborted when the client leaves, the deadline passes or the node stops; the work must then end. */
  readonly signal: AbortSignal;
}

/** One token of an answer. */
export interface ChatToken {
  /** The text that this token adds; may be empty (a part of a character). */
  readonly text: string;
  readonly token: number;
  /** Counts from 0. */
  readonly index: number;
}

/** A generation that was accepted. */
export interface Generation {
  readonly requestId: string;
  readonly model: string;
  readonly promptTokens: number;
  /** In order; ends when the generation is finished, throws what ended it early. Read at most once. */
  readonly tokens: AsyncIterable<ChatToken>;
  /** Settles after the last token; rejects as `tokens` throws. */
  readonly result: Promise<{
    readonly finishReason: 'stop' | 'length';
    readonly completionTokens: number;
  }>;
}

/** The token ids of a conversation. */
export interface EncodedChat {
  /** What the conversation became by the model's chat template. */
  readonly prompt: string;
  readonly tokens: readonly number[];
}

/** Answers questions with the models of the mesh. */
export interface ChatService {
  models(): readonly ChatModel[];
  /** What `gpt-*` and a request without a model mean. */
  readonly defaultModel: string;
  /**
   * Resolves when the generation is accepted, before the prompt has gone through the ring. Rejects with
   * `model-unknown`, `overloaded`, `ring-incomplete` or `peer-unreachable`.
   */
  start(request: ChatRequest): Promise<Generation>;
  encode(model: string, messages: readonly ChatMessage[]): Promise<EncodedChat>;
}
