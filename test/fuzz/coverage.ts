/**
 * Which code of the program has run, by V8's own counters: what no input reached before makes an input worth keeping. Asking takes
 * about a millisecond, so the fuzzer asks once for many inputs and again for each of them only when there was something new.
 */
import { Session } from 'node:inspector';

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}
interface Script {
  readonly scriptId: string;
  readonly url: string;
  readonly functions: ReadonlyArray<{ readonly ranges: readonly Range[] }>;
}

/** Ours, from source or built, and validators that are compiled while they run (these have no address). */
const WATCHED = /^(?!.*\/node_modules\/).*\/(?:src|dist)\/|^$/;

/** Covered characters of one isolate's scripts. One a worker. */
export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Map<string, Uint8Array>();
  #chars = 0;

  constructor() {
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Characters of code that have run so far. */
  get chars(): number {
    return this.#chars;
  }

  /** How many characters ran since the last call (of either) that never had before; from now on they have. */
  news(): number {
    const fresh = this.#look(true);
    this.#chars += fresh;
    return fresh;
  }

  /** The same, but they stay new. */
  peek(): number {
    return this.#look(false);
  }

  #look(remember: boolean): number {
    const { result } = this.#post('Profiler.takePreciseCoverage') as { result: readonly Script[] };
    let fresh = 0;
    for (const { scriptId, url, functions } of result) {
      if (WATCHED.test(url)) fresh += this.#paint(scriptId, functions, remember);
    }
    return fresh;
  }

  stop(): void {
    this.#post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  /** Ranges are nested, and an inner one says more than the one around it. */
  #paint(id: string, functions: Script['functions'], remember: boolean): number {
    const length = functions.reduce((most, { ranges }) => Math.max(most, ranges[0]?.endOffset ?? 0), 0);
    const now = new Uint8Array(length);
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges)
        now.fill(count > 0 ? 1 : 0, startOffset, endOffset);
    }
    let seen = this.#seen.get(id);
    if (seen === undefined || seen.length < length) {
      const longer = new Uint8Array(length);
      if (seen !== undefined) longer.set(seen);
      this.#seen.set(id, longer);
      seen = longer;
    }
    let fresh = 0;
    for (let at = 0; at < length; at += 1) {
      if (now[at] === 1 && seen[at] === 0) {
        if (remember) seen[at] = 1;
        fresh += 1;
      }
    }
    return fresh;
  }

  #post(method: string, params: object = {}): unknown {
    let answer: unknown;
    // In the same thread the answer comes before `post` returns.
    this.#session.post(method, params, (error, value) => {
      if (error !== null) throw new Error(`${method}: ${error.message}`);
      answer = value;
    });
    return answer;
  }
}
