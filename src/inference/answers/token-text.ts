/** The text of one token as it stands in the middle of a text, for lists of candidates. Pure. */
import type { Tokenizer } from '../engine.js';

/**
 * Some tokenizers leave out the space of a first word: so the token is decoded after itself. A part of a character has
 * U+FFFD in its text.
 */
export function textOfToken(tokenizer: Tokenizer, token: number): string {
  const once = tokenizer.decode([token]);
  const twice = tokenizer.decode([token, token]);
  // Two parts of a character may join; then nothing is left to compare.
  return !once.includes('\ufffd') && twice.startsWith(once) ? twice.slice(once.length) : once;
}
