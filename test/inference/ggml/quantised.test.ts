/**
 * Weights in fewer bits, held against the definition over the numbers that the file means. The error is the root mean square
 * of the differences of all logits, over that of the logits. Bounds are 1.3 to 3 times what was measured; where the errors come
 * from: F16 rounds what enters a product to 11 bits and keys and values too, BF16 to 8; Q8_0 to 1/127 of the largest of 32,
 * Q4_0 to 1/8 of it; mlx numbers are exact, and inputs are rounded as for Q8_0.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SequenceCache } from '../../../src/inference/engines/ggml/cache/sequence-cache.js';
import { type Device, openDevice } from '../../../src/inference/engines/ggml/library/index.js';
import { Shard } from '../../../src/inference/engines/ggml/shard.js';
import { referenceLogits } from '../../support/reference-model.js';
import { type TinyType, tinyModel } from './tiny-models.js';
import { relativeError, WideModel } from './wide-model.js';

const CASES: readonly [type: TinyType, quantisation: 'none' | 'q8_0' | 'q4_0' | 'q4_k', bound: number][] = [
  ['F16', 'none', 0.002],
  ['BF16', 'none', 0.02],
  ['F32', 'q8_0', 0.03],
  ['BF16', 'q8_0', 0.03],
  ['F32', 'q4_0', 0.3],
  // Rows of these models are shorter than its blocks: they are kept in eight bits.
  ['F32', 'q4_k', 0.03],
  ['mlx4', 'none', 0.03],
  ['mlx8', 'none', 0.03],
];
const PROMPT = [3, 17, 99, 4, 4, 28, 150, 77, 5, 61, 12, 140, 8];

let device: Device;
before(async () => {
  device = await openDevice({ device: 'cpu', threads: 1, quiet: true });
});
after(() => device.close());

for (const name of ['llama with rope factors', 'phi3 with fused weights, partial rotation and yarn']) {
  for (const [type, quantisation, bound] of CASES) {
    test(`${name} as ${type}, kept as ${quantisation}, is within ${bound} of the definition`, async () => {
      const model = tinyModel(name, type);
      const { architecture, tensors, mlx, layers } = model;
      const source = {
        architecture,
        tensors,
        startLayer: 0,
        endLayer: layers - 1,
        ...(mlx === undefined ? {} : { mlx }),
      };
      const shard = new Shard(device, source, { cacheType: 'auto', quantisation });
      const cache = new SequenceCache(device, shard.cacheShape);
      cache.grow(256);
      const expected = referenceLogits(architecture, model.read, PROMPT);
      let [difference, size] = [0, 0];
      for (const [index, token] of PROMPT.entries()) {
        const part = { cache, sequence: 1, wantsLogits: true, hidden: shard.embed([token]) };
        const [logits] = await shard.step([part]);
        for (const [at, value] of expected[index]!.entries()) {
          difference += (logits![at]! - value) ** 2;
          size += value ** 2;
        }
      }
      cache.close();
      shard.close();
      model.remove();
      const error = Math.sqrt(difference / size);
      assert.ok(error <= bound, `error ${error}`);
    });
  }
}

/** Rows of 256 and more: every type is what it is called. Q4_K has a scale and a minimum for each 32 weights. */
const WIDE_BOUNDS = { q8_0: 0.03, q4_0: 0.3, q4_k: 0.2 } as const;

test('longer rows are kept in the type that is asked for, each within its bound', async () => {
  const model = new WideModel();
  await model.write(2);
  const expected = await model.logits(device, 'none');
  const errors: Record<string, number> = {};
  for (const [quantisation, bound] of Object.entries(WIDE_BOUNDS)) {
    const logits = await model.logits(device, quantisation as keyof typeof WIDE_BOUNDS);
    errors[quantisation] = relativeError(logits, expected);
    assert.ok(errors[quantisation] <= bound, `${quantisation}: error ${errors[quantisation]}`);
  }
  assert.ok(errors['q8_0']! < errors['q4_k']! && errors['q4_k']! < errors['q4_0']!, JSON.stringify(errors));
  model.remove();
});
