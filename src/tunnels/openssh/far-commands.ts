/**
 * The ssh processes that run commands over one command connection: started here, and ended here with the connection, also
 * those that their caller has lost sight of. The connection has one.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Clock } from '../../shared/index.js';
import { signalGroup } from '../ssh/signal-group.js';
import { sshEnvironment } from '../ssh/ssh-child.js';
import { SSH_PROGRAM } from '../ssh/ssh-program.js';

/** As long as other processes of ssh are given. */
const KILL_AFTER_MS = 1_000;

/** Open until `end`. */
export class FarCommands {
  readonly #clock: Clock;
  /** With the promise of their exit. */
  readonly #running = new Map<ChildProcessWithoutNullStreams, Promise<void>>();

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock;
  }

  /** Starts one; its streams are the caller's. */
  start(args: readonly string[]): ChildProcessWithoutNullStreams {
    const child = spawn(SSH_PROGRAM, args, { env: sshEnvironment(), detached: true, stdio: 'pipe' });
    const exited = new Promise<void>((resolve) => {
      const done = () => {
        this.#running.delete(child);
        resolve();
      };
      child.once('exit', done);
      // The caller hears of it too; a process that never started has no exit.
      child.once('error', () => {
        if (child.pid === undefined) done();
      });
    });
    this.#running.set(child, exited);
    return child;
  }

  /** Ends those that still run: SIGTERM, after a second SIGKILL. Resolves when they are gone. */
  async end(): Promise<void> {
    const all = [...this.#running];
    for (const [{ pid }] of all) {
      signalGroup(pid, 'SIGTERM');
      signalGroup(pid, 'SIGCONT');
    }
    const timer = this.#clock.after(KILL_AFTER_MS, () => {
      for (const { pid } of this.#running.keys()) signalGroup(pid, 'SIGKILL');
    });
    await Promise.all(all.map(([, exited]) => exited));
    timer.cancel();
  }
}
