/**
 * Text to token ids and back, for the model in a folder: `tokenizer.json` read by Hugging Face's own library, the ids that
 * end an answer, and the chat template. Made once for a model; a vocabulary of 128,000 takes some 0.8 s of the event loop, one
 * of 262,000 (Gemma) 2.4 s, and a template may never end: a node has this in a thread (`thread/`).
 */
import path from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { type Clock, ExoError, printable, systemClock } from '../../shared/index.js';
import { ChatTemplate, plainConversation, type TemplateMessage } from './template/chat-template.js';
import { TokenTable, type TokenTableData, tableOf } from './token-table.js';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.js';

/** The half of a tokenizer that reads text. */
export interface TextReader {
  /** Ids after which an answer is finished: all that any file of the model names. */
  readonly eosTokenIds: ReadonlySet<number>;
  /** What a text begins with, for models that want it. */
  readonly bosTokenId?: number;
  /** Without one, conversations become plain lines. */
  readonly hasChatTemplate: boolean;
  /**
   * Token ids. The text begins with BOS where the model wants it, and with one only: a template may have written it already.
   * Names of special tokens in the text are these tokens.
   */
  encode(text: string): readonly number[];
  /** The text that a conversation becomes. Throws `conversation-refused` or `tokenizer-invalid`. */
  applyChatTemplate(messages: readonly TemplateMessage[]): string;
}

/** The tokenizer of one model. */
export interface ModelTokenizer extends TextReader {
  /** Special tokens are left out, and ids that the vocabulary has not. Bytes that are no whole character become U+FFFD. */
  decode(tokens: readonly number[]): string;
}

/** Collaborators. */
export interface TokenizerComponents {
  /** For templates that write the date. @default the machine's */
  readonly clock?: Clock;
}

/** Reads the files of a folder. Throws `tokenizer-invalid`, which names the file and what is wrong, or the signal's reason. */
export async function openTokenizer(
  directory: string,
  signal: AbortSignal,
  components: TokenizerComponents = {},
): Promise<ModelTokenizer> {
  const { reader, table } = await readTokenizer(directory, signal, components);
  const decoder = new TokenTable(table);
  return { ...reader, decode: (ids) => decoder.decode(ids) };
}

/** The two halves of a tokenizer, which need not live in one thread. Throws as `openTokenizer`. */
export async function readTokenizer(
  directory: string,
  signal: AbortSignal,
  { clock = systemClock }: TokenizerComponents = {},
): Promise<{ readonly reader: TextReader; readonly table: TokenTableData }> {
  const files = await readTokenizerFiles(directory, signal);
  const tokenizer = make(files, directory);
  const tokens = specialTexts(files.config);
  const bosTokenId = idOf(tokenizer, tokens['bos_token']) ?? idsIn(files.model['bos_token_id'])[0];
  const template =
    files.template === undefined
      ? undefined
      : new ChatTemplate(files.template.source, { place: files.template.place, tokens, clock });
  const prefix = prefixOf(tokenizer, files, bosTokenId);
  const encode = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids.filter(isId);
  const reader: TextReader = {
    eosTokenIds: eosIds(tokenizer, files, tokens['eos_token']),
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    hasChatTemplate: template !== undefined,
    encode(text) {
      const ids = encode(text);
      return prefix.length === 0 || ids[0] === prefix[0] ? ids : [...prefix, ...ids];
    },
    applyChatTemplate: (messages) => template?.render(messages) ?? plainConversation(messages),
  };
  return { reader, table: tableOf(tokenizer, files.tokenizer, path.join(directory, 'tokenizer.json')) };
}

function make(files: TokenizerFiles, directory: string): Tokenizer {
  try {
    return new Tokenizer(files.tokenizer, files.config);
  } catch (error) {
    throw new ExoError(
      'tokenizer-invalid',
      `the tokenizer.json in ${printable(directory)} is not understood (${printable((error as Error).message, 120)}); fetch it again (exo model pull), or take another conversion of the model`,
      { cause: error },
    );
  }
}

/**
 * What is put before a text. The library's own way adds also what belongs behind a finished text, so it is asked once
 * what it puts before one. A config that says `add_bos_token` counts more, as in transformers.
 */
function prefixOf(
  tokenizer: Tokenizer,
  files: TokenizerFiles,
  bosTokenId: number | undefined,
): readonly number[] {
  const wanted = files.config['add_bos_token'];
  if (typeof wanted === 'boolean') return wanted && bosTokenId !== undefined ? [bosTokenId] : [];
  const [bare, full] = [false, true].map((add) => tokenizer.encode('a', { add_special_tokens: add }).ids);
  return full!.slice(0, Math.max(full!.indexOf(bare![0]!), 0)).filter(isId);
}

/** `bos_token` and its like, whose value is a text or an object with one. */
function specialTexts(config: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const names = ['bos_token', 'eos_token', 'unk_token', 'pad_token', 'sep_token', 'cls_token', 'mask_token'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = config[name] as { content?: unknown } | string | null | undefined;
      const text = typeof value === 'string' ? value : value?.content;
      return typeof text === 'string' ? [[name, text]] : [];
    }),
  );
}

function eosIds(tokenizer: Tokenizer, files: TokenizerFiles, text: string | undefined): ReadonlySet<number> {
  return new Set([
    ...idsIn(files.generation['eos_token_id']),
    ...idsIn(files.model['eos_token_id']),
    ...idsIn(idOf(tokenizer, text)),
  ]);
}

/** One id or a list of them; what is neither says nothing. */
function idsIn(value: unknown): readonly number[] {
  return (Array.isArray(value) ? value : [value]).filter(isId);
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function idOf(tokenizer: Tokenizer, text: string | undefined): number | undefined {
  return text === undefined ? undefined : tokenizer.token_to_id(text);
}
