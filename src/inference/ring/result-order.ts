/**
 * Puts the results of one request in order: those with an index wait for the ones before them and come once, those
 * without (from old peers) pass as they come. Pure.
 */
import type { Result } from '../../protocol/index.js';
import { ExoError, LIMITS } from '../../shared/index.js';

/** The results of one request. */
export class ResultOrder {
  #next: number;
  readonly #waiting = new Map<number, Result>();

  /** @param first index of the first token that comes: more than 0 where an answer is taken up */
  constructor(first = 0) {
    this.#next = first;
  }

  /** The results that can be read now. Throws `protocol-violation` when too many wait for one that is missing. */
  accept(result: Result): readonly Result[] {
    if (result.error !== undefined) return [result];
    const index = result.index ?? this.#next;
    if (index < this.#next) return [];
    this.#waiting.set(index, result);
    if (this.#waiting.size > LIMITS.resultsReorderedMax) {
      throw new ExoError(
        'protocol-violation',
        `token ${this.#next} of request ${result.requestId} never came`,
      );
    }
    const ready: Result[] = [];
    for (;;) {
      const next = this.#waiting.get(this.#next);
      if (next === undefined) return ready;
      this.#waiting.delete(this.#next);
      ready.push(next);
      if (next.result.length === 0) return ready;
      this.#next += next.result.length;
    }
  }
}
