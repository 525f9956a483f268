/** How the programs of this bench are asked: a line of JSON in, a line of JSON out, one after the other; they end with their input. */
import { createInterface } from 'node:readline';

/** Answers every question with what `answer` gives. */
export async function answerQuestions(answer: (question: never) => Promise<unknown>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(JSON.parse(line) as never)));
  }
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** Middle value. */
export function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[(values.length - 1) >> 1] ?? Number.NaN;
}

/** Tokens that differ from each other, the same in every program. */
export function someTokens(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, index) => 5 + (((from + index) * 7_919) % 16_000));
}
