import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  encodeBase,
  encodeCorrelated,
  ITEM_BYTES,
  isBaseType,
  type Message,
  MessageDecoder,
  makeTensor,
  parseDType,
  pythonJson,
  readJson,
  TYPE,
  TYPE_OF_KIND,
  tensorBytes,
} from '../../src/protocol/index.js';
import { LIMITS } from '../../src/shared/index.js';
import { DUMMY_SHARD, helloOf } from '../support/connection-pair.js';
import { bodyBytes } from '../support/frames.js';
import fc from '../support/properties.js';
import { propertyRuns } from '../support/scale.js';

/** Plain objects, as the decoder makes them. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const CAPABILITIES = { model: 'M', chip: 'C', memory: 1, flops: { fp32: 0.5, fp16: 1e-7, int8: 1e17 } };
const text = fc.string({ unit: 'binary' }).map((value) => Buffer.from(value).toString());
const id = fc.string({ minLength: 1, maxLength: 20 }).map((value) => `n${value}`);
const state = fc.option(fc.dictionary(id, fc.jsonValue({ maxDepth: 3 })), { nil: null });
const count = fc.nat();
const tensor = record({
  shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
  dtype: fc.constantFrom(...(Object.keys(ITEM_BYTES) as Array<keyof typeof ITEM_BYTES>)),
}).map(({ shape, dtype }) => ({ shape, dtype, data: Buffer.alloc(tensorBytes(shape, dtype), 7) }));
const entry = record({
  id,
  epoch: count,
  version: count,
  capabilities: fc.constant(CAPABILITIES),
  edges: fc.array(record({ toId: id, description: text }), { maxLength: 3 }),
  lost: fc.array(record({ id, epoch: count }), { maxLength: 3 }),
});
const figure = fc.double({ min: 0, max: 1e18, noNaN: true }).map((value) => value + 0);
const rate = fc.double({ min: 1, max: 1e18, noNaN: true });
const ring = fc.array(record({ nodeId: id, startLayer: count, endLayer: count }), {
  minLength: 1,
  maxLength: 4,
});
const edges = fc.array(record({ toId: id, description: text }), { maxLength: 3 });

/** Messages whose base and correlated forms say the same. */
const baseMessage = fc.oneof(
  fc.constant<Message>({ kind: 'health-request' }),
  fc.constant<Message>({ kind: 'health-request', hello: helloOf('n') }),
  record({ kind: fc.constant('health-response' as const), isHealthy: fc.boolean() }),
  record({
    kind: fc.constant('prompt' as const),
    shard: fc.constant(DUMMY_SHARD),
    prompt: text,
    requestId: fc.option(text, { nil: null }),
    inferenceState: state,
  }),
  record({
    kind: fc.constant('tensor-request' as const),
    shard: fc.constant(DUMMY_SHARD),
    tensor,
    requestId: fc.option(text, { nil: null }),
    inferenceState: state,
  }),
  record({ kind: fc.constant('tensor-response' as const), tensor: fc.option(tensor, { nil: null }) }),
  record({
    kind: fc.constant('result' as const),
    requestId: text,
    result: fc.array(count),
    isFinished: fc.boolean(),
  }),
  record({
    kind: fc.constant('result' as const),
    requestId: text,
    result: fc.array(count),
    isFinished: fc.boolean(),
    tensor,
  }),
  record({ kind: fc.constant('topology-request' as const), visited: fc.array(text), maxDepth: count }),
  record({
    kind: fc.constant('topology-response' as const),
    nodes: fc.array(id).map((ids) => new Map(ids.map((one) => [one, CAPABILITIES]))),
    peerGraph: fc.array(fc.tuple(id, edges)).map((pairs) => new Map(pairs)),
  }),
  record({ kind: fc.constant('opaque-status' as const), requestId: text, status: text }),
) as fc.Arbitrary<Message>;

const logprob = fc.double({ min: -9_999, max: 0, noNaN: true }).map((value) => value + 0);

/** Messages that only new peers exchange, and fields that old ones never see. */
const ownMessage = fc.oneof(
  record({
    kind: fc.constant('prompt' as const),
    shard: fc.constant(DUMMY_SHARD),
    prompt: text,
    requestId: fc.option(text, { nil: null }),
    inferenceState: state,
    origin: id,
    ring,
  }),
  record({
    kind: fc.constant('tensor-request' as const),
    shard: fc.constant(DUMMY_SHARD),
    tensor,
    requestId: fc.option(text, { nil: null }),
    inferenceState: state,
    first: fc.constant(true as const),
    ring,
  }),
  record({ kind: fc.constant('ping' as const), data: fc.uint8Array().map((bytes) => Buffer.from(bytes)) }),
  record({ kind: fc.constant('topology-update' as const), entries: fc.array(entry, { maxLength: 3 }) }),
  record({
    kind: fc.constant('topology-update' as const),
    entries: fc.array(entry, { maxLength: 3 }),
    spread: fc.array(id),
  }),
  record({
    kind: fc.constant('topology-sync' as const),
    versions: fc.array(fc.tuple(id, fc.tuple(count, count))).map((pairs) => new Map(pairs)),
  }),
  record({
    kind: fc.constant('topology-synced' as const),
    entries: fc.array(entry, { maxLength: 3 }),
    wanted: fc.array(id),
  }),
  fc.constantFrom<Message>(
    { kind: 'prompt-response' },
    { kind: 'topology-updated' },
    { kind: 'goodbye', reason: 'duplicate' },
    { kind: 'goodbye', reason: 'stopping' },
  ),
  record({ kind: fc.constant('notice' as const), code: text, message: text }),
  record({ kind: fc.constant('cancel-request' as const), requestId: text }),
  record({ kind: fc.constant('probe-request' as const), nodeId: id }),
  record({ kind: fc.constant('offer-request' as const), modelId: text, nLayers: fc.nat() }),
  record({
    kind: fc.constant('offer-request' as const),
    modelId: text,
    nLayers: fc.nat(),
    mayFetch: fc.boolean(),
  }),
  record({
    kind: fc.constant('offer-response' as const),
    engine: fc.constantFrom('dummy', 'ggml'),
    memoryBytes: figure,
    bytesPerS: figure,
    multiplyAddsPerS: figure,
    layers: fc.array(record({ weightBytes: figure, multiplyAdds: figure, cacheBytes: figure }), {
      maxLength: 4,
    }),
    stored: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 4 }),
    fetchBytesPerS: fc.option(rate),
    peerFetchBytesPerS: rate,
    loadBytesPerS: rate,
    stepMs: rate,
    paths: fc.array(record({ nodeId: id, rttMs: figure, bytesPerS: fc.option(rate) }), { maxLength: 4 }),
  }),
  fc.constantFrom<Message>(
    { kind: 'files-request', repository: 'a/b' },
    { kind: 'files-request', repository: 'a/b', path: 'c', claim: { hash: 'a'.repeat(64), range: [1, 9] } },
    { kind: 'files-response', commit: null, revision: '', files: [], granted: true },
    { kind: 'bytes-request', repository: 'a/b', path: 'c', hash: '0'.repeat(40), range: [0, 4] },
    { kind: 'bytes-response', data: Buffer.from('abc') },
  ),
  record({
    kind: fc.constant('files-response' as const),
    commit: text.map((each) => each.slice(0, 64)),
    revision: text.map((each) => each.slice(0, 64)),
    granted: fc.boolean(),
    files: fc.array(
      record({
        path: id,
        size: count,
        hash: fc.constant({ kind: 'sha256' as const, hex: 'b'.repeat(64) }),
        present: fc.array(fc.tuple(count, count), { maxLength: 3 }),
        claimed: fc.array(fc.tuple(count, count), { maxLength: 3 }),
      }),
      { maxLength: 3 },
    ),
  }),
  record({
    kind: fc.constant('probe-response' as const),
    reached: fc.boolean(),
    rttMs: fc.option(fc.double({ min: 0, max: 60_000, noNaN: true }).map((ms) => ms + 0)),
  }),
  record({
    kind: fc.constant('error-response' as const),
    code: text,
    message: text,
    retryable: fc.boolean(),
  }),
  record({
    kind: fc.constant('result' as const),
    requestId: text,
    result: fc.array(count),
    isFinished: fc.boolean(),
    error: fc.record(
      { code: text, message: text, retryable: fc.boolean() },
      { requiredKeys: ['code', 'message'], noNullPrototype: true },
    ),
    index: count,
    logprobs: fc.array(record({ logprob, top: fc.array(fc.tuple(count, logprob), { maxLength: 20 }) })),
  }),
  record({
    kind: fc.constant('prompt' as const),
    shard: fc.constant(DUMMY_SHARD),
    prompt: text,
    requestId: fc.option(text, { nil: null }),
    inferenceState: state,
    origin: id,
    tokens: fc.array(count),
  }),
  record({
    kind: fc.constant('tensor-request' as const),
    shard: fc.constant(DUMMY_SHARD),
    tensor,
    requestId: fc.option(text, { nil: null }),
    inferenceState: state,
    origin: id,
    first: fc.constant(true as const),
    more: fc.constant(true as const),
  }),
) as fc.Arbitrary<Message>;

/** What the decoder drops: the key that would change the object. */
const withoutProto = (key: string, value: unknown) => (key === '__proto__' ? undefined : value);

/** JSON has no -0, and `toStrictEqual` would tell it from 0. */
function normal(message: Message): Message {
  if ('inferenceState' in message) {
    return { ...message, inferenceState: JSON.parse(JSON.stringify(message.inferenceState), withoutProto) };
  }
  return message;
}

describe('the message codec', () => {
  it('reads back what it writes, in the base form', () => {
    fc.assert(
      fc.property(baseMessage, (message) => {
        const body = bodyBytes(encodeBase(message));
        assert.deepEqual(new MessageDecoder().decode(TYPE_OF_KIND[message.kind], body), normal(message));
      }),
      { numRuns: propertyRuns(500) },
    );
  });

  it('reads back what it writes, in the correlated form', () => {
    fc.assert(
      fc.property(fc.oneof(baseMessage, ownMessage), (message) => {
        const body = bodyBytes(encodeCorrelated(message));
        assert.deepEqual(new MessageDecoder().decode(TYPE_OF_KIND[message.kind], body), normal(message));
      }),
      { numRuns: propertyRuns(500) },
    );
  });

  it('shows an old peer nothing that is not of the base protocol', () => {
    const result: Message = {
      kind: 'result',
      requestId: 'r',
      result: [1],
      isFinished: true,
      error: { code: 'peer-lost', message: 'm' },
      index: 4,
      logprobs: [{ logprob: -1, top: [[7, -1]] }],
    };
    const prompt: Message = {
      kind: 'prompt',
      shard: DUMMY_SHARD,
      prompt: 'p',
      requestId: 'r',
      inferenceState: null,
      origin: 'n',
      tokens: [1, 2],
    };
    const tensor = { shape: [1], dtype: 'uint8', data: Buffer.from([9]) } as const;
    const request: Message = {
      kind: 'tensor-request',
      shard: DUMMY_SHARD,
      tensor,
      requestId: 'r',
      inferenceState: null,
      origin: 'n',
      first: true,
      more: true,
    };
    assert.doesNotMatch(encodeBase(result).text, /error|index|logprobs/);
    assert.doesNotMatch(encodeBase(prompt).text, /origin|tokens/);
    assert.doesNotMatch(encodeBase(request).text, /origin|first|more/);
    assert.match(encodeCorrelated(request).text, /"first": true, "more": true/);
    assert.throws(() => encodeBase({ kind: 'ping', data: Buffer.alloc(0) }), { code: 'internal' });
    for (const [kind, type] of Object.entries(TYPE_OF_KIND)) {
      if (type >= 0x50) assert.equal(isBaseType(type), false, kind);
    }
  });

  it('never copies a payload', () => {
    const data = Buffer.alloc(1000);
    const message: Message = { kind: 'tensor-response', tensor: { shape: [1000], dtype: 'uint8', data } };
    assert.equal(encodeBase(message).payload, data);
    assert.equal(encodeCorrelated(message).payload, data);
  });

  it('reads flat and nested metadata of a tensor answer', () => {
    for (const meta of [
      '{"shape": [1], "dtype": "uint8"}',
      '{"tensor": {"shape": [1], "dtype": "mlx.core.uint8"}}',
    ]) {
      const body = bodyBytes({ text: meta, framed: true, payload: Buffer.from([9]) });
      assert.deepEqual(new MessageDecoder().decode(TYPE.tensorResponse, body), {
        kind: 'tensor-response',
        tensor: { shape: [1], dtype: 'uint8', data: Buffer.from([9]) },
      });
    }
  });

  it('gives equal metadata once it is remembered, with other bytes', () => {
    const decoder = new MessageDecoder();
    const make = (value: number) =>
      bodyBytes(
        encodeBase({
          kind: 'tensor-request',
          shard: DUMMY_SHARD,
          tensor: { shape: [1], dtype: 'uint8', data: Buffer.from([value]) },
          requestId: 'r',
          inferenceState: null,
        }),
      );
    const [first, second] = [1, 2].map((value) => decoder.decode(TYPE.tensorRequest, make(value)));
    assert.ok(first?.kind === 'tensor-request' && second?.kind === 'tensor-request');
    assert.equal(first.shard, second.shard);
    assert.deepEqual([first.tensor.data[0], second.tensor.data[0]], [1, 2]);
  });

  it('refuses bodies that do not have the form of their type', () => {
    const cases: ReadonlyArray<[number, string | Buffer]> = [
      [TYPE.healthResponse, ''],
      [TYPE.healthResponse, '{"is_healthy": 1}'],
      [TYPE.healthRequest, '[1]'],
      [TYPE.prompt, '{"prompt": "no shard"}'],
      [TYPE.prompt, '{'],
      [TYPE.prompt, Buffer.from([0x22, 0xff, 0x22])],
      [TYPE.tensorRequest, Buffer.from([0, 0, 0])],
      [TYPE.tensorRequest, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7b])],
      [TYPE.tensorResponse, Buffer.from([0, 0, 0, 0, 1])],
      [TYPE.topologyResponse, '{"nodes": [], "peer_graph": {}}'],
      [TYPE.result, '{"request_id": "r", "result": [1.5], "is_finished": true}'],
      [TYPE.opaqueStatus, '{"request_id": "r", "status": {}}'],
    ];
    for (const [type, body] of cases) {
      assert.throws(() => new MessageDecoder().decode(type, Buffer.from(body as string)), {
        code: 'frame-malformed',
      });
    }
  });

  it('counts an absurd memory in a hello as the largest that is plausible', () => {
    const hello = helloOf('n', { capabilities: { ...CAPABILITIES, memory: 1e308 } });
    const body = bodyBytes(encodeBase({ kind: 'health-request', hello }));
    const message = new MessageDecoder().decode(TYPE.healthRequest, body);
    assert.ok(message.kind === 'health-request' && message.hello !== undefined);
    assert.equal(message.hello.capabilities.memory, LIMITS.memoryMbMax);
  });

  it('cuts the priority of a path to what peers.json takes, so that nobody outbids every other', () => {
    for (const [said, heard] of [
      ['1e999', 100],
      ['101', 100],
      ['-1', 0],
      ['4', 4],
    ] as const) {
      const text = bodyBytes(encodeBase({ kind: 'health-request', hello: helloOf('n') }))
        .toString()
        .replace('"agent"', `"path": {"description": "MAN", "priority": ${said}}, "agent"`);
      const message = new MessageDecoder().decode(TYPE.healthRequest, Buffer.from(text));
      assert.equal(message.kind === 'health-request' && message.hello?.path?.priority, heard, said);
    }
  });

  it('refuses a hello whose id cannot be printed, and makes its other words printable', () => {
    const decode = (hello: ReturnType<typeof helloOf>) =>
      new MessageDecoder().decode(
        TYPE.healthRequest,
        bodyBytes(encodeBase({ kind: 'health-request', hello })),
      );
    for (const id of ['\u0007', 'a\u009bb', 'a\u202eb', 'a\u2066b']) {
      assert.throws(() => decode(helloOf(id)), { code: 'frame-malformed', message: /node_id.*printed/ });
    }
    const path = { description: 'MAN\u001b[2J', priority: 1 };
    const message = decode(helloOf('n', { path, agent: 'a\u202e' }));
    assert.ok(message.kind === 'health-request' && message.hello !== undefined);
    assert.equal(message.hello.path?.description, 'MAN\\u001b[2J');
    assert.equal(message.hello.agent, 'a\\u202e');
  });

  it('refuses tensors whose shape, type and bytes do not fit', () => {
    const cases: ReadonlyArray<[number[], string, number]> = [
      [[2], 'float32', 4],
      [[-1], 'uint8', 1],
      [[1.5], 'uint8', 1],
      [[2 ** 40, 2 ** 40], 'uint8', 0],
      [[1, 1, 1, 1, 1, 1, 1, 1, 1], 'uint8', 1],
      [[1], 'complex64', 8],
    ];
    for (const [shape, dtype, bytes] of cases) {
      assert.throws(() => makeTensor(shape, dtype, Buffer.alloc(bytes)), { code: 'tensor-invalid' });
      const body = bodyBytes({
        text: JSON.stringify({ shape, dtype }),
        framed: true,
        payload: Buffer.alloc(bytes),
      });
      assert.throws(() => new MessageDecoder().decode(TYPE.tensorResponse, body), {
        code: 'frame-malformed',
      });
    }
  });

  it('knows each element type in both spellings', () => {
    for (const dtype of Object.keys(ITEM_BYTES)) {
      assert.equal(parseDType(dtype), dtype);
      assert.equal(parseDType(`mlx.core.${dtype}`), dtype);
    }
    assert.equal(parseDType('mlx.core.bool_'), 'bool');
  });
});

describe('the JSON writer', () => {
  it('spells numbers and strings as Python does', () => {
    assert.equal(
      pythonJson([1, 1.5, -0.25, 1e22, 1e-7, 0.0001, 123456789012345]),
      '[1, 1.5, -0.25, 10000000000000000000000, 1e-07, 0.0001, 123456789012345]',
    );
    assert.equal(
      pythonJson({ a: 'é\n\u007f😀"\\/', b: undefined, c: [] }),
      '{"a": "\\u00e9\\n\\u007f\\ud83d\\ude00\\"\\\\/", "c": []}',
    );
  });
});

describe('the JSON reader', () => {
  const read = (text: string) => readJson(Buffer.from(text));

  it('takes the number words of Python outside strings', () => {
    assert.deepEqual(read('{"a": NaN, "b": [Infinity, -Infinity], "NaN": "a NaN, \\"Infinity"}'), {
      a: null,
      b: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
      NaN: 'a NaN, "Infinity',
    });
  });

  it('keeps no __proto__ key, however it is spelled', () => {
    for (const key of ['__proto__', '\\u005f_proto__', '__\\u0070roto__', '__pr\\u006Fto__']) {
      const value = read(`{"x": {"${key}": {"polluted": 1}}}`) as { x: object };
      assert.deepEqual(Object.getOwnPropertyNames(value.x), []);
      assert.equal(Object.getPrototypeOf(value.x), Object.prototype);
    }
  });

  it('refuses what nests too deep, and only that', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    assert.doesNotThrow(() => read(nested(32)));
    assert.throws(() => read(nested(33)), { code: 'frame-malformed' });
    assert.throws(() => read('{"a":'.repeat(100_000)), { code: 'frame-malformed' });
    assert.doesNotThrow(() => read(JSON.stringify(`"${nested(100)}\\`)));
  });
});
