/**
 * Whether to wait a moment for requests that will be here at once: four requests that decode side by side come back one
 * after the other within a millisecond, and one run for all costs little more than one run for the first. Only for those
 * that were back as quickly before, or came as closely behind the first of them, as they do on a later member of a ring, also where
 * that one was computed alone then; not for those who come by themselves (`waitMs`). Where the members of a ring compute at the
 * same time, steps come when those members are done, and the time that each took before says when he is due (`dueMs`).
 * Pure. Called by the scheduler.
 */

/** The wait for a run that is short. */
export const LINGER_MS = 2;
/** Of the time that a run takes: what is waited is won back several times when one more request is in it. */
const LINGER_SHARE = 1 / 4;
/** Of the wait: for those of whom only is known that they may come. */
const PERHAPS_SHARE = 1 / 2;
/** However long a run takes. */
const LINGER_MS_MAX = 20;
/** Who had no run for so long does not decode here: it is over, or waits for whoever reads the answer. */
const DECODES_MS = 5_000;
/** And nothing of him is known any more. */
const KEPT_MS = 60_000;
/** How much later than before somebody may come. */
const LATE_MS = 1;
/** What the long waits cost is at most a part in so many. */
const RUNS_BETWEEN = 20;
/** However long a run takes. */
const REGROUP_MS_MAX = 100;

interface Habit {
  endedAtMs: number;
  /** From a result to the next step, smoothed. */
  gapMs: number;
  /** From the first step that came after a run to this one's, smoothed. */
  lateMs: number;
}

/** What is known of the requests of one shard. */
export class Lingering {
  readonly #habits = new Map<string, Habit>();
  #last: readonly string[] = [];
  /** Of the first step of a known request after the last run; undefined until one has come. */
  #firstAtMs: number | undefined;
  #lingerMs = LINGER_MS;
  /** Of the last run, if each request in it had one token. */
  #runMs = 0;
  /** A long wait ends then. */
  #regroupUntilMs = Number.NEGATIVE_INFINITY;
  /** The next one may be. */
  #regroupAtMs = Number.NEGATIVE_INFINITY;

  /** A run has ended, which took `runMs`. */
  ended(requestIds: readonly string[], nowMs: number, runMs = 0): void {
    this.#lingerMs = Math.min(LINGER_MS_MAX, Math.max(LINGER_MS, runMs * LINGER_SHARE));
    this.#runMs = runMs;
    this.#last = requestIds;
    this.#firstAtMs = undefined;
    for (const [id, { endedAtMs }] of this.#habits) {
      if (nowMs - endedAtMs > KEPT_MS) this.#habits.delete(id);
    }
    for (const id of requestIds) {
      const { gapMs, lateMs } = this.#habits.get(id) ?? { gapMs: Infinity, lateMs: Infinity };
      this.#habits.set(id, { endedAtMs: nowMs, gapMs, lateMs });
    }
  }

  /** A step has come. */
  arrived(requestId: string, nowMs: number): void {
    const habit = this.#habits.get(requestId);
    if (habit === undefined) return;
    this.#firstAtMs ??= nowMs;
    habit.gapMs = smoothed(habit.gapMs, nowMs - habit.endedAtMs);
    habit.lateMs = smoothed(habit.lateMs, nowMs - this.#firstAtMs);
  }

  /** The request is over. */
  forget(requestId: string): void {
    this.#habits.delete(requestId);
  }

  /** Requests that decode here: those that wait, and those that had a run not long ago. */
  decoding(waiting: ReadonlySet<string>, nowMs: number): number {
    return waiting.size + this.#absent(waiting, nowMs).length;
  }

  /**
   * From a result to the next step of the same request, in the middle of those that decode here, of two the shorter: who reads
   * slowly says nothing of the ring. Undefined: not known.
   */
  restMs(nowMs: number): number | undefined {
    const gaps = [...this.#habits.values()]
      .filter(({ endedAtMs, gapMs }) => nowMs - endedAtMs < DECODES_MS && Number.isFinite(gapMs))
      .map(({ gapMs }) => gapMs)
      .sort((a, b) => a - b);
    return gaps[(gaps.length - 1) >> 1];
  }

  /**
   * How long to wait now, in milliseconds; 0 when nobody is expected.
   * @param waiting the requests that are here
   * @param turnMs when another engine of this machine ended its step: all that are known may come from there
   */
  waitMs(waiting: ReadonlySet<string>, nowMs: number, turnMs?: number): number {
    let longest = 0;
    if (turnMs !== undefined && this.#absent(waiting, nowMs).length > 0) {
      longest = turnMs + this.#lingerMs * PERHAPS_SHARE - nowMs;
    }
    const beforeMs = this.#endedBefore(waiting);
    for (const [id, habit] of this.#habits) {
      if (waiting.has(id)) continue;
      // Who was not here since one of these was here last does not come any more, or by himself.
      if (habit.endedAtMs < beforeMs && !this.#last.includes(id)) continue;
      if (habit.gapMs <= this.#lingerMs)
        longest = Math.max(longest, habit.endedAtMs + this.#lingerMs - nowMs);
      else if (habit.lateMs <= this.#lingerMs && this.#firstAtMs !== undefined)
        longest = Math.max(longest, this.#firstAtMs + this.#lingerMs - nowMs);
    }
    return longest;
  }

  /**
   * The same where the steps come from machines that compute meanwhile: who is due in a moment, by the time that he took before.
   * @param sinceMs when the wait began, which may be longer for those who come behind others, but not without an end
   * @param together whether all should be in one run: then that moment is now and then as long as a run, so that requests that
   *   came apart, of which each has runs of its own, are together again after it
   */
  dueMs(waiting: ReadonlySet<string>, nowMs: number, sinceMs: number, together: boolean): number {
    const lingerUntilMs = Math.min(nowMs, sinceMs + this.#lingerMs) + this.#lingerMs;
    const lastMs = this.#due(waiting, Math.max(lingerUntilMs, this.#regroupUntilMs));
    if (lastMs > nowMs || !together || nowMs < this.#regroupAtMs) return lastMs - nowMs;
    const untilMs = nowMs + Math.min(this.#runMs, REGROUP_MS_MAX);
    const lateMs = this.#due(waiting, untilMs);
    if (lateMs > nowMs) {
      this.#regroupUntilMs = untilMs;
      this.#regroupAtMs = nowMs + this.#runMs * RUNS_BETWEEN;
    }
    return lateMs - nowMs;
  }

  /** Who decodes here and does not wait. */
  #absent(waiting: ReadonlySet<string>, nowMs: number): Habit[] {
    return [...this.#habits]
      .filter(([id, { endedAtMs }]) => !waiting.has(id) && nowMs - endedAtMs < DECODES_MS)
      .map(([, habit]) => habit);
  }

  /** When the last of those comes who are due until then. */
  #due(waiting: ReadonlySet<string>, untilMs: number): number {
    let last = Number.NEGATIVE_INFINITY;
    for (const [id, { endedAtMs, gapMs }] of this.#habits) {
      const atMs = endedAtMs + gapMs + LATE_MS;
      if (!waiting.has(id) && atMs <= untilMs) last = Math.max(last, atMs);
    }
    return last;
  }

  /** When the first of these was computed last; Infinity when none was. */
  #endedBefore(waiting: ReadonlySet<string>): number {
    let beforeMs = Number.POSITIVE_INFINITY;
    for (const id of waiting) beforeMs = Math.min(beforeMs, this.#habits.get(id)?.endedAtMs ?? beforeMs);
    return beforeMs;
  }
}

function smoothed(before: number, now: number): number {
  return Number.isFinite(before) ? (before + now) / 2 : now;
}
