/** Runs many seeds in as many processes as there are cores to use, each in a process that has nothing else to do. */
import { type ChildProcess, fork } from 'node:child_process';
import { program } from '../support/program.js';
import type { RunOptions, RunResult } from './simulate.js';

/** A run, and what it cost. */
export type PoolResult = RunResult & { readonly cpuMs: number };

/** What to run. */
export interface PoolOptions extends Omit<RunOptions, 'seed'> {
  readonly seeds: readonly number[];
  readonly workers: number;
  /** Asks for no more seeds when one failed. @default false */
  readonly stopAtFailure?: boolean;
  readonly onResult?: (result: PoolResult) => void;
}

/** Many small objects with short lives: a larger nursery saves a fifth of the time. */
const NODE_ARGS = ['--max-semi-space-size=64'];
const WORKER = program(new URL('./worker.ts', import.meta.url));

/** Results in the order of the seeds; those that were not run any more are missing. */
export async function runSeeds(options: PoolOptions): Promise<PoolResult[]> {
  const { seeds, workers, stopAtFailure = false, onResult, ...how } = options;
  const waiting = [...seeds];
  const results: PoolResult[] = [];
  let isOver = false;
  const work = async () => {
    const child = fork(WORKER.file, { execArgv: [...NODE_ARGS, ...WORKER.execArgv] });
    try {
      for (let seed = waiting.shift(); seed !== undefined && !isOver; seed = waiting.shift()) {
        const result = await ask(child, { ...how, seed });
        results.push(result);
        onResult?.(result);
        if (stopAtFailure && result.failure !== undefined) isOver = true;
      }
    } finally {
      await end(child);
    }
  };
  await Promise.all(Array.from({ length: Math.min(workers, seeds.length) }, work));
  return results.sort((a, b) => a.seed - b.seed);
}

function ask(child: ChildProcess, options: RunOptions): Promise<PoolResult> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) =>
      reject(new Error(`the process that ran seed ${options.seed} ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (result) => {
      child.off('exit', onExit);
      resolve(result as PoolResult);
    });
    child.send(options);
  });
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    child.once('exit', () => resolve());
    child.disconnect();
  });
}
