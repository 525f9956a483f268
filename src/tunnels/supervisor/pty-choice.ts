/**
 * Whether a tunnel holds a terminal session, so that neither end of ssh delays small segments (Nagle): found out once per
 * tunnel by measuring, and given up when the server does not want it. Pure; part of the supervisor.
 */
import type { SessionFacts } from '../driver.js';

/** `unknown` until measured. `asked`: sessions are opened with a pty. `no`: they are not, for the reason in the note. */
type Choice = 'unknown' | 'asked' | 'no';

/** Beyond such a round trip 40 ms more are no great matter, and a burst takes too long. The first one is slower than later ones. */
const MEASURE_RTT_MS_MAX = 40;

/** One per tunnel. */
export class PtyChoice {
  #choice: Choice = 'unknown';
  #note: string | undefined;

  /** For the next session. */
  get asked(): boolean {
    return this.#choice === 'asked';
  }

  /** What a person should know, if anything. */
  get note(): string | undefined {
    return this.#note;
  }

  /** Whether a burst can tell something, given the round trip of the first check. */
  shouldMeasure(rttMs: number | undefined): boolean {
    return this.#choice === 'unknown' && rttMs !== undefined && rttMs <= MEASURE_RTT_MS_MAX;
  }

  /**
   * Returns whether the session is to be opened again, with a pty; one that is in use is left, and the next has it. Undefined could not
   * tell: it is measured again next time.
   */
  measured(stalls: boolean | undefined, inUse: boolean): boolean {
    if (stalls === undefined) return false;
    this.#choice = stalls ? 'asked' : 'no';
    if (!stalls || !inUse) return stalls;
    this.#note =
      'one small message in twelve or so waits 40 ms (Nagle): a terminal session, which mends it, is held from the next connect on, because a peer uses this one';
    return false;
  }

  /** A session that asked for a pty stands. */
  opened(pty: SessionFacts['pty']): void {
    if (pty === 'held') {
      this.#note =
        'small messages were held back for 40 ms (Nagle): a terminal session is held, which makes ssh send them at once';
    } else if (pty === 'refused') {
      this.#choice = 'no';
      this.#note =
        'the server allows no terminal session: one small message in twelve or so waits 40 ms (Nagle); allow PermitTTY for this account to mend it';
    }
  }

  /** A session that asked for a pty ended before it was proven: not again. */
  failed(): void {
    if (this.#choice !== 'asked') return;
    this.#choice = 'no';
    this.#note =
      'sessions with a terminal do not stand on this server: one small message in twelve or so waits 40 ms (Nagle)';
  }
}
