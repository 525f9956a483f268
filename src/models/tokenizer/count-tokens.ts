/**
 * How many tokens a text has at least, found piece by piece and given up as soon as it is enough: a prompt that is too long by far is
 * refused after a second, not after all of it was encoded. Pure. Called in the tokenizer's thread.
 */

/** One is encoded in some milliseconds, also where it is one word, of which the time grows faster than the length. */
const PIECE_CHARS = 4_096;
/** A cut goes where a word begins, if one does so near by. */
const WORD_CHARS_MAX = 512;
/** Tokens that a cut may add: of a word that is cut in two, and what a tokenizer puts before each text. */
const CUT_TOKENS_MAX = 16;
/** Text of people and programs has fewer characters a token: what has more than this for each token that fits is mostly too long. */
const SUSPICIOUS_CHARS_PER_TOKEN = 6;

/**
 * A lower bound of the tokens of a text that has certainly more than `tokensMax`; undefined for a text that may fit, which is
 * for whoever encodes the whole of it to say.
 */
export function tooManyTokens(
  encode: (piece: string) => readonly number[],
  text: string,
  tokensMax: number,
): number | undefined {
  if (text.length <= SUSPICIOUS_CHARS_PER_TOKEN * tokensMax) return undefined;
  let least = 0;
  for (const piece of piecesOf(text)) {
    least += Math.max(0, encode(piece).length - CUT_TOKENS_MAX);
    if (least > tokensMax) return least;
  }
  return undefined;
}

function* piecesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const to = cutAt(text, from + PIECE_CHARS);
    yield text.slice(from, to);
    from = to;
  }
}

/** At or before `end`: where a word begins, else between two characters. */
function cutAt(text: string, end: number): number {
  if (end >= text.length) return text.length;
  for (let at = end; at > end - WORD_CHARS_MAX; at -= 1) {
    if (isSpace(text.charCodeAt(at)) && !isSpace(text.charCodeAt(at - 1))) return at;
  }
  const isInside = (text.charCodeAt(end) & 0xfc00) === 0xdc00;
  return isInside ? end - 1 : end;
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
}
