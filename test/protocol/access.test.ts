/** Who may say what: the table is complete, and a session keeps to it before memory is taken. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ACCESS_OF_KIND,
  type AccessLevel,
  type Message,
  mayUse,
  reaches,
  TYPE,
  TYPE_OF_KIND,
} from '../../src/protocol/index.js';
import { ExoError, LIMITS } from '../../src/shared/index.js';
import { closePair, connectionPair, establishedPair, type PairOptions } from '../support/connection-pair.js';
import '../support/leaks.js';

const LEVELS: readonly AccessLevel[] = ['open', 'member', 'trusted'];

describe('the table of access', () => {
  test('has every kind of message, and no other', () => {
    assert.deepEqual(Object.keys(ACCESS_OF_KIND).sort(), Object.keys(TYPE_OF_KIND).sort());
    for (const level of Object.values(ACCESS_OF_KIND)) assert.ok(LEVELS.includes(level));
  });

  test('keeps to trusted peers whatever it does not know', () => {
    const known = new Set<number>(Object.values(TYPE_OF_KIND));
    for (let type = 0; type < 0x80; type++) {
      if (known.has(type)) continue;
      assert.ok(!mayUse('member', type) && mayUse('trusted', type), `0x${type.toString(16)}`);
    }
    assert.ok(!mayUse('member', 0x1ff));
  });

  test('lets strangers say nothing but what begins and ends a connection', () => {
    const open = Object.entries(ACCESS_OF_KIND).filter(([, level]) => level === 'open');
    assert.deepEqual(open.map(([kind]) => kind).sort(), [
      'auth-request',
      'auth-response',
      'error-response',
      'goodbye',
      'health-request',
      'health-response',
      'notice',
    ]);
    for (const reserved of [TYPE.streamOpen, TYPE.streamData, TYPE.streamWindow, TYPE.streamEnd]) {
      assert.ok(!mayUse('member', reserved));
    }
  });

  test('is an order', () => {
    for (const a of LEVELS) {
      for (const b of LEVELS) assert.equal(reaches(a, b), LEVELS.indexOf(a) >= LEVELS.indexOf(b));
    }
  });
});

const SHARD = { modelId: 'm', startLayer: 0, endLayer: 0, nLayers: 1 };
/** One of each kind that a peer may send by itself. */
const QUESTIONS: readonly Message[] = [
  { kind: 'prompt', shard: SHARD, prompt: 'p', requestId: 'r', inferenceState: null },
  { kind: 'topology-request', visited: ['a'], maxDepth: 4 },
  { kind: 'ping', data: Buffer.alloc(3) },
  { kind: 'topology-sync', versions: new Map() },
  { kind: 'topology-update', entries: [] },
  { kind: 'probe-request', nodeId: 'x' },
  { kind: 'offer-request', modelId: 'm', nLayers: 1 },
  { kind: 'files-request', repository: 'a/b' },
  { kind: 'bytes-request', repository: 'a/b', path: 'c', hash: '0'.repeat(64), range: [0, 1] },
  { kind: 'key-update', keys: [{ id: '0123abcd', secret: 'A'.repeat(43), createdAtMs: 1 }] },
  { kind: 'auth-request', proofs: [{ method: 'pinned' }] },
];

const OFFER: Message = {
  kind: 'offer-response',
  engine: 'dummy',
  reason: 'none',
  memoryBytes: 0,
  bytesPerS: 0,
  multiplyAddsPerS: 0,
  layers: [],
  stored: [],
  fetchBytesPerS: null,
  paths: [],
};

/** What the acceptor gives its handler is noted; each question has its answer. */
function noting(access: AccessLevel) {
  const heard: string[] = [];
  const answer = (message: Message): Message | undefined => {
    heard.push(message.kind);
    switch (message.kind) {
      case 'prompt':
        return { kind: 'prompt-response' };
      case 'topology-request':
        return { kind: 'topology-response', nodes: new Map(), peerGraph: new Map() };
      case 'topology-sync':
        return { kind: 'topology-synced', entries: [], wanted: [] };
      case 'topology-update':
        return { kind: 'topology-updated' };
      case 'probe-request':
        return { kind: 'probe-response', reached: false, rttMs: null };
      case 'offer-request':
        return OFFER;
      case 'files-request':
        return { kind: 'files-response', commit: null, revision: '', files: [], granted: true };
      case 'bytes-request':
        return { kind: 'bytes-response', data: Buffer.alloc(1) };
      case 'key-update':
        return { kind: 'key-updated' };
      case 'auth-request':
        return { kind: 'auth-response', proofs: [] };
      default:
        return undefined;
    }
  };
  return {
    heard,
    options: { access, acceptor: { onMessage: (_c: unknown, message: Message) => answer(message) } },
  };
}

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => undefined,
    (error: unknown) => (error instanceof ExoError ? error.code : 'another error'),
  );

describe('a session', () => {
  for (const access of LEVELS) {
    test(`of access "${access}" hands on what the table allows, and answers the rest with auth-required`, async () => {
      const { heard, options } = noting(access);
      const pair = await establishedPair(options);
      for (const question of QUESTIONS) {
        const allowed = mayUse(access, TYPE_OF_KIND[question.kind]);
        heard.length = 0;
        assert.equal(await codeOf(pair.dialler.request(question)), allowed ? undefined : 'auth-required');
        // Pings are answered by the session itself.
        assert.equal(heard.length, allowed && question.kind !== 'ping' ? 1 : 0, question.kind);
      }
      await closePair(pair);
    });
  }

  test('throws a large body that is not allowed away without memory for it', async () => {
    const { heard, options } = noting('open');
    const pair = await establishedPair(options);
    const data = Buffer.alloc(8 * 1024 * 1024);
    const asked = codeOf(pair.dialler.request({ kind: 'ping', data }));
    assert.equal(pair.shared.budget.usedBytes, 0);
    assert.equal(await asked, 'auth-required');
    assert.deepEqual(heard, []);
    await closePair(pair);
  });

  test('of an old peer without access ends at the first thing but a health check', async () => {
    const { heard, options } = noting('open');
    const pair = connectionPair(options);
    await pair.dialler.request({ kind: 'health-request' });
    assert.equal(pair.acceptor.state, 'legacy');
    await codeOf(pair.dialler.request({ kind: 'topology-request', visited: ['a'], maxDepth: 4 }));
    assert.equal((await pair.acceptor.closed).error?.code, 'auth-required');
    assert.deepEqual(heard, []);
  });

  test('raises what the other end may say at once', async () => {
    const { options } = noting('open');
    const pair = await establishedPair(options);
    const question: Message = { kind: 'probe-request', nodeId: 'x' };
    assert.equal(await codeOf(pair.dialler.request(question)), 'auth-required');
    pair.acceptor.grant('member');
    assert.equal(await codeOf(pair.dialler.request(question)), undefined);
    await closePair(pair);
  });
});

/** The acceptor has judged, and says at once what only a member may say. */
describe('what comes behind the proofs of the acceptor', () => {
  const RESULTS = 40;
  const MANY_BYTES = 3_000;

  function hasty(chunkBytes: number) {
    const heard: string[] = [];
    const options: PairOptions = {
      chunkBytes,
      diallerAccess: 'open',
      dialler: {
        onMessage: (_c, message) => {
          heard.push(message.kind === 'result' ? message.requestId : message.kind);
          return message.kind === 'prompt' ? { kind: 'prompt-response' } : undefined;
        },
      },
      acceptor: {
        onMessage: (connection, message) => {
          if (message.kind !== 'auth-request') return undefined;
          // In one turn with the answer, which the session sends first.
          queueMicrotask(() => {
            for (let index = 0; index < RESULTS; index += 1) connection.notify(resultOf(String(index)));
          });
          return { kind: 'auth-response', proofs: [] };
        },
      },
    };
    return { heard, options };
  }
  const resultOf = (requestId: string): Message => ({
    kind: 'result',
    requestId,
    result: Array.from({ length: MANY_BYTES / 4 }, (_, index) => index),
    isFinished: false,
  });
  const ALL = Array.from({ length: RESULTS }, (_, index) => String(index));

  for (const chunkBytes of [1, 1_000, 64 * 1024]) {
    test(`waits for the dialler's verdict and is then taken, in chunks of ${chunkBytes} bytes`, async () => {
      const { heard, options } = hasty(chunkBytes);
      const pair = await establishedPair(options);
      await pair.dialler.request({ kind: 'auth-request', proofs: [] });
      const asked = pair.acceptor.request({
        kind: 'prompt',
        shard: SHARD,
        prompt: 'p',
        requestId: 'r',
        inferenceState: null,
      });
      // The proofs are being judged: turns pass.
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(heard, []);
      const { bytesIn } = pair.dialler.stats;
      assert.ok(bytesIn < 2 * Math.max(chunkBytes, 1_000), `it reads on: ${bytesIn} bytes`);
      pair.dialler.grant('member');
      assert.deepEqual(await asked, { kind: 'prompt-response' });
      assert.deepEqual(heard, [...ALL, 'prompt']);
      assert.equal(pair.dialler.stats.bytesIn, pair.acceptor.stats.bytesOut);
      await closePair(pair);
    });
  }

  test('is refused when the verdict is against it', async () => {
    const { heard, options } = hasty(64 * 1024);
    const pair = await establishedPair(options);
    await pair.dialler.request({ kind: 'auth-request', proofs: [] });
    const asked = codeOf(pair.acceptor.request({ kind: 'probe-request', nodeId: 'x' }));
    pair.dialler.grant('open');
    assert.equal(await asked, 'auth-required');
    assert.deepEqual(heard, []);
    // Nobody else hears of what is never answered.
    const [dropped] = pair.log.warnings;
    assert.deepEqual([dropped?.event, dropped?.fields?.['code']], ['message-dropped', 'auth-required']);
    await closePair(pair);
  });

  test('ends with the connection where nothing is ever judged', async () => {
    const { options } = hasty(64 * 1024);
    const pair = await establishedPair(options);
    await pair.dialler.request({ kind: 'auth-request', proofs: [] });
    await pair.clock.advance(LIMITS.handshakeTimeoutMs + 100);
    assert.equal((await pair.dialler.closed).error?.code, 'handshake-timeout');
    await pair.acceptor.closed;
  });
});
