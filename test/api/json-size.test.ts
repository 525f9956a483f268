import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonSize, jsonExcess } from '../../src/api/json-size.js';
import { json, startApi } from './harness.js';

const PATH = '/v1/chat/completions';

test('a long conversation, long texts and quotes in them are no excess', () => {
  const messages = Array.from({ length: 10_000 }, (_, index) => ({ role: 'user', content: `${index}, [{"` }));
  assert.equal(jsonExcess(JSON.stringify({ messages })), undefined);
  for (const char of [',', '[', '{', '"', '\\', '\\"', '\n']) {
    const text = JSON.stringify({ messages: [{ role: 'user', content: char.repeat(1_000_000) }], more: [1] });
    assert.equal(jsonExcess(text), undefined, JSON.stringify(char));
    assert.match(jsonExcess(`${text.slice(0, -1)},"x":[${'1,'.repeat(100_000)}1]}`) ?? '', /100000 values/);
  }
});

test('a text is counted the same wherever it is cut', () => {
  const texts = [
    '{"a":"\\\\","b":["x\\"[[[","\\\\\\"",1,{"c":"\\u0022,,"}]}',
    JSON.stringify({ messages: [{ role: 'user', content: '"\\,[{'.repeat(50) }], stop: ['\\'] }),
  ];
  const pad = ' '.repeat(70_000);
  for (const text of texts) {
    const values = countOf(JSON.parse(text));
    // So many more fit, and not one more: the count is exact.
    const whole = (more: number) => `${pad}[${text}${',1'.repeat(100_000 - 2 - values + more)}]`;
    for (let cut = pad.length; cut <= pad.length + 1 + text.length; cut += 1) {
      for (const more of [0, 1]) {
        const size = new JsonSize();
        for (const piece of [whole(more).slice(0, cut), whole(more).slice(cut)]) size.feed(piece);
        assert.equal(size.excess !== undefined, more === 1, `cut at ${cut - pad.length} of ${text}`);
      }
    }
  }
});

/** Lists and objects, and commas: as the bound counts. */
function countOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const held = Object.values(value);
  return 1 + Math.max(0, held.length - 1) + held.reduce((sum: number, each) => sum + countOf(each), 0);
}

test('a body of brackets, of numbers, of fields is refused before it is parsed, and the next question is answered', async (t) => {
  const api = await startApi(t);
  const bodies = [
    ['['.repeat(4_000_000), /deeper than 64/],
    [`{"messages":${'['.repeat(2_000_000)}${']'.repeat(2_000_000)}}`, /deeper than 64/],
    [`{"messages":[${'1,'.repeat(4_000_000)}1]}`, /more than 100000 values/],
    [`{"logit_bias":{${'"1":1,'.repeat(1_000_000)}"2":1}}`, /more than 100000 values/],
    [`{"stop":[${'1,'.repeat(99_000)}1]}`, /messages: must be a list/],
    [`{"a":"${'x'.repeat(1_000_000)}`, /not valid JSON/],
  ] as const;
  for (const [body, says] of bodies) {
    const response = await api.post(PATH, body);
    const { error } = await json(response);
    assert.deepEqual([response.status, error.code], [400, 'http-invalid']);
    assert.match(error.message, says);
  }
  const messages = [{ role: 'user', content: 'Who are you?' }];
  assert.equal((await api.post(PATH, { model: 'dummy', messages })).status, 200);
});
