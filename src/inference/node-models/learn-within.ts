/**
 * A model is learnt, but not waited for longer than somebody else waits for the answer: a tokenizer of 10 MB takes 80 s over a slow
 * link. The download goes on; who asks again finds it further on. Called by the ring and by the entry node.
 */
import { type Clock, ExoError, printable, unlessAborted } from '../../shared/index.js';
import type { EngineModels } from './models.js';

/** What is learnt, and how long that may take. */
export interface LearnQuestion {
  readonly id: string;
  readonly mayFetch: boolean;
  readonly patienceMs: number;
}

/** As `EngineModels.learn`; throws `model-fetching`, retryable, with how far the files are, after the patience. */
export async function learnWithin(
  models: EngineModels,
  clock: Clock,
  { id, mayFetch, patienceMs }: LearnQuestion,
  signal: AbortSignal,
): Promise<void> {
  const late = new AbortController();
  const timer = clock.after(patienceMs, () => {
    const words = models.fetching?.(id) ?? 'its files are being looked for';
    late.abort(
      new ExoError(
        'model-fetching',
        `${printable(id, 200)} is not here yet: ${words}; that goes on, ask again later (exo status shows it)`,
        { retryable: true },
      ),
    );
  });
  try {
    await unlessAborted(models.learn(id, signal, mayFetch), late.signal);
  } finally {
    timer.cancel();
  }
}
