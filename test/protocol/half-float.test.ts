import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  bfloat16ToNumber,
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  float16ToNumber,
  numberToBfloat16,
  numberToFloat16,
} from '../../src/protocol/index.js';

/** IEEE 754 by its definition, with no bit tricks. */
function float16ByDefinition(half: number): number {
  const sign = half >= 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? (sign * fraction) / 2 ** 24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

describe('half floats', () => {
  it('read every float16 as its definition says', () => {
    for (let half = 0; half < 65_536; half++) {
      assert.ok(Object.is(float16ToNumber(half), float16ByDefinition(half)), half.toString(16));
    }
  });

  it('write every float16 and bfloat16 back as it was, NaN as NaN', () => {
    for (let half = 0; half < 65_536; half++) {
      const f16 = float16ToNumber(half);
      const bf16 = bfloat16ToNumber(half);
      if (Number.isNaN(f16)) assert.ok(Number.isNaN(float16ToNumber(numberToFloat16(f16))));
      else assert.equal(numberToFloat16(f16), half);
      if (Number.isNaN(bf16)) assert.ok(Number.isNaN(bfloat16ToNumber(numberToBfloat16(bf16))));
      else assert.equal(numberToBfloat16(bf16), half);
    }
  });

  it('round between any two neighbours to the nearer, ties to the even one', () => {
    const kinds = [
      { max: 0x7bff, to: numberToFloat16, from: float16ToNumber },
      { max: 0x7f7f, to: numberToBfloat16, from: bfloat16ToNumber },
    ];
    for (const { max, to, from } of kinds) {
      for (let half = 0; half < max; half++) {
        const low = from(half);
        const high = from(half + 1);
        const middle = (low + high) / 2;
        assert.equal(to(middle), half % 2 === 0 ? half : half + 1, `middle above ${half.toString(16)}`);
        assert.equal(to(-middle), (half % 2 === 0 ? half : half + 1) | 0x8000);
        assert.equal(to(Math.fround(low + (high - low) * 0.25)), half);
        assert.equal(to(Math.fround(low + (high - low) * 0.75)), half + 1);
      }
    }
  });

  it('overflow to infinity', () => {
    assert.equal(numberToFloat16(65_519), 0x7bff);
    assert.equal(numberToFloat16(65_520), 0x7c00);
    assert.equal(numberToFloat16(-1e30), 0xfc00);
    assert.equal(numberToBfloat16(3.4e38), 0x7f80);
  });

  it('convert arrays, little endian', () => {
    const values = new Float32Array([0, 1, -2, 0.5]);
    assert.equal(encodeFloat16(values).toString('hex'), '0000003c00c00038');
    assert.equal(encodeBfloat16(values).toString('hex'), '0000803f00c0003f');
    assert.deepEqual(decodeFloat16(encodeFloat16(values)), values);
    assert.deepEqual(decodeBfloat16(encodeBfloat16(values)), values);
  });
});
