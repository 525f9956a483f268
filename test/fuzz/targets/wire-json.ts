/** The JSON reader of the wire, held against `JSON.parse`; and the writer that spells as Python does, against both. */
import assert from 'node:assert/strict';
import { type Json, pythonJson, readJson } from '../../../src/protocol/index.js';
import { LIMITS } from '../../../src/shared/index.js';
import type { FuzzTarget } from '../target.js';
import { jsonSeeds, keysOf, varyJsonInput } from './json-text.js';

function depthOf(value: unknown, depth = 0): number {
  if (typeof value !== 'object' || value === null) return depth;
  return Object.values(value).reduce(
    (most: number, one) => Math.max(most, depthOf(one, depth + 1)),
    depth + 1,
  );
}

/** What `JSON.parse` makes of it; undefined where that says no, or where we are meant to differ. */
function standard(input: Buffer): { readonly value: unknown } | undefined {
  const text = input.toString('utf8');
  if (!Buffer.from(text).equals(input) || /__proto__|\\u/.test(text)) return undefined;
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Python writes what is not finite as null here, and JSON has no -0. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? 'null');

export const wireJson: FuzzTarget = {
  name: 'wire-json',
  bytesMax: 64 * 1024,
  words: ['NaN', 'Infinity', '-Infinity', '"NaN"', '\\"', '"__proto__":', '\\u005f', '"a":'],
  codes: ['frame-malformed'],
  seeds: () =>
    jsonSeeds(
      { a: [1, 2.5, -3e-7, null, true, 'x'], b: { c: 'é🙂\u0000' } },
      '{"a": NaN, "b": [Infinity, -Infinity], "c": "NaN and Infinity"}',
      '{"__proto__": {"x": 1}, "\\u005f_proto__": 1, "a": "\\"\\\\"}',
      '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]',
      '"\\"\\"\\"',
      ' 12 ',
    ),
  vary: varyJsonInput(),
  run(input) {
    const expected = standard(input);
    if (expected !== undefined && depthOf(expected.value) <= LIMITS.jsonDepthMax) {
      assert.deepEqual(readJson(input), expected.value);
    }
    const value = readJson(input);
    assert.equal(({} as Record<string, unknown>)['x'], undefined, 'the prototype of all objects has changed');
    assert.ok(depthOf(value) <= Math.max(LIMITS.jsonDepthMax, 0), 'deeper than allowed');
    const written = pythonJson(value as Json);
    assert.match(written, /^[ -~]*$/);
    assert.deepEqual(plain(readJson(Buffer.from(written))), plain(value));
    return keysOf(value);
  },
};
