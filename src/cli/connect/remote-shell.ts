/** A way to run command lines on the far machine: what the steps of `exo connect` see of the ssh connection. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { Readable } from 'node:stream';

/** How to run one. */
export interface RunOptions {
  /** Standard input. @default empty */
  readonly input?: Readable;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface RunResult {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** An ssh connection that runs commands. */
export interface RemoteShell {
  /** Runs a line to its end. Rejects when ssh fails, the time is over or the signal comes. */
  run(line: string, options: RunOptions): Promise<RunResult>;
  /** Starts a line and leaves its streams to the caller. */
  start(line: string): ChildProcessWithoutNullStreams;
}
