/**
 * One `exo node` in a process of its own, as a person would start it in another terminal. It has its own group, so that
 * Ctrl-C reaches the demo alone, and an IPC channel, so that it ends by itself when the demo is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Clock, ExoError } from '../../shared/index.js';

/** How a child is started. */
export interface ChildNodeOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** The end of the output, for the message when it dies. */
const TAIL_CHARS = 4_000;
const TAIL_LINES = 8;
/** The node ends within two seconds; what takes longer hangs. */
const KILL_AFTER_MS = 5_000;
const MAIN = fileURLToPath(
  new URL(`../main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

/** A running child. */
export class ChildNode {
  readonly name: string;
  /** Rejects when the child ends without having been asked to. */
  readonly died: Promise<never>;
  readonly #clock: Clock;
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;
  #tail = '';
  #stopping = false;

  constructor(options: ChildNodeOptions, components: { readonly clock: Clock }) {
    this.name = options.name;
    this.#clock = components.clock;
    this.#child = spawn(process.execPath, [...process.execArgv, MAIN, ...options.args], {
      env: options.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#tail = (this.#tail + text).slice(-TAIL_CHARS);
      });
    }
    const ended = new Promise<string>((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    this.#closed = ended.then(() => undefined);
    this.died = ended.then((how) => {
      if (this.#stopping) return new Promise<never>(() => undefined);
      const tail = this.#tail.trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
      throw new ExoError('peer-lost', `the node ${this.name} ended (${how}). The end of its log:\n${tail}`);
    });
    // Looked at by whoever waits; a death in between is told at the next wait.
    this.died.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Ends the child, with force if it does not go. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child.kill('SIGTERM');
    const timer = this.#clock.after(KILL_AFTER_MS, () => this.kill());
    await this.#closed;
    timer.cancel();
  }

  /** Ends the child at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
