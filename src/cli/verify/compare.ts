/**
 * Two answers to one question, computed in two ways, held against each other: the same ids, and log probabilities that differ by no
 * more than the arithmetic explains. Pure.
 */

/** A candidate, as the API tells it. */
export interface TokenJson {
  readonly token: string;
  readonly token_id: number;
  readonly logprob: number;
}

/** A chosen token and the likeliest ones. */
export interface ChosenJson extends TokenJson {
  readonly top_logprobs: readonly TokenJson[];
}

/** A whole answer. */
export interface VerifiedAnswer {
  readonly tokens: readonly ChosenJson[];
  readonly finishReason: string;
}

/** What the comparison of one question found. */
export interface Comparison {
  /** Tokens in a row, from the first, that are the same in both. */
  readonly same: number;
  /** Of the longer answer. */
  readonly tokens: number;
  /** The largest difference of log probabilities over the tokens that are the same, candidates considered; and where it is. */
  readonly difference: number;
  readonly differenceAt: number;
  /** The first token that differs; absent: all are the same. */
  readonly fork?: Fork;
  readonly isEqual: boolean;
}

/** Where two answers part. */
export interface Fork {
  readonly at: number;
  readonly one: string;
  readonly other: string;
  /** Between the two best tokens there, in the first answer, in log probability: near 0 is a tie, which rounding decides. */
  readonly gap: number;
}

/**
 * Compares. Equal are answers whose ids are the same to the end and whose log probabilities differ by at most `bound`; an answer
 * that parts where the two best tokens are no more than `bound` apart has met a tie, and is equal as far as it can be.
 */
export function compare(one: VerifiedAnswer, other: VerifiedAnswer, bound: number): Comparison {
  const tokens = Math.max(one.tokens.length, other.tokens.length);
  let difference = 0;
  let differenceAt = 0;
  let same = 0;
  for (; same < tokens; same += 1) {
    const [a, b] = [one.tokens[same], other.tokens[same]];
    if (a === undefined || b === undefined || a.token_id !== b.token_id) break;
    const found = largestDifference(a, b);
    if (isWorse(found, difference)) [difference, differenceAt] = [found, same];
  }
  const isWithin = difference <= bound;
  if (same === tokens && one.finishReason === other.finishReason) {
    return { same, tokens, difference, differenceAt, isEqual: isWithin };
  }
  const fork = forkAt(same, one, other);
  return { same, tokens, difference, differenceAt, fork, isEqual: isWithin && fork.gap <= bound };
}

/** Of the candidates that both name; a token that only one of them has among its likeliest is near the end of the list. */
function largestDifference(a: ChosenJson, b: ChosenJson): number {
  const others = new Map(b.top_logprobs.map(({ token_id, logprob }) => [token_id, logprob]));
  let largest = Math.abs(a.logprob - b.logprob);
  for (const { token_id, logprob } of a.top_logprobs) {
    const other = others.get(token_id);
    if (other === undefined) continue;
    const found = Math.abs(logprob - other);
    if (isWorse(found, largest)) largest = found;
  }
  return largest;
}

/** NaN is the worst difference. */
function isWorse(found: number, worst: number): boolean {
  return !Number.isNaN(worst) && !(found <= worst);
}

function forkAt(at: number, one: VerifiedAnswer, other: VerifiedAnswer): Fork {
  const [a, b] = [one.tokens[at], other.tokens[at]];
  const [best, next] = (a ?? b)?.top_logprobs ?? [];
  const gap =
    best === undefined || next === undefined ? Number.POSITIVE_INFINITY : best.logprob - next.logprob;
  return { at, one: a?.token ?? `(${one.finishReason})`, other: b?.token ?? `(${other.finishReason})`, gap };
}
