/** A command line inside the test process: outputs are kept, signals are sent by the test. */
import type { CliHost } from '../../src/cli/host.js';
import { runProgram } from '../../src/cli/program.js';
import { type Clock, systemClock, systemRandom } from '../../src/shared/index.js';

/** Thrown where the process would have ended at once. */
export class ExitedNow extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** A host and what came out of it. */
export class TestHost implements CliHost {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly random = systemRandom;
  out = '';
  err = '';
  hasTerminalGone = false;
  readonly stdout: { write(text: string): void; isTTY?: boolean };
  readonly stderr: { write(text: string): void; isTTY?: boolean };
  #signals: Array<{ signals: readonly NodeJS.Signals[]; listener: (signal: NodeJS.Signals) => void }> = [];
  #parent: Array<() => void> = [];

  constructor(
    argv: readonly string[],
    options: { env?: NodeJS.ProcessEnv; clock?: Clock; isTTY?: boolean } = {},
  ) {
    this.argv = argv;
    this.env = options.env ?? {};
    this.clock = options.clock ?? systemClock;
    const isTTY = options.isTTY ?? false;
    this.stdout = {
      write: (text) => {
        this.out += text;
      },
      isTTY,
    };
    this.stderr = {
      write: (text) => {
        this.err += text;
      },
      isTTY,
    };
  }

  readInput(): Promise<string> {
    return Promise.resolve('');
  }

  async *inputLines(): AsyncIterable<string> {}

  ask(_question: string): Promise<string | undefined> {
    return Promise.resolve(undefined);
  }

  askSecret(_question: string): Promise<string | undefined> {
    return Promise.resolve(undefined);
  }

  outliveReader(): void {}

  onSignal(signals: readonly NodeJS.Signals[], listener: (signal: NodeJS.Signals) => void): () => void {
    const entry = { signals, listener };
    this.#signals.push(entry);
    return () => {
      this.#signals = this.#signals.filter((each) => each !== entry);
    };
  }

  onParentGone(listener: () => void): () => void {
    this.#parent.push(listener);
    return () => {
      this.#parent = this.#parent.filter((each) => each !== listener);
    };
  }

  onUncaught(): void {}

  terminalGone(): void {
    this.hasTerminalGone = true;
  }

  exitNow(code: number): never {
    throw new ExitedNow(code);
  }

  /** Delivers a signal; returns how many listened. */
  send(signal: NodeJS.Signals): number {
    const listening = this.#signals.filter(({ signals }) => signals.includes(signal));
    for (const { listener } of listening) listener(signal);
    return listening.length;
  }

  parentGone(): void {
    for (const listener of this.#parent) listener();
  }
}

/** Runs a command line; the environment is empty but for what is given. */
export async function exo(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number; out: string; err: string }> {
  const host = new TestHost(argv, { env });
  const code = await runProgram(host);
  return { code, out: host.out, err: host.err };
}
