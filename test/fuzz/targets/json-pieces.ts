/** A JSON body as it comes in: cut anywhere, it says what JSON.parse says of the whole. */
import assert from 'node:assert/strict';
import { JsonReader } from '../../../src/api/json-reader.js';
import { ExoError } from '../../../src/shared/index.js';
import type { FuzzTarget } from '../target.js';
import { jsonSeeds, keysOf, varyJsonInput } from './json-text.js';

/** What comes of a text in pieces of one size; undefined where it is refused. */
function readIn(text: string, size: number): { readonly value?: unknown; readonly refusal?: string } {
  const reader = new JsonReader();
  try {
    for (let at = 0; at < text.length; at += size) reader.feed(text.slice(at, at + size));
    return { value: reader.end() };
  } catch (error) {
    if (!(error instanceof ExoError) || error.code !== 'http-invalid') throw error;
    return { refusal: error.message };
  }
}

function parsed(text: string): { readonly value?: unknown } {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return {};
  }
}

export const jsonPieces: FuzzTarget = {
  name: 'json-pieces',
  bytesMax: 8 * 1024,
  words: [
    '\\u',
    '\\',
    '"',
    '\\"',
    'true',
    'false',
    'null',
    '-',
    '1e',
    '__proto__',
    '\ufeff',
    '\\ufeff',
    '[',
    ']',
    '{',
    '}',
    ':',
    ',',
  ],
  codes: [],
  seeds: () =>
    jsonSeeds(
      { messages: [{ role: 'user', content: 'a "b" \\ \n \u4e2d \ud83d\ude00' }], stop: [], n: -1.5e-7 },
      '{"a":"\\u4e2d\\ud83d\\ude00\\"\\\\","__proto__":{"b":[1,2,[true,false,null]]},"a":0}',
      ' [ 1 , -0 , 1E+5 , "" , { } , [ ] ] ',
    ),
  vary: varyJsonInput(['messages', '__proto__']),
  run(input) {
    const text = input.toString('utf8');
    const whole = parsed(text);
    const kinds = [text.length + 1, 1, 5].map((size) => {
      const { value, refusal } = readIn(text, size);
      if (refusal?.startsWith('the body is not read') === true) return 'too much';
      assert.equal(refusal === undefined, 'value' in whole, `${refusal ?? 'taken'} in pieces of ${size}`);
      assert.deepEqual(value, whole.value);
      return refusal === undefined ? `value ${keysOf(value)}` : refusal.replace(/\d+|: .*/g, '');
    });
    assert.equal(new Set(kinds).size, 1, kinds.join(', '));
    return kinds[0]!;
  },
};
