/**
 * One supervised process of ssh: started by argv (never through a shell) in a process group of its own, so that Ctrl-C in
 * a terminal reaches the node alone and what ssh itself starts (ProxyCommand) ends with it. Keeps the beginning and the
 * end of stderr. Knows nothing of tunnels; the session makes one.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { type Clock, LIMITS, type TimerHandle } from '../../shared/index.js';
import { signalGroup } from './signal-group.js';
import { SSH_PROGRAM } from './ssh-program.js';

/** ssh closes its channels and files when it gets SIGTERM: some milliseconds. What takes longer hangs. */
const KILL_AFTER_MS = 1_000;
/** For the rest of its output after the exit, twice: what ssh started may hold the pipe open, and is ended then. */
const OUTPUT_AFTER_EXIT_MS = 1_000;

/** How a process ended. */
export interface ChildExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** All that it said has been read. */
  readonly complete: boolean;
  /** Set when it could not be started at all. */
  readonly error?: NodeJS.ErrnoException;
}

/** What its owner may be told. */
export interface SshChildEvents {
  onStdout?(text: string): void;
  onStderr?(text: string): void;
}

/** The environment of every ssh that we start: messages in English, and no windows that ask for a password. */
export function sshEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: 'C', SSH_ASKPASS_REQUIRE: 'never' };
}

/** A running ssh. */
export class SshChild {
  /** Undefined when it could not be started. */
  readonly pid: number | undefined;
  /** Resolves when the process is gone and what it said is read. */
  readonly exited: Promise<ChildExit>;
  readonly #clock: Clock;
  readonly #child: ChildProcessWithoutNullStreams;
  #head = '';
  #tail = '';
  #gone = false;
  #killTimer: TimerHandle | undefined;

  constructor(args: readonly string[], events: SshChildEvents, components: { readonly clock: Clock }) {
    this.#clock = components.clock;
    this.#child = spawn(SSH_PROGRAM, args, { env: sshEnvironment(), detached: true, stdio: 'pipe' });
    this.pid = this.#child.pid;
    // What is written to a process that ends is lost, and that is told by its exit.
    this.#child.stdin.on('error', () => undefined);
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => events.onStdout?.(text));
    this.#child.stderr.setEncoding('utf8').on('data', (raw: string) => {
      // ssh ends its lines as a terminal in raw mode needs it.
      const text = raw.replaceAll('\r', '');
      this.#keep(text);
      events.onStderr?.(text);
    });
    this.exited = this.#untilExit();
  }

  /** The beginning and the end of what it wrote to stderr. */
  get stderr(): string {
    return this.#tail === '' ? this.#head : `${this.#head}\n${this.#tail}`;
  }

  /** Ends it and what it started: SIGTERM, after a second SIGKILL. Resolves with `exited`. Idempotent. */
  end(): Promise<ChildExit> {
    if (!this.#gone && this.#killTimer === undefined) {
      signalGroup(this.pid, 'SIGTERM');
      // A stopped process takes no SIGTERM.
      signalGroup(this.pid, 'SIGCONT');
      this.#killTimer = this.#clock.after(KILL_AFTER_MS, () => signalGroup(this.pid, 'SIGKILL'));
    }
    return this.exited;
  }

  #keep(text: string): void {
    const room = LIMITS.sshOutputCharsMax - this.#head.length;
    if (room > 0) this.#head += text.slice(0, room);
    if (text.length > room)
      this.#tail = (this.#tail + text.slice(Math.max(room, 0))).slice(-LIMITS.sshOutputCharsMax);
  }

  async #untilExit(): Promise<ChildExit> {
    const closed = new Promise<true>((resolve) => this.#child.once('close', () => resolve(true)));
    const exit = await new Promise<Omit<ChildExit, 'complete'>>((resolve) => {
      this.#child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
      this.#child.once('error', (error) => {
        // A failed kill is told here too; a process that never started has no pid.
        if (this.pid === undefined) resolve({ exitCode: null, signal: null, error });
      });
    });
    this.#killTimer?.cancel();
    let complete = exit.error !== undefined;
    // A ProxyCommand that outlives its ssh (killed by SIGKILL, say) would hold the way to the server.
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (complete) break;
      signalGroup(this.pid, signal);
      complete = await this.#orSoon(closed);
    }
    signalGroup(this.pid, 'SIGKILL');
    this.#gone = true;
    for (const stream of [this.#child.stdin, this.#child.stdout, this.#child.stderr]) stream.destroy();
    return { ...exit, complete };
  }

  #orSoon(closed: Promise<true>): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(OUTPUT_AFTER_EXIT_MS, () => resolve(false));
      void closed.then(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }
}
