/**
 * One generation as pieces of text: reads the tokens, looks for stop sequences, counts. Used by both forms of the
 * chat endpoint; knows nothing of HTTP.
 */
import type { GeneratedLogprobs } from '../inference/index.js';
import { ExoError } from '../shared/index.js';
import type { FinishReason, Usage } from './chat-shapes.js';
import type { Generation } from './ports.js';
import { StopScanner } from './stop-sequences.js';
import type { WorkScope } from './work-scope.js';

/** How an answer ended. */
export interface AnswerEnd {
  readonly finishReason: FinishReason;
  readonly usage: Usage;
}

/** The text that became certain, and the log probabilities of the tokens since the piece before. */
export interface AnswerPiece {
  readonly text: string;
  readonly logprobs: readonly GeneratedLogprobs[];
}

/**
 * Calls `onPiece` for each piece in order and waits for it. Throws what ended the generation early, or the reason
 * of the scope's signal.
 */
export async function readAnswer(
  generation: Generation,
  stops: readonly string[],
  scope: WorkScope,
  onPiece: (piece: AnswerPiece) => Promise<void> | void,
): Promise<AnswerEnd> {
  const { promptTokens } = generation;
  const scanner = new StopScanner(stops);
  const tokens = generation.tokens[Symbol.asyncIterator]();
  // Read below; until then a failure is told by `tokens`.
  generation.result.catch(() => undefined);
  let completionTokens = 0;
  let logprobs: GeneratedLogprobs[] = [];
  const give = async (text: string): Promise<void> => {
    if (text === '' && (logprobs.length === 0 || !isOver)) return;
    const piece = { text, logprobs };
    logprobs = [];
    await scope.race(Promise.resolve(onPiece(piece)));
  };
  let isOver = false;
  try {
    for (;;) {
      const next = await scope.race(tokens.next());
      if (next.done === true) break;
      completionTokens += 1;
      if (next.value.logprobs !== undefined) logprobs.push(next.value.logprobs);
      const text = scanner.push(next.value.text);
      isOver = scanner.stopped;
      await give(text);
      if (scanner.stopped) {
        scope.cancel(new ExoError('request-cancelled', 'a stop sequence was reached'));
        return { finishReason: 'stop', usage: { promptTokens, completionTokens } };
      }
    }
  } finally {
    void tokens.return?.().catch(() => undefined);
  }
  isOver = true;
  await give(scanner.flush());
  const result = await scope.race(generation.result);
  return {
    finishReason: result.finishReason,
    usage: { promptTokens, completionTokens: result.completionTokens },
  };
}
