/**
 * A program of its own that fetches a model, to be killed:
 *   node --import tsx test/support/download-process.ts '{"endpoint", "repository", "directory", "partBytes", "shard"?}'
 * Prints `begun` when it knows what there is to fetch, `progress <bytes> <of bytes>` and `done` when it has it.
 */
import { downloadModel } from '../../src/models/download/download.js';
import type { LayerRange } from '../../src/models/download/plan.js';
import { Hub } from '../../src/models/hub/hub.js';
import { systemClock, systemRandom } from '../../src/shared/index.js';

const { endpoint, ...request } = JSON.parse(process.argv[2]!) as {
  readonly endpoint: string;
  readonly repository: string;
  readonly directory: string;
  readonly partBytes: number;
  readonly shard?: LayerRange;
};
let hasBegun = false;
await downloadModel(
  { ...request, parallelMax: 4 },
  {
    hub: new Hub({ endpoint }, { clock: systemClock }),
    clock: systemClock,
    random: systemRandom,
    onProgress: ({ downloadedBytes, totalBytes, isSmall }) => {
      if (!hasBegun && !isSmall) process.stdout.write('begun\n');
      hasBegun ||= !isSmall;
      process.stdout.write(`progress ${downloadedBytes} ${totalBytes}\n`);
    },
  },
  new AbortController().signal,
);
process.stdout.write('done\n');
