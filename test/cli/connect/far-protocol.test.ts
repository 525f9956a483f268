/** The lines between the two sides of exo connect. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { answerLine, readAnswer, readRequest, requestLine } from '../../../src/cli/connect/far-protocol.js';
import { ExoError } from '../../../src/shared/index.js';
import fc from '../../support/properties.js';

test('a request and its answer come through as they were', () => {
  const body = { node: 'mac2', peer: 'mac1', prefer: 50060, avoid: [50061] };
  assert.deepEqual(readRequest(requestLine('enter', body)), { op: 'enter', body });
  const answer = { port: 50060, before: null, changed: true, note: null };
  assert.deepEqual(readAnswer('enter', answerLine({ ok: answer }).trimEnd()), answer);
});

test('what a login script prints is no answer', () => {
  for (const line of ['', 'Welcome!', '{"ok":{}}', ' exo-far {"ok":{}}'])
    assert.equal(readAnswer('commit', line), undefined);
});

test('an error keeps its code and message, and cannot write to a terminal', () => {
  const line = answerLine({ error: new ExoError('port-in-use', 'no \u001b[2Jport') });
  assert.throws(
    () => readAnswer('enter', line.trimEnd()),
    (error) => error instanceof ExoError && error.code === 'port-in-use' && !error.message.includes('\u001b'),
  );
});

test('an error of any other form is still an error of ours', () => {
  for (const error of ['null', '5', '{"message":{"toString":1}}', '{"code":7,"message":null}']) {
    assert.throws(() => readAnswer('node', `exo-far {"error":${error}}`), { code: 'tunnel-failed' });
  }
  assert.throws(() => readRequest('{"op":{"toString":1}}'), { code: 'request-unsupported' });
});

test('a value of another form is refused on both sides', () => {
  const bad = [
    { node: 'a', peer: 'b', prefer: 0, avoid: [] },
    { node: '', peer: 'b', prefer: 1, avoid: [] },
    {},
    null,
  ];
  for (const body of bad) {
    assert.throws(() => readRequest(JSON.stringify({ op: 'enter', body })), /cannot be read/);
  }
  assert.throws(() => readAnswer('hello', 'exo-far {"ok":{"schema":"x"}}'), /cannot read/);
});

test('anything that comes in is a request of the list or an error of ours', () => {
  const known = fc.constantFrom('hello', 'node', 'enter', 'wait', 'commit', 'leave', 'toString', '__proto__');
  const request = fc.tuple(known, fc.jsonValue()).map(([op, body]) => JSON.stringify({ op, body }));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), request), (line) => {
      try {
        assert.ok(['hello', 'node', 'enter', 'wait', 'commit', 'leave'].includes(readRequest(line).op));
      } catch (error) {
        assert.ok(error instanceof ExoError && error.code === 'request-unsupported');
      }
      try {
        readAnswer('node', `exo-far ${line}`);
      } catch (error) {
        assert.ok(error instanceof ExoError);
      }
    }),
  );
});
