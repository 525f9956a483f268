/** The thread in which one target is fuzzed. Started by watch.ts, which sees in shared memory what it is working on. */
import { parentPort, workerData } from 'node:worker_threads';
import { fuzz, judge } from './fuzzer.js';
import { load } from './store.js';
import type { FuzzTarget } from './target.js';

/** What the thread is told. */
export interface WorkerTask {
  /** Module that exports `TARGETS`. */
  readonly module: string;
  readonly target: string;
  readonly ms: number;
  readonly seed: number;
  readonly keep: boolean;
  /** `[runs, length of the input]` and, behind them, the input being run. */
  readonly shared: SharedArrayBuffer;
  /** Only this input is run, to see whether it hangs again. */
  readonly only?: Uint8Array;
}

const task = workerData as WorkerTask;
const head = new Int32Array(task.shared, 0, 2);
const place = new Uint8Array(task.shared, 8);

function before(input: Buffer): void {
  place.set(input.subarray(0, place.length));
  Atomics.store(head, 1, input.length);
  Atomics.add(head, 0, 1);
}

const { TARGETS } = (await import(task.module)) as {
  TARGETS: Readonly<Record<string, () => Promise<FuzzTarget>>>;
};
const target = await TARGETS[task.target]?.();
if (target === undefined) throw new Error(`there is no target ${task.target}`);
if (task.only !== undefined) {
  before(Buffer.from(task.only));
  await judge(target, Buffer.from(task.only));
  parentPort?.postMessage({ kind: 'returned' });
} else {
  const result = await fuzz(target, {
    ms: task.ms,
    seed: task.seed,
    keep: task.keep,
    corpus: [...load('found', task.target), ...load('corpus', task.target)].map(({ input }) => input),
    before,
    onProgress: (progress) => parentPort?.postMessage({ kind: 'progress', progress }),
  });
  parentPort?.postMessage({ kind: 'done', result });
}
// Targets may hold a folder or a server; nothing of the thread is to outlive its work.
process.exit(0);
