/**
 * Ids to text, without the vocabulary's other half: what the main thread keeps of a tokenizer, because every token of every
 * answer is decoded there. Made in the tokenizer's thread (`tableOf`), moved to the main one, read there (`TokenTable`).
 */
import { Tokenizer } from '@huggingface/tokenizers';
import { ExoError, LIMITS, printable } from '../../shared/index.js';

/** A table as it crosses between threads; the arrays are moved, not copied. */
export interface TokenTableData {
  /** UTF-16 of all tokens, one behind the other. */
  readonly units: Uint16Array;
  /** By id: where its text ends in `units`. */
  readonly ends: Uint32Array;
  /** By id: 1 where decoding shows it. Special tokens and holes of the vocabulary are not shown. */
  readonly shown: Uint8Array;
  /** The `decoder` of tokenizer.json. */
  readonly decoder: object | null;
  /** Added tokens that are shown, as tokenizer.json has them: text as it is, not bytes. */
  readonly added: readonly object[];
  /** Of old byte pair vocabularies. */
  readonly wordEnd: string | null;
}

/** What is read of tokenizer.json here. */
interface Definition {
  readonly decoder?: object | null;
  readonly added_tokens?: ReadonlyArray<{ readonly special?: boolean }>;
}

/** The table of a tokenizer. Throws `tokenizer-invalid` for a decoder that could take for ever, and for ids without measure. */
export function tableOf(tokenizer: Tokenizer, definition: Definition, place: string): TokenTableData {
  const { decoder = null, added_tokens: added = [] } = definition;
  refusePatterns(decoder, place);
  const special = new Set(
    [...tokenizer.get_added_tokens_decoder()].filter(([, token]) => token.special).map(([id]) => id),
  );
  const vocab = (tokenizer.model?.vocab ?? []) as ReadonlyArray<string | undefined>;
  if (vocab.length > LIMITS.modelSizeMax) {
    throw new ExoError(
      'tokenizer-invalid',
      `${printable(place)} has the id ${vocab.length - 1}; at most ${LIMITS.modelSizeMax} tokens are read. Take another version of the model`,
    );
  }
  const ends = new Uint32Array(vocab.length);
  const shown = new Uint8Array(vocab.length);
  let end = 0;
  for (let id = 0; id < vocab.length; id += 1) {
    const text = special.has(id) ? undefined : vocab[id];
    shown[id] = text === undefined ? 0 : 1;
    end += text?.length ?? 0;
    ends[id] = end;
  }
  const units = new Uint16Array(end);
  for (let id = 0, at = 0; id < vocab.length; id += 1) {
    if (shown[id] === 0) continue;
    const text = vocab[id]!;
    for (let index = 0; index < text.length; index += 1, at += 1) units[at] = text.charCodeAt(index);
  }
  const wordEnd = (tokenizer.decoder?.end_of_word_suffix ?? null) as string | null;
  return { units, ends, shown, decoder, added: added.filter((token) => token.special !== true), wordEnd };
}

/** Decodes in the time of a table look-up for each token. */
export class TokenTable {
  readonly #data: TokenTableData;
  readonly #text: Buffer;
  readonly #decoder: Tokenizer['decoder'];

  constructor(data: TokenTableData) {
    this.#data = data;
    this.#text = Buffer.from(data.units.buffer, data.units.byteOffset, data.units.byteLength);
    // The library's own decoder, around a vocabulary of nothing.
    this.#decoder = new Tokenizer(
      {
        model: { type: 'BPE', vocab: {}, merges: [], end_of_word_suffix: data.wordEnd },
        decoder: data.decoder,
        added_tokens: data.added,
        normalizer: null,
        pre_tokenizer: null,
        post_processor: null,
      },
      {},
    ).decoder;
  }

  /** As `ModelTokenizer.decode`. */
  decode(ids: readonly number[]): string {
    // Spaces before full stops stay: what is decoded piece by piece must be the same text.
    const tokens: string[] = [];
    for (const id of ids) if (this.#data.shown[id] === 1) tokens.push(this.#tokenOf(id));
    if (tokens.length === 0) return '';
    const text = this.#decoder?.decode(tokens) ?? tokens.join(' ');
    const { wordEnd } = this.#data;
    return wordEnd === null || this.#decoder === null ? text : text.replaceAll(wordEnd, ' ');
  }

  #tokenOf(id: number): string {
    const { ends } = this.#data;
    const from = id === 0 ? 0 : ends[id - 1]!;
    return this.#text.toString('utf16le', 2 * from, 2 * ends[id]!);
  }
}

/** A pattern of whoever published the model would run in the main thread, and may be one that never ends. No known model has one. */
function refusePatterns(decoder: object | null, place: string): void {
  const pattern = /"Regex"\s*:/.exec(JSON.stringify(decoder));
  if (pattern === null) return;
  throw new ExoError(
    'tokenizer-invalid',
    `the decoder of ${printable(place)} has a regular expression, which is not supported; take another conversion of the model`,
  );
}
