/** What the main thread and a tokenizer's thread tell each other. One question at a time, one answer to each. */
import type { ErrorCode } from '../../../shared/index.js';
import type { TemplateMessage } from '../template/chat-template.js';
import type { TokenTableData } from '../token-table.js';

/** Main thread to tokenizer. `open` comes first and once. */
export type TokenizerQuestion =
  | { readonly op: 'open'; readonly directory: string }
  | { readonly op: 'encode'; readonly text: string; readonly tokensMax?: number }
  | { readonly op: 'template'; readonly messages: readonly TemplateMessage[] };

/** What is known of a tokenizer once its files are read. */
export interface OpenedTokenizer {
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | undefined;
  readonly hasChatTemplate: boolean;
  readonly table: TokenTableData;
}

/** Tokenizer to main thread. */
export type TokenizerAnswer =
  | { readonly opened: OpenedTokenizer }
  | { readonly ids: Uint32Array }
  | { readonly text: string }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };
