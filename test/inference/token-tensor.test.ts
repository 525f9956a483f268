import assert from 'node:assert/strict';
import test from 'node:test';
import { tokensOf, tokenTensor } from '../../src/inference/token-tensor.js';
import { LIMITS } from '../../src/shared/index.js';

test('token tensor carries token ids there and back', () => {
  const tokens = Array.from({ length: LIMITS.stepTokensMax }, (_, index) => index);
  assert.deepEqual(tokensOf(tokenTensor(tokens)), tokens);
});

test('token tensor with more tokens than a step takes is refused before they are read', () => {
  const count = LIMITS.stepTokensMax + 1;
  const tensor = { shape: [1, count], dtype: 'int64', data: Buffer.alloc(count * 8) } as const;
  assert.throws(() => tokensOf(tensor), { code: 'tensor-invalid', message: /at most 65536/ });
});

test('token tensor without a token, or with what is no token id, is refused', () => {
  assert.throws(() => tokensOf(tokenTensor([])), { code: 'tensor-invalid' });
  const negative = { shape: [1], dtype: 'int8', data: Buffer.from([0xff]) } as const;
  assert.throws(() => tokensOf(negative), { code: 'tensor-invalid', message: /-1/ });
});
