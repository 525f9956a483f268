/** `exo run` without a node: whoever waits for the weights of a model sees how far they are, as with a node that runs. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { canComputeGgml } from '../../src/inference/index.js';
import { REPOSITORY, startHub } from '../support/fetching.js';
import { DEMO_FILES } from '../support/fetching-nodes.js';
import { Cleanup, startExo } from '../support/processes.js';
import '../support/leaks.js';

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';

for (const json of [false, true]) {
  test(`weights over a slow link: their share, rate and time left on stderr${json ? ', and one object on stdout with --json' : ', then the answer'}`, {
    skip,
  }, async () => {
    const cleanup = new Cleanup();
    try {
      const hub = await startHub(cleanup);
      hub.put(REPOSITORY, DEMO_FILES);
      let isSlow = true;
      hub.onPiece = async (sent) => {
        if (isSlow && sent.path.endsWith('.safetensors'))
          await new Promise((resolve) => setTimeout(resolve, 300));
      };
      const env = {
        EXO_HOME: cleanup.folder(),
        HF_ENDPOINT: hub.endpoint,
        HF_HOME: cleanup.folder(),
        HF_TOKEN: '',
      };
      const peers = path.join(cleanup.folder(), 'peers.json');
      writeFileSync(peers, '{"peers": {}}');
      const run = startExo(
        cleanup,
        [
          ...[
            'run',
            REPOSITORY,
            '--prompt',
            'Hi',
            '--max-generate-tokens',
            '4',
            '--inference-engine',
            'ggml',
          ],
          ...['--node-port', '0', '--discovery-module', 'manual', '--discovery-config-path', peers],
          ...(json ? ['--json'] : []),
        ],
        { env },
      );
      await run.sees(/fetches mesh\/tiny: \d+ % of \d.* MiB, \d.*\/s, \d.* left/, 120_000);
      isSlow = false;
      await run.closed;
      assert.equal(run.exit, 0, run.output);
      if (json) assert.match(run.output, /"schema_version": 1,[\s\S]*"content":/);
    } finally {
      await cleanup.dispose();
    }
  });
}
