/** A process that runs seeds for `pool.ts`: each message asks for one run, and is answered with its result. */
import { type RunOptions, simulate } from './simulate.js';

process.on('message', (options: RunOptions) => {
  void simulate(options).then((result) => process.send?.({ ...result, cpuMs: cpuMs() }));
});
process.on('disconnect', () => process.exit(0));

let beforeMs = 0;

/** Since the last call. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  const nowMs = (user + system) / 1_000;
  const usedMs = nowMs - beforeMs;
  beforeMs = nowMs;
  return usedMs;
}
