/** Pure parts of the engine: which steps meet in a run, who is waited for, what a token sees, and frames on the pipe. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BATCH_REQUESTS_MAX,
  BATCH_TOKENS_MAX,
  chooseBatch,
} from '../../../src/inference/engines/ggml/child/batch.js';
import { LINGER_MS, Lingering } from '../../../src/inference/engines/ggml/child/lingering.js';
import { fillMask } from '../../../src/inference/engines/ggml/graph/mask.js';
import { encodeFrame, FrameReader } from '../../../src/inference/engines/ggml/process/frames.js';
import { LIMITS } from '../../../src/shared/index.js';
import fc from '../../support/properties.js';

const step = (requestId: string, remaining: number, shardKey = 's') => ({ requestId, remaining, shardKey });
const chosen = (steps: readonly ReturnType<typeof step>[]) =>
  chooseBatch(steps).map(({ step: { requestId }, tokens }) => `${requestId}:${tokens}`);

test('a run has the steps of the oldest shard only, and one of each request', () => {
  assert.deepEqual(chosen([step('a', 1), step('b', 1, 'other'), step('a', 1), step('c', 1)]), ['a:1', 'c:1']);
  assert.deepEqual(chosen([]), []);
});

test('a run takes decode steps before parts of prompts, and the oldest always', () => {
  assert.deepEqual(chosen([step('p', 900), step('a', 1), step('b', 1)]), [
    'a:1',
    'b:1',
    `p:${BATCH_TOKENS_MAX - 2}`,
  ]);
  const crowd = Array.from({ length: BATCH_REQUESTS_MAX + 5 }, (_, index) => step(`d${index}`, 1));
  const full = chooseBatch([step('p', 900), ...crowd]);
  assert.equal(full.length, BATCH_REQUESTS_MAX);
  assert.ok(full.some((part) => part.step.requestId === 'p'));
});

test('a run has no more decode steps than it may have, the oldest first; beside a part of a prompt it has all', () => {
  const ids = (steps: readonly ReturnType<typeof step>[], decodesMax: number) =>
    chooseBatch(steps, decodesMax).map(({ step: { requestId } }) => requestId);
  const decodes = [step('a', 1), step('b', 1), step('c', 1)];
  assert.deepEqual(ids(decodes, 2), ['a', 'b']);
  assert.deepEqual(ids([...decodes, step('p', 900)], 2), ['a', 'b', 'c', 'p']);
  assert.deepEqual(ids([step('p', 900), ...decodes], 1), ['a', 'b', 'c', 'p']);
});

test('a run is never over its bounds and never empty', () => {
  const steps = fc.array(
    fc.record({ requestId: fc.string(), remaining: fc.integer({ min: 1, max: 2_000 }) }),
    {
      minLength: 1,
      maxLength: 80,
    },
  );
  fc.assert(
    fc.property(steps, (list) => {
      const parts = chooseBatch(list.map((one) => ({ ...one, shardKey: 's' })));
      const tokens = parts.reduce((sum, part) => sum + part.tokens, 0);
      assert.ok(parts.length >= 1 && parts.length <= BATCH_REQUESTS_MAX && tokens <= BATCH_TOKENS_MAX);
      assert.ok(parts.every((part) => part.tokens >= 1 && part.tokens <= part.step.remaining));
    }),
  );
});

test('only requests that were back at once before are waited for', () => {
  const lingering = new Lingering();
  lingering.ended(['a', 'b', 'slow'], 0);
  for (const [id, ms] of [
    ['a', 0.5],
    ['b', 0.5],
    ['slow', 50],
  ] as const)
    lingering.arrived(id, ms);
  lingering.ended(['a', 'b', 'slow'], 100);
  lingering.arrived('a', 100.5);
  assert.equal(lingering.waitMs(new Set(['a']), 100.5), LINGER_MS - 0.5);
  assert.equal(lingering.waitMs(new Set(['a', 'b']), 100.5), 0);
  assert.ok(lingering.waitMs(new Set(['a']), 100 + LINGER_MS) <= 0);
  lingering.forget('b');
  assert.equal(lingering.waitMs(new Set(['a']), 100.5), 0);
});

test('after a long run the wait is longer, and bounded', () => {
  const lingering = new Lingering();
  for (const [runMs, waitMs] of [
    [0, LINGER_MS],
    [40, 10],
    [10_000, 20],
  ] as const) {
    lingering.ended(['a', 'b'], 0, runMs);
    for (const id of ['a', 'b']) lingering.arrived(id, 1);
    lingering.ended(['a', 'b'], 100, runMs);
    assert.equal(lingering.waitMs(new Set(['a']), 100), waitMs);
  }
});

test('requests that travel a ring together are waited for where one of them has come, and nobody else is', () => {
  const lingering = new Lingering();
  const come = (ids: readonly string[], ms: number) =>
    ids.map((id, at) => lingering.arrived(id, ms + at / 2));
  lingering.ended(['a', 'b', 'alone'], 0);
  come(['a', 'b'], 40);
  lingering.arrived('alone', 70);
  lingering.ended(['a', 'b', 'alone'], 100);
  assert.equal(lingering.waitMs(new Set(['new']), 101), 0);
  come(['a'], 140);
  assert.equal(lingering.waitMs(new Set(['a']), 140), LINGER_MS);
  come(['b'], 140.5);
  assert.equal(lingering.waitMs(new Set(['a', 'b']), 140.5), 0);
});

test('one that was computed alone before the others of its round is waited with the next time', () => {
  const lingering = new Lingering();
  const come = (ids: readonly string[], ms: number) =>
    ids.map((id, at) => lingering.arrived(id, ms + at / 2));
  lingering.ended(['a', 'b', 'c'], 0);
  for (const ms of [40, 100]) {
    come(['a', 'b', 'c'], ms);
    lingering.ended(['a'], ms + 15);
    lingering.ended(['b', 'c'], ms + 40);
  }
  come(['a'], 170);
  assert.equal(lingering.waitMs(new Set(['a']), 170), LINGER_MS);
  // They did not come: a round later nobody waits for them.
  lingering.ended(['a'], 190);
  come(['a'], 230);
  assert.ok(lingering.waitMs(new Set(['a']), 230) <= 0);
});

test('after a step of another engine of this machine, all who are known may come, and for a moment only', () => {
  const lingering = new Lingering();
  lingering.ended(['a'], 0, 80);
  lingering.ended(['b'], 90, 80);
  assert.equal(lingering.waitMs(new Set(['b']), 170), 0);
  assert.equal(lingering.waitMs(new Set(['b']), 170, 170), 10);
  assert.equal(lingering.waitMs(new Set(['a', 'b']), 172, 170), 0);
  assert.ok(lingering.waitMs(new Set(['b']), 180, 170) <= 0);
});

test('who comes from machines that compute meanwhile is waited for when he is due, now and then for a whole run', () => {
  const lingering = new Lingering();
  const RUN_MS = 40;
  lingering.ended(['a', 'b'], 0, RUN_MS);
  lingering.arrived('a', 60);
  lingering.arrived('b', 60);
  lingering.ended(['a'], 100, RUN_MS);
  lingering.ended(['b'], 105, RUN_MS);
  assert.equal(lingering.decoding(new Set(['a']), 160), 2);
  assert.equal(lingering.restMs(160), 60);
  const due = (nowMs: number, together: boolean, here = ['a'], sinceMs = nowMs) =>
    lingering.dueMs(new Set(here), nowMs, sinceMs, together);
  // b is due at 165, and may be late by a millisecond.
  assert.equal(due(160, false), 6);
  assert.ok(due(150, false) <= 0, 'too long a wait');
  assert.ok(due(160, false, ['a'], 140) <= 0, 'waited for long enough');
  assert.equal(due(150, true), 16);
  assert.equal(due(155, true, ['a'], 150), 11, 'the same wait, after another one has come');
  assert.ok(due(160, true, ['a', 'b']) <= 0, 'all are here');
  lingering.ended(['a'], 200, RUN_MS);
  lingering.ended(['b'], 230, RUN_MS);
  lingering.arrived('a', 260);
  assert.ok(due(260, true) <= 0, 'so soon again');
  // Of two the one who reads faster says how long the ring takes.
  lingering.arrived('b', 900);
  assert.ok(lingering.restMs(900)! <= 60);
  assert.equal(lingering.decoding(new Set(['a']), 6_000), 1);
  assert.equal(lingering.restMs(6_000), undefined);
});

test('a token sees itself, those before it, and no further back than its window', () => {
  const seen = (window?: number) => {
    const mask = new Uint16Array(2 * 8);
    fillMask(mask, 3, 2, 8, window);
    return [0, 1].map((row) =>
      Array.from(mask.subarray(row * 8, row * 8 + 8), (bits) => (bits === 0 ? '#' : '.')).join(''),
    );
  };
  assert.deepEqual(seen(), ['####....', '#####...']);
  assert.deepEqual(seen(2), ['..##....', '...##...']);
});

test('frames come out as they went in, however the stream is cut', () => {
  const frames = fc.array(
    fc.tuple(fc.record({ op: fc.string() }, { noNullPrototype: true }), fc.uint8Array({ maxLength: 40 })),
    {
      maxLength: 6,
    },
  );
  fc.assert(
    fc.property(frames, fc.integer({ min: 1, max: 30 }), (list, size) => {
      const stream = Buffer.concat(list.flatMap(([head, payload]) => encodeFrame(head, payload)));
      const out: [unknown, number[]][] = [];
      const reader = new FrameReader((head, payload) => out.push([head, [...payload]]));
      for (let at = 0; at < stream.length; at += size) reader.push(stream.subarray(at, at + size));
      assert.deepEqual(
        out,
        list.map(([head, payload]) => [head, [...payload]]),
      );
    }),
  );
});

test('lengths over the bounds and heads that are no JSON are refused before anything is kept', () => {
  const lengths = (head: number, payload: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(head, 0);
    bytes.writeUInt32LE(payload, 4);
    return bytes;
  };
  const refused = (bytes: Buffer) =>
    assert.throws(() => new FrameReader(() => undefined).push(bytes), { code: 'engine-failed' });
  refused(lengths(0, 0));
  refused(lengths(LIMITS.engineHeadBytesMax + 1, 0));
  refused(lengths(2, LIMITS.enginePayloadBytesMax + 1));
  refused(Buffer.concat([lengths(1, 0), Buffer.from('x')]));
});
