import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Message, MessageDecoder } from '../../src/protocol/index.js';
import { DUMMY_SHARD } from '../support/connection-pair.js';
import { baseFrame, collectingDecoder } from '../support/frames.js';
import { GOLDEN_FRAMES, type GoldenName } from '../support/golden-frames.js';
import { promise } from '../support/promise.js';

const MESSAGES: Readonly<Record<GoldenName, Message>> = {
  healthRequest: { kind: 'health-request' },
  healthResponse: { kind: 'health-response', isHealthy: true },
  prompt: { kind: 'prompt', shard: DUMMY_SHARD, prompt: 'hé', requestId: 'r1', inferenceState: null },
  tensorRequest: {
    kind: 'tensor-request',
    shard: DUMMY_SHARD,
    tensor: { shape: [1, 2], dtype: 'float32', data: Buffer.from(new Float32Array([1, 2]).buffer) },
    requestId: 'r1',
    inferenceState: null,
  },
  tensorResponseNone: { kind: 'tensor-response', tensor: null },
  tensorResponse: {
    kind: 'tensor-response',
    tensor: { shape: [1], dtype: 'float32', data: Buffer.from(new Float32Array([1]).buffer) },
  },
  result: { kind: 'result', requestId: 'r1', result: [7], isFinished: false },
  resultWithTensor: {
    kind: 'result',
    requestId: 'r1',
    result: [],
    isFinished: true,
    tensor: { shape: [2], dtype: 'uint8', data: Buffer.from([1, 2]) },
  },
  topologyRequest: { kind: 'topology-request', visited: ['a'], maxDepth: 3 },
  topologyResponse: {
    kind: 'topology-response',
    nodes: new Map([['a', { model: 'M', chip: 'C', memory: 1024, flops: { fp32: 0, fp16: 0, int8: 0 } }]]),
    peerGraph: new Map([['a', [{ toId: 'b', description: 'MAN' }]]]),
  },
  opaqueStatus: { kind: 'opaque-status', requestId: '', status: '{"type": "node_status"}' },
};

describe('a golden frame', () => {
  it('is there for each message of the base protocol (P1)', (t) => {
    const names = Object.keys(GOLDEN_FRAMES) as GoldenName[];
    for (const name of names) assert.equal(baseFrame(MESSAGES[name]).toString('hex'), GOLDEN_FRAMES[name]);
    promise(t, 'P1', `${names.length} frames of the original, byte for byte both ways`);
  });

  for (const name of Object.keys(GOLDEN_FRAMES) as GoldenName[]) {
    it(`is written byte for byte: ${name}`, () => {
      assert.equal(baseFrame(MESSAGES[name]).toString('hex'), GOLDEN_FRAMES[name]);
    });

    it(`is read as the message it was made from: ${name}`, () => {
      const { decoder, frames } = collectingDecoder();
      decoder.push(Buffer.from(GOLDEN_FRAMES[name], 'hex'));
      assert.equal(frames.length, 1);
      assert.deepEqual(new MessageDecoder().decode(frames[0]!.type, frames[0]!.body), MESSAGES[name]);
    });
  }
});
