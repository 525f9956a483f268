import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEngine, DUMMY_MODELS, resolveModel } from '../../src/inference/index.js';
import { readElements, tensorOf } from '../../src/inference/tensor-elements.js';
import { tokensOf, tokenTensor } from '../../src/inference/token-tensor.js';
import type { DType } from '../../src/protocol/index.js';
import { engineSuite } from '../compliance/engine-suite.js';

const PLACE = { seed: 0, index: 0 };
const never = new AbortController().signal;
const LAST = { modelId: 'dummy', startLayer: 4, endLayer: 7, nLayers: 8 };

engineSuite('dummy', async () => ({ engine: createEngine('dummy'), modelId: 'dummy', layers: 8 }));

const ALL: readonly DType[] = [
  'float64',
  'float32',
  'float16',
  'bfloat16',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint64',
  'uint32',
  'uint16',
  'uint8',
];

test('dummy engine adds 1 on the last shard in every number type and keeps the shape', async () => {
  const engine = createEngine('dummy');
  for (const dtype of ALL) {
    for (const shape of [[1], [1, 1], [1, 1, 1], [1, 2]]) {
      const count = shape.reduce((a, b) => a * b, 1);
      const hidden = tensorOf(
        dtype,
        shape,
        Array.from({ length: count }, () => 9),
      );
      const input = { kind: 'hidden', hidden } as const;
      const out = await engine.forward({ requestId: 'r', shard: LAST, input, position: 0, signal: never });
      assert.equal(out.kind, 'logits');
      if (out.kind !== 'logits') return;
      assert.equal(out.logits.dtype, dtype);
      assert.deepEqual(out.logits.shape, shape);
      assert.equal(engine.sample(out.logits, { temperature: 0 }, PLACE).token, 10, dtype);
    }
  }
});

test('dummy engine passes hidden states on unchanged before the last shard', async () => {
  const engine = createEngine('dummy');
  const hidden = tensorOf('int64', [1], [5]);
  const shard = { ...LAST, startLayer: 2, endLayer: 6 };
  const input = { kind: 'hidden', hidden } as const;
  const out = await engine.forward({ requestId: 'r', shard, input, position: 0, signal: never });
  assert.deepEqual(out, { kind: 'hidden', hidden });
});

test('dummy engine ends above 10 with token 69', () => {
  const engine = createEngine('dummy');
  assert.equal(engine.sample(tensorOf('int64', [1, 1], [10]), { temperature: 0 }, PLACE).token, 10);
  assert.equal(engine.sample(tensorOf('int64', [1, 1], [11]), { temperature: 0 }, PLACE).token, 69);
  assert.throws(() => engine.sample(tensorOf('int64', [1], [-1]), { temperature: 0 }, PLACE), {
    code: 'engine-failed',
  });
  assert.throws(() => engine.sample(tensorOf('float32', [1], [1.5]), { temperature: 0 }, PLACE), {
    code: 'engine-failed',
  });
});

test('dummy engine tokenises as the original', async () => {
  const tokenizer = await createEngine('dummy').tokenizer('dummy', never);
  assert.equal(
    await tokenizer.applyChatTemplate([{ role: 'user', content: 'hé' }]),
    'dummy_tokenized_prompt',
  );
  assert.deepEqual(await tokenizer.encode('anything'), [1]);
  assert.equal(tokenizer.decode([2, 69]), 'dummydummy');
  assert.deepEqual([...tokenizer.eosTokenIds], [69]);
});

test('engine names of the original that are not here say what is', () => {
  for (const name of ['mlx', 'tinygrad']) {
    assert.throws(() => createEngine(name), {
      code: 'option-unsupported',
      message: /this version|it has: dummy/,
    });
  }
  assert.throws(() => createEngine('cuda'), { code: 'option-invalid', message: /has: dummy/ });
  assert.throws(() => createEngine('constructor'), { code: 'option-invalid' });
});

test('the dummy engine has one model of eight layers', () => {
  assert.deepEqual(
    createEngine('dummy')
      .models.list()
      .map(({ id, layers, ready }) => [id, layers, ready]),
    [['dummy', 8, true]],
  );
});

test('model names mean the default model for gpt-*, none and empty, and are refused when unknown', () => {
  for (const name of [undefined, '', 'gpt-4o', 'gpt-3.5-turbo', 'dummy']) {
    assert.equal(resolveModel(name, DUMMY_MODELS).id, 'dummy');
  }
  for (const name of ['llama-3.2-1b', 'Dummy', 'toString']) {
    assert.throws(() => resolveModel(name, DUMMY_MODELS), {
      code: 'model-unknown',
      message: /has: dummy/,
    });
  }
  assert.throws(() => resolveModel('gpt-4', DUMMY_MODELS, 'phi-4'), {
    code: 'model-unknown',
  });
});

test('token tensors are 1 × n int64 and read from any number type', () => {
  const tensor = tokenTensor([7, 8]);
  assert.deepEqual(tensor.shape, [1, 2]);
  assert.equal(tensor.data.toString('hex'), '07000000000000000800000000000000');
  assert.deepEqual(tokensOf(tensorOf('float32', [1, 2], [1, 2])), [1, 2]);
  for (const bad of [[-1], [1.5], [Number.NaN], [Number.POSITIVE_INFINITY]]) {
    assert.throws(() => tokensOf(tensorOf('float32', [1], bad)), { code: 'tensor-invalid' });
  }
  assert.throws(() => tokensOf({ shape: [0], dtype: 'int64', data: Buffer.alloc(0) }), {
    code: 'tensor-invalid',
  });
  assert.throws(() => tokensOf({ shape: [2], dtype: 'int64', data: Buffer.alloc(8) }), {
    code: 'tensor-invalid',
  });
});

test('tensor elements survive the round trip in half precision', () => {
  const values = [0, 1, -1, 0.5, 2048, 65504, 2 ** -14, 2 ** -24, Number.POSITIVE_INFINITY];
  assert.deepEqual(readElements(tensorOf('float16', [values.length], values)), values);
  const wide = [0, 1, -1.5, 2 ** 100, -(2 ** -100)];
  assert.deepEqual(readElements(tensorOf('bfloat16', [wide.length], wide)), wide);
});
