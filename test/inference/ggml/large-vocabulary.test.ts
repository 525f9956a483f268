/** Logits too large for the pipe reach the node as they were computed, of several requests at once, and after a request is over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GgmlEngine } from '../../../src/inference/engines/ggml/index.js';
import { openDevice } from '../../../src/inference/engines/ggml/library/index.js';
import { RESULT_BYTES_MIN } from '../../../src/inference/engines/ggml/process/result-file.js';
import { FixedModels } from '../../../src/inference/index.js';
import { highestOf } from '../../../src/inference/sampling/index.js';
import { silentLogger, systemClock } from '../../../src/shared/index.js';
import { CHARACTERS } from './golden-models.js';
import { WIDE_LAYERS, WIDE_PROMPT, WideModel } from './wide-model.js';

const VOCAB = 20_000;
const REQUESTS = 3;
const ROUNDS = 2;
const never = new AbortController().signal;

test('logits of a large vocabulary are those that were computed, whatever other requests do', async () => {
  assert.ok(VOCAB * 4 > RESULT_BYTES_MIN);
  const model = new WideModel();
  await model.write(6, 'F32', VOCAB);
  const device = await openDevice({ device: 'cpu', threads: 1, quiet: true });
  const expected = await model.logits(device, 'none');
  const shard = { modelId: 'wide', startLayer: 0, endLayer: WIDE_LAYERS - 1, nLayers: WIDE_LAYERS };
  const entry = { id: 'wide', name: 'Wide', layers: WIDE_LAYERS, ready: true };
  const engine = new GgmlEngine(
    { device: 'cpu', threads: 1, cacheType: 'f32' },
    {
      clock: systemClock,
      logger: silentLogger,
      files: { directoryOf: async () => model.checkpoint },
      models: new FixedModels('ggml', [entry]),
      openTokenizer: async () => CHARACTERS,
    },
  );
  await engine.start();
  try {
    // Each request is this far behind the one before, so that the logits of a run differ.
    const answer = async (requestId: string, behind: number) => {
      const order = [...WIDE_PROMPT.keys()];
      if (behind > 0) order.unshift(...Array.from({ length: behind }, () => -1));
      for (const position of order) {
        if (position < 0) await new Promise((resolve) => setImmediate(resolve));
        else {
          const input = { kind: 'tokens', tokens: [WIDE_PROMPT[position]!] } as const;
          const output = await engine.forward({ requestId, shard, input, position, signal: never });
          if (output.kind !== 'logits') throw new Error('no logits');
          const { buffer, byteOffset } = output.logits.data;
          const logits = new Float32Array(buffer, byteOffset, VOCAB);
          const worst = logits.reduce(
            (most, value, at) => Math.max(most, Math.abs(value - expected[position]![at]!)),
            0,
          );
          assert.ok(worst <= 1e-4, `${requestId} at ${position}: error ${worst}`);
          // Some are used up, and others get their memory.
          if (position % 3 !== behind)
            engine.sample(output.logits, { temperature: 0 }, { seed: 0, index: 0 });
        }
      }
      engine.release(requestId);
    };
    for (const position of WIDE_PROMPT.keys()) {
      const input = { kind: 'tokens', tokens: [WIDE_PROMPT[position]!] } as const;
      const step = { requestId: 'greedy', shard, input, position, signal: never, isGreedy: true };
      const token = highestOf(Float32Array.from(expected[position]!));
      assert.deepEqual(await engine.forward(step), { kind: 'token', token }, `position ${position}`);
    }
    engine.release('greedy');
    for (let round = 0; round < ROUNDS; round += 1)
      await Promise.all(Array.from({ length: REQUESTS }, (_, at) => answer(`r${at}`, at)));
  } finally {
    await engine.stop();
    device.close();
    model.remove();
  }
});
