/** Byte-level BPE from tokenizer.json, for an old peer that holds the first layer and so makes the tokens itself. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** How GPT-2 cuts text into words before merging. */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** Bytes as printable characters: themselves where they are printable, else from U+0100 on. */
function byteAlphabet() {
  const letters = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    letters.push(String.fromCodePoint(printable ? byte : next++));
  }
  return letters;
}

const LETTERS = byteAlphabet();
const BYTES = new Map(LETTERS.map((letter, byte) => [letter, byte]));

export class BpeTokenizer {
  #ids;
  #texts = new Map();
  #ranks;
  #special;
  #specialIds;

  constructor(folder) {
    const { model, added_tokens: added } = JSON.parse(
      readFileSync(path.join(folder, 'tokenizer.json'), 'utf8'),
    );
    this.#ids = new Map(Object.entries(model.vocab));
    for (const [text, id] of this.#ids) this.#texts.set(id, text);
    this.#ranks = new Map(
      model.merges.map((merge, rank) => [Array.isArray(merge) ? merge.join(' ') : merge, rank]),
    );
    this.#specialIds = new Map(added.map(({ content, id }) => [content, id]));
    const escaped = added.map(({ content }) => content.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    this.#special = new RegExp(`(${escaped.join('|')})`);
  }

  encode(text) {
    return text
      .split(this.#special)
      .filter((part) => part !== '')
      .flatMap((part) => {
        const special = this.#specialIds.get(part);
        return special === undefined ? this.#encodePlain(part) : [special];
      });
  }

  /** Without special tokens. */
  decode(tokens) {
    const special = new Set(this.#specialIds.values());
    const letters = tokens.filter((id) => !special.has(id)).map((id) => this.#texts.get(id) ?? '');
    return Buffer.from([...letters.join('')].map((letter) => BYTES.get(letter) ?? 0)).toString('utf8');
  }

  #encodePlain(text) {
    const ids = [];
    for (const [word] of text.matchAll(WORDS)) {
      const letters = [...Buffer.from(word, 'utf8')].map((byte) => LETTERS[byte]);
      for (const piece of this.#merged(letters)) ids.push(this.#ids.get(piece));
    }
    return ids;
  }

  #merged(pieces) {
    for (;;) {
      let best = -1;
      let bestRank = Number.POSITIVE_INFINITY;
      for (let at = 0; at + 1 < pieces.length; at++) {
        const rank = this.#ranks.get(`${pieces[at]} ${pieces[at + 1]}`);
        if (rank !== undefined && rank < bestRank) [best, bestRank] = [at, rank];
      }
      if (best < 0) return pieces;
      pieces.splice(best, 2, pieces[best] + pieces[best + 1]);
    }
  }
}
