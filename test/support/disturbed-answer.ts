/**
 * What is wrong with an answer that was disturbed, beside the same answer undisturbed: the check of the fault tests. It must find
 * something where answers are not taken up again; a test says so. Pure.
 */
import type { StreamedAnswer } from './chat-client.js';

/** What was done to the nodes meanwhile. Times as `performance.now()`. */
export interface Disturbance {
  readonly fromMs: number;
  /** Nothing could go on before: when what was stopped or cut was well again, or was known to be gone. */
  readonly toMs: number;
}

/** What must hold. */
export interface Bounds {
  /** From the end of the disturbance to the next piece. */
  readonly goesOnMs: number;
  /**
   * Weights that are rounded: the answers may part where the two best tokens differ by less than this (natural logarithm of their
   * probabilities). @default 0, equal to the end
   */
  readonly tieLogprob?: number;
}

/** Everything that is wrong, in words; empty where nothing is. */
export function wrongWith(
  answer: StreamedAnswer,
  calm: StreamedAnswer,
  disturbance: Disturbance,
  { goesOnMs, tieLogprob = 0 }: Bounds,
): string[] {
  const wrong: string[] = [];
  if (answer.error !== undefined) wrong.push(`an error: ${answer.error.code}, ${answer.error.message}`);
  if (!answer.isDone) wrong.push('the stream ended without [DONE]');
  const place = answer.pieces.findIndex(({ text }, at) => text !== calm.pieces[at]?.text);
  const parted = place >= 0 ? place : Math.min(answer.pieces.length, calm.pieces.length);
  const isSame = parted === calm.pieces.length && answer.pieces.length === parted;
  if (!isSame && !((calm.pieces[parted]?.tie ?? Number.POSITIVE_INFINITY) < tieLogprob)) {
    const [is, was] = [answer, calm].map(({ pieces }) => `"${pieces[parted]?.text ?? 'nothing'}"`);
    wrong.push(
      `another text: piece ${parted} of ${answer.pieces.length} is ${is}, undisturbed ${was} of ${calm.pieces.length} (tie ${calm.pieces[parted]?.tie})`,
    );
  }
  if (isSame && answer.completionTokens !== calm.completionTokens) {
    wrong.push(`${answer.completionTokens} tokens; undisturbed ${calm.completionTokens}`);
  }
  const gapMs = standstillMs(answer, disturbance);
  if (gapMs > goesOnMs) wrong.push(`went on ${gapMs.toFixed(0)} ms after the disturbance was over`);
  return wrong;
}

/** The longest time without a piece after the disturbance began, less what of it was within the disturbance. */
export function standstillMs({ pieces }: StreamedAnswer, { fromMs, toMs }: Disturbance): number {
  let longest = 0;
  let before = fromMs;
  for (const { atMs } of pieces) {
    if (atMs <= fromMs) continue;
    const withinMs = Math.max(0, Math.min(atMs, toMs) - Math.max(before, fromMs));
    longest = Math.max(longest, atMs - before - withinMs);
    before = atMs;
  }
  return longest;
}
