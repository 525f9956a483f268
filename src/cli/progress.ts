/**
 * What is being waited for, on stderr: one line that renews itself on a terminal, one line per change elsewhere.
 * Silent for the first moment, so that quick things say nothing.
 */
import type { TimerHandle } from '../shared/index.js';
import { type CliHost, colours } from './host.js';

/** Waiting shorter than this needs no words. */
const QUIET_MS = 500;
const REDRAW_MS = 1_000;

/** Progress of one wait. */
export class Progress {
  readonly #host: CliHost;
  readonly #startMs: number;
  readonly #timers: TimerHandle[] = [];
  #text: string;
  #shown = false;
  #printed = '';
  #ended = false;

  constructor(host: CliHost, text: string) {
    this.#host = host;
    this.#text = text;
    this.#startMs = host.clock.now();
    this.#timers.push(
      host.clock.after(QUIET_MS, () => {
        this.#shown = true;
        this.#draw();
      }),
    );
    if (host.stderr.isTTY === true) this.#timers.push(host.clock.every(REDRAW_MS, () => this.#draw()));
  }

  /** Now waiting for something else. */
  update(text: string): void {
    this.#text = text;
    this.#draw();
  }

  /** Clears the line. Idempotent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const timer of this.#timers) timer.cancel();
    if (this.#shown && this.#host.stderr.isTTY === true) this.#host.stderr.write('\r\u001b[2K');
  }

  #draw(): void {
    if (!this.#shown || this.#ended) return;
    const { stderr, env, clock } = this.#host;
    if (stderr.isTTY === true) {
      const seconds = Math.round((clock.now() - this.#startMs) / 1000);
      const since = ` … ${seconds} s`;
      const line = this.#text.slice(0, Math.max(0, (stderr.columns ?? 80) - 1 - since.length)) + since;
      stderr.write(`\r\u001b[2K${colours(stderr, env).dim(line)}`);
    } else if (this.#printed !== this.#text) {
      this.#printed = this.#text;
      stderr.write(`${this.#text} …\n`);
    }
  }
}
