/** How a text is refused that is too long for the model, by both sides of a tokenizer's thread. Pure. */
import { ExoError } from '../../shared/index.js';

/** A shorter one that takes long, or makes much, is the fault of the tokenizer or its template. */
export const LONG_TEXT_CHARS = 65_536;

/**
 * `prompt-too-long`.
 * @param has what the messages have too much of
 * @param tokensMax that would fit; undefined where nobody said
 */
export function tooLong(has: string, tokensMax: number | undefined, options?: ErrorOptions): ExoError {
  const fitting = tokensMax === undefined ? '' : `, and ${tokensMax} tokens fit the context of the model`;
  return new ExoError('prompt-too-long', `the messages have ${has}${fitting}; shorten them`, options);
}
