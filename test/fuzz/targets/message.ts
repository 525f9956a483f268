/** The message decoder: every kind of body. An input is the type byte and the body; what is read is written and read again. */
import assert from 'node:assert/strict';
import {
  encodeCorrelated,
  type Message,
  MessageDecoder,
  TYPE,
  TYPE_OF_KIND,
} from '../../../src/protocol/index.js';
import { LIMITS, type Random } from '../../../src/shared/index.js';
import { DUMMY_SHARD, helloOf } from '../../support/connection-pair.js';
import { bodyBytes } from '../../support/frames.js';
import { GOLDEN_FRAMES } from '../../support/golden-frames.js';
import { varyJson } from '../json-mutate.js';
import type { FuzzTarget } from '../target.js';
import { assertSaysSame } from './json-text.js';

const CAPABILITIES = { model: 'M', chip: 'C', memory: 1, flops: { fp32: 0.5, fp16: 1e-7, int8: 1e17 } };
const ENTRY = {
  id: 'a',
  epoch: 1,
  version: 2,
  capabilities: CAPABILITIES,
  edges: [{ toId: 'b', description: 'MAN' }],
  lost: [{ id: 'c', epoch: 1 }],
  legacy: true,
};
const TENSOR = { shape: [1, 2], dtype: 'float32' as const, data: Buffer.alloc(8, 1) };
const WIRE_KEY = { id: '00112233', secret: 'A'.repeat(43), createdAtMs: 1, untilMs: 2 };
const MESSAGES: readonly Message[] = [
  { kind: 'health-request', hello: helloOf('n', { path: { description: 'MAN', priority: 4 } }) },
  { kind: 'health-response', isHealthy: false, refusal: { code: 'x', message: 'y' } },
  {
    kind: 'prompt',
    shard: DUMMY_SHARD,
    prompt: 'hé',
    requestId: 'r',
    inferenceState: { a: [1] },
    origin: 'n',
    ring: [{ nodeId: 'n', startLayer: 0, endLayer: 7 }],
  },
  {
    kind: 'tensor-request',
    shard: DUMMY_SHARD,
    tensor: TENSOR,
    requestId: 'r',
    inferenceState: null,
    first: true,
    ring: [{ nodeId: 'n', startLayer: 0, endLayer: 7 }],
  },
  { kind: 'tensor-request', shard: DUMMY_SHARD, tensor: TENSOR, requestId: 'r', inferenceState: { a: 1.5 } },
  { kind: 'tensor-response', tensor: TENSOR },
  {
    kind: 'result',
    requestId: 'r',
    result: [7],
    isFinished: true,
    error: { code: 'c', message: 'm' },
    index: 3,
  },
  { kind: 'topology-update', entries: [ENTRY], spread: ['a'] },
  { kind: 'topology-sync', versions: new Map([['a', [1, 2]]]) },
  { kind: 'topology-synced', entries: [ENTRY], wanted: ['b'] },
  { kind: 'goodbye', reason: 'duplicate' },
  { kind: 'notice', code: 'c', message: 'm' },
  { kind: 'cancel-request', requestId: 'r' },
  { kind: 'error-response', code: 'c', message: 'm', retryable: true },
  { kind: 'auth-request', proofs: [{ method: 'mesh-key', key: '00112233', mac: 'AA' }] },
  { kind: 'auth-response', proofs: [{ method: 'pinned' }], keys: [WIRE_KEY] },
  { kind: 'key-update', keys: [WIRE_KEY] },
  { kind: 'probe-request', nodeId: 'a' },
  { kind: 'probe-response', reached: true, rttMs: 1.5 },
  { kind: 'offer-request', modelId: 'demo', nLayers: 8 },
  {
    kind: 'offer-response',
    engine: 'ggml',
    memoryBytes: 1e10,
    bytesPerS: 3e10,
    multiplyAddsPerS: 1e11,
    layers: [{ weightBytes: 1e6, multiplyAdds: 1e6, cacheBytes: 512 }],
    stored: [[0, 7]],
    fetchBytesPerS: null,
    paths: [{ nodeId: 'b', rttMs: 0.5, bytesPerS: 1e8 }],
  },
  { kind: 'files-request', repository: 'a/b', path: 'c', claim: { hash: '0'.repeat(64), range: [0, 9] } },
  {
    kind: 'files-response',
    commit: '0'.repeat(40),
    revision: 'main',
    files: [
      {
        path: 'c',
        size: 9,
        hash: { kind: 'sha256', hex: '0'.repeat(64) },
        present: [[0, 4]],
        claimed: [[4, 9]],
      },
    ],
    granted: false,
  },
  { kind: 'bytes-request', repository: 'a/b', path: 'c', hash: '0'.repeat(40), range: [0, 4] },
  { kind: 'bytes-response', data: Buffer.from('abc') },
  { kind: 'ping', data: Buffer.from('abc') },
];
/** Types whose JSON has its length in front, and bytes behind it. */
const FRAMED: ReadonlySet<number> = new Set([TYPE.tensorRequest, TYPE.tensorResponse, TYPE.result]);

/** Varies the JSON inside and sets its length right, so that the change gets past the first check. */
function vary(input: Buffer, random: Random): Buffer | undefined {
  const type = input[0] ?? 0;
  const body = input.subarray(1);
  const length = body.length >= 4 ? body.readUInt32BE(0) : 0;
  if (!FRAMED.has(type) || length > body.length - 4) {
    const text = varyJson(body.toString('utf8'), random, WORDS);
    return text === undefined ? undefined : Buffer.concat([input.subarray(0, 1), Buffer.from(text)]);
  }
  const text = varyJson(body.toString('utf8', 4, 4 + length), random, WORDS);
  if (text === undefined) return undefined;
  const head = Buffer.alloc(5);
  head[0] = type;
  head.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text), body.subarray(4 + length)]);
}

const WORDS = [
  ...[
    'float32',
    'mlx.core.bool_',
    'bfloat16',
    'hello',
    'error',
    'tensor',
    'origin',
    'index',
    'legacy',
    'spread',
  ],
  ...['0123456789abcdef', 'correlated', 'request_id', 'inference_state', 'capabilities', 'path', 'stopping'],
];

/** The message twice by one decoder, which remembers metadata, and once by another. */
function decode(type: number, body: Buffer): Message {
  const decoder = new MessageDecoder();
  const message = decoder.decode(type, body);
  assert.deepEqual(decoder.decode(type, body), message, 'the second of two equal bodies is another message');
  return message;
}

export const message: FuzzTarget = {
  name: 'message',
  bytesMax: 64 * 1024,
  words: WORDS,
  codes: ['frame-malformed', 'frame-unknown-type', 'version-mismatch'],
  seeds: () => [
    ...Object.values(GOLDEN_FRAMES).map((hex) => {
      const bytes = Buffer.from(hex, 'hex');
      return Buffer.concat([bytes.subarray(4, 5), bytes.subarray(9)]);
    }),
    ...MESSAGES.map((one) =>
      Buffer.concat([Buffer.from([TYPE_OF_KIND[one.kind]]), bodyBytes(encodeCorrelated(one))]),
    ),
  ],
  vary,
  run(input) {
    const type = (input[0] ?? 0) & 0x7f;
    const first = decode(type, input.subarray(1));
    if ('tensor' in first && first.tensor != null) {
      assert.ok(first.tensor.data.length < input.length, 'a tensor with bytes that were not sent');
    }
    const body = bodyBytes(encodeCorrelated(first));
    // Escapes make some texts longer, and metadata have a limit.
    if (FRAMED.has(type) && body.readUInt32BE(0) > LIMITS.metadataBytesMax) return `${first.kind} long`;
    const second = decode(type, body);
    assertSaysSame(second, first, 'written and read again it is another message');
    return `${first.kind} ${Object.keys(first).length}`;
  },
};
