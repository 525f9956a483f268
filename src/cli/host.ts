/**
 * What the command line needs from the process around it, handed in: streams, environment, signals, time. `main.ts`
 * makes the real one; a command never touches `process` itself.
 */
import { createColors } from 'picocolors/picocolors.js';
import type { Clock, Random } from '../shared/index.js';

/** An output of the process. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Colours that are off where nobody sees them. */
export type Colours = ReturnType<typeof createColors>;

/** The process around a command. */
export interface CliHost {
  /** Without the interpreter and the script. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Answers. */
  readonly stdout: Output;
  /** Everything else. */
  readonly stderr: Output;
  readonly clock: Clock;
  readonly random: Random;
  /** Everything on standard input, as text. */
  readInput(): Promise<string>;
  /** Standard input line by line, as it comes; ends with it. */
  inputLines(): AsyncIterable<string>;
  /** Asks the person at the terminal for one line; undefined where there is no terminal to ask on. */
  ask(question: string): Promise<string | undefined>;
  /** The same without an echo, for a secret. */
  askSecret(question: string): Promise<string | undefined>;
  /** Whoever reads the answers may leave before this process has put things in order: that is no reason to end. */
  outliveReader(): void;
  /** Calls `listener` at each signal; the signal's own effect is off meanwhile. Returns the way back. */
  onSignal(signals: readonly NodeJS.Signals[], listener: (signal: NodeJS.Signals) => void): () => void;
  /** Calls `listener` when the parent process is gone, where that can be known (it holds an IPC channel). */
  onParentGone(listener: () => void): () => void;
  /** Calls `listener` with what nobody caught; the process must then end. */
  onUncaught(listener: (error: unknown) => void): void;
  /** The terminal has hung up: the process is to end without touching it again. */
  terminalGone(): void;
  /** Ends the process at once. */
  exitNow(code: number): never;
}

/** Whether an output gets colours: NO_COLOR, then FORCE_COLOR, then whether it is a terminal. */
export function wantsColour(output: Output, env: NodeJS.ProcessEnv): boolean {
  if (env['NO_COLOR']) return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false';
  return output.isTTY === true && env['TERM'] !== 'dumb';
}

/** Colours for an output. */
export function colours(output: Output, env: NodeJS.ProcessEnv): Colours {
  return createColors(wantsColour(output, env));
}
