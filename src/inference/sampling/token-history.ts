/**
 * The tokens that penalties look at: the last ones of prompt and answer, counted as they come. Bounded, so that it can travel to
 * another node when the ring changes. Pure. Held by `ring-request.ts`, read by `sampler.ts`.
 */
import { LIMITS } from '../../shared/index.js';
import type { TokenCounts } from '../engine.js';

/** A window over one sequence. */
export class TokenHistory implements TokenCounts {
  readonly all = new Map<number, number>();
  readonly answer = new Map<number, number>();
  readonly #tokens: number[] = [];
  /** Place in `#tokens` of the first one in the window. */
  #first = 0;
  /** Place in `#tokens` of the first one of the answer. */
  readonly #answerFrom: number;

  /** @param answered how many of `tokens`, from the end, belong to the answer */
  constructor(tokens: readonly number[] = [], answered = 0) {
    this.#answerFrom = Math.max(0, tokens.length - answered);
    for (const token of tokens) this.push(token);
  }

  /** The next token of the sequence; those of the constructor come before it. */
  push(token: number): void {
    const { all, answer } = this;
    const place = this.#tokens.push(token) - 1;
    add(all, token, 1);
    if (place >= this.#answerFrom) add(answer, token, 1);
    if (this.#tokens.length - this.#first <= LIMITS.penaltyTokensMax) return;
    const old = this.#tokens[this.#first]!;
    add(all, old, -1);
    if (this.#first >= this.#answerFrom) add(answer, old, -1);
    this.#first += 1;
  }
}

function add(counts: Map<number, number>, token: number, by: number): void {
  const count = (counts.get(token) ?? 0) + by;
  if (count === 0) counts.delete(token);
  else counts.set(token, count);
}
