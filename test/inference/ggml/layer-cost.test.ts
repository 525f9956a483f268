/** What layers cost by the architecture alone is what the native library gives for the tensors themselves. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Device, openDevice } from '../../../src/inference/engines/ggml/library/index.js';
import { layerCosts, shardCost } from '../../../src/inference/engines/ggml/weights/layer-cost.js';
import { QUANTISATIONS } from '../../../src/inference/engines/ggml/weights/quantisation.js';
import { weightBytes } from '../../../src/inference/engines/ggml/weights/weight-bytes.js';
import { TINY_MODELS, type TinyType, tinyModel } from './tiny-models.js';

let device: Device;
before(async () => {
  device = await openDevice({ device: 'cpu', threads: 1, quiet: true });
});
after(() => device.close());

for (const type of ['F32', 'F16', 'BF16', 'mlx4', 'mlx8'] as const satisfies readonly TinyType[]) {
  test(`layers kept as ${type} or in fewer bits cost what their tensors have`, () => {
    for (const name of TINY_MODELS) {
      const { architecture, tensors, layers, mlx, remove } = tinyModel(name, type);
      for (const quantisation of QUANTISATIONS) {
        for (const [startLayer, endLayer] of [
          [0, layers - 1],
          [1, 2],
          [layers - 1, layers - 1],
        ] as const) {
          const source = {
            architecture,
            tensors,
            startLayer,
            endLayer,
            ...(mlx === undefined ? {} : { mlx }),
          };
          const { weightBytes: bytes, multiplyAdds } = shardCost(source, quantisation);
          assert.equal(bytes, weightBytes(device.ggml, source, quantisation), `${name} ${quantisation}`);
          assert.ok(multiplyAdds > 0);
        }
      }
      remove();
    }
  });
}

test('a position costs keys and values of its layer, in the type of the cache', () => {
  const { architecture, remove } = tinyModel(TINY_MODELS[0]!, 'BF16');
  const elements = 2 * architecture.kvHeads * architecture.headDim;
  for (const [type, bytes] of [
    ['F32', 4],
    ['BF16', 2],
  ] as const) {
    for (const cost of layerCosts(architecture, 'none', { type }))
      assert.equal(cost.cacheBytes, elements * bytes);
  }
  remove();
});
