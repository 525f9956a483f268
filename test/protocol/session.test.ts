import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FLAG_MORE, FLAG_TOTAL, type Hello, MemoryBudget, type Message } from '../../src/protocol/index.js';
import { ExoError, LIMITS, randomInt, seededRandom } from '../../src/shared/index.js';
import {
  closePair,
  connectionPair,
  DUMMY_SHARD,
  establishedPair,
  helloOf,
  type Pair,
  promptOf,
} from '../support/connection-pair.js';
import { collectingDecoder, rawFrame } from '../support/frames.js';
import { GOLDEN_FRAMES } from '../support/golden-frames.js';
import { promise } from '../support/promise.js';

const OK: Message = { kind: 'prompt-response' };

function tensorOf(bytes: number, requestId = 'r'): Message {
  return {
    kind: 'tensor-request',
    shard: DUMMY_SHARD,
    tensor: { shape: [bytes], dtype: 'uint8', data: Buffer.alloc(bytes, 3) },
    requestId,
    inferenceState: null,
  };
}

/** Bytes to the acceptor as an old or hostile client would send them. */
function inject(pair: Pair, ...frames: Buffer[]): void {
  pair.diallerStream.onData = () => undefined;
  pair.acceptorStream.onData(Buffer.concat(frames));
}

/** Frames that an end has written. */
function framesOf(written: readonly Buffer[]) {
  const { decoder, frames } = collectingDecoder();
  for (const chunk of written) decoder.push(chunk);
  return frames;
}

const golden = (name: keyof typeof GOLDEN_FRAMES) => Buffer.from(GOLDEN_FRAMES[name], 'hex');
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('correlated requests', () => {
  it('find their answers with 1,000 in flight and answers in any order', async () => {
    const waiting: Array<() => void> = [];
    const pair = await establishedPair({
      chunkBytes: 777,
      acceptor: {
        onMessage: (_connection, message) =>
          new Promise((resolve) => {
            waiting.push(() =>
              resolve({
                kind: 'topology-response',
                nodes: new Map([
                  [
                    message.kind === 'topology-request' ? message.visited[0]! : '?',
                    helloOf('x').capabilities,
                  ],
                ]),
                peerGraph: new Map(),
              }),
            );
          }),
      },
    });
    const answers = Array.from({ length: 1_000 }, (_, index) =>
      pair.dialler.request({ kind: 'topology-request', visited: [`n${index}`], maxDepth: 1 }),
    );
    assert.equal(pair.dialler.stats.pending, 1_000);
    while (waiting.length < 1_000) await turn();
    assert.equal(pair.acceptor.stats.serving, 1_000);
    const random = seededRandom(7);
    while (waiting.length > 0) waiting.splice(randomInt(random, 0, waiting.length - 1), 1)[0]!();
    for (const [index, answer] of (await Promise.all(answers)).entries()) {
      assert.ok(answer.kind === 'topology-response' && answer.nodes.has(`n${index}`));
    }
    assert.deepEqual([pair.dialler.stats.pending, pair.acceptor.stats.serving], [0, 0]);
    await closePair(pair);
  });

  it('that time out leave the connection usable, and their late answers disturb nothing', async () => {
    let release: ((answer: Message) => void) | undefined;
    const pair = await establishedPair({
      acceptor: {
        onMessage: (_connection, message) =>
          message.kind === 'prompt' && message.prompt === 'slow'
            ? new Promise((resolve) => {
                release = resolve;
              })
            : OK,
      },
    });
    const slow = pair.dialler.request(promptOf('slow'), { timeoutMs: 200 });
    const late = assert.rejects(slow, { code: 'request-timeout', retryable: true });
    await pair.clock.advance(300);
    await late;
    release!(OK);
    assert.deepEqual(await pair.dialler.request(promptOf('quick')), OK);
    await pair.clock.advance(1_000);
    assert.equal(pair.dialler.state, 'established');
    await closePair(pair);
  });

  it('end with request-cancelled when their signal is aborted', async () => {
    const pair = await establishedPair({ acceptor: { onMessage: () => new Promise(() => undefined) } });
    const abort = new AbortController();
    const request = pair.dialler.request(promptOf('x'), { signal: abort.signal });
    abort.abort();
    await assert.rejects(request, { code: 'request-cancelled' });
    await assert.rejects(pair.dialler.request(promptOf('y'), { signal: abort.signal }), {
      code: 'request-cancelled',
    });
    assert.equal(pair.dialler.stats.pending, 0);
    await closePair(pair);
  });

  it('are rejected with connection-closed, and their handlers aborted, when the connection ends', async () => {
    let signal: AbortSignal | undefined;
    const pair = await establishedPair({
      acceptor: {
        onMessage: (_connection, _message, context) => {
          signal = context.signal;
          return new Promise(() => undefined);
        },
      },
    });
    const request = assert.rejects(pair.dialler.request(promptOf('x')), { code: 'connection-closed' });
    while (signal === undefined) await turn();
    await pair.dialler.close();
    await request;
    assert.equal((await pair.acceptor.closed).by, 'remote');
    assert.equal(signal.aborted, true);
    assert.equal(pair.dialler.notify(promptOf('late')), false);
    await assert.rejects(pair.dialler.request(promptOf('late')), { code: 'connection-closed' });
  });

  it('beyond the limit of what is served get overloaded', async () => {
    const pair = await establishedPair({ acceptor: { onMessage: () => new Promise(() => undefined) } });
    const many = LIMITS.requestsInFlightPerConnection;
    inject(
      pair,
      ...Array.from({ length: many + 1 }, (_, index) =>
        rawFrame(0x30, Buffer.from('{"visited":[],"max_depth":1}'), index + 1),
      ),
    );
    await turn();
    await turn();
    const answers = framesOf(pair.acceptorStream.written).slice(1);
    assert.equal(answers.length, 1);
    assert.equal(answers[0]!.id, many + 1);
    assert.match(answers[0]!.body.toString(), /"code":"overloaded".*"retryable":true/);
    await closePair(pair);
  });

  it('of an unknown type are answered with request-unsupported, also in fragments', async () => {
    const pair = await establishedPair();
    const part = Buffer.alloc(1_000);
    inject(
      pair,
      rawFrame(0x60, part, 1),
      rawFrame(0x74, part, 2, FLAG_MORE | FLAG_TOTAL, 2_000),
      rawFrame(0x74, part, 2),
      rawFrame(0x74, part, 0),
      rawFrame(0x75, part, 9),
    );
    await turn();
    const answers = framesOf(pair.acceptorStream.written).slice(1);
    assert.deepEqual(
      answers.map(({ type, id }) => [type, id]),
      [
        [0xff, 1],
        [0xff, 2],
      ],
    );
    assert.match(answers[0]!.body.toString(), /request-unsupported/);
    assert.equal(pair.acceptor.state, 'established');
    await closePair(pair);
  });

  it('that do not fit the memory budget get overloaded, and the connection stays', async () => {
    const pair = await establishedPair({
      acceptor: { onMessage: () => ({ kind: 'tensor-response', tensor: null }) },
    });
    const filler = LIMITS.memoryBudgetBytes - 100_000;
    assert.ok(pair.shared.budget.reserve(filler, 'established'));
    await assert.rejects(pair.dialler.request(tensorOf(1_000_000)), { code: 'overloaded', retryable: true });
    pair.shared.budget.release(filler, 'established');
    assert.equal((await pair.dialler.request(tensorOf(1_000_000))).kind, 'tensor-response');
    assert.equal(pair.shared.budget.usedBytes, 0);
    await closePair(pair);
  });

  it('let control frames pass a long message after one fragment', async () => {
    const pair = await establishedPair({
      acceptor: { onMessage: () => ({ kind: 'tensor-response', tensor: null }) },
    });
    pair.diallerStream.stall();
    const tensor = pair.dialler.request(tensorOf(8 * 1024 * 1024));
    await turn();
    const health = pair.dialler.request({ kind: 'health-request' });
    pair.diallerStream.flow();
    await health;
    const types = framesOf(pair.diallerStream.written).map(({ type }) => type);
    assert.deepEqual(types.slice(0, 4), [0x01, 0x92, 0x81, 0x92]);
    await tensor;
    await closePair(pair);
  });

  it('given up half sent are ended with an ABANDON frame, and their memory is given back', async () => {
    const pair = await establishedPair();
    pair.diallerStream.stall();
    const abort = new AbortController();
    const tensor = pair.dialler.request(tensorOf(8 * 1024 * 1024), { signal: abort.signal });
    pair.diallerStream.allow(400_000);
    while (pair.acceptor.stats.bytesIn < 400_000) await turn();
    assert.ok(pair.shared.budget.usedBytes > 8 * 1024 * 1024);
    abort.abort();
    await assert.rejects(tensor, { code: 'request-cancelled' });
    pair.diallerStream.flow();
    await pair.dialler.request({ kind: 'health-request' });
    await turn();
    assert.equal(pair.shared.budget.usedBytes, 0);
    assert.ok(pair.dialler.stats.bytesOut < 1024 * 1024);
    await closePair(pair);
  });

  it('and one-way messages of any size arrive together', async () => {
    const seen: number[] = [];
    const pair = await establishedPair({
      acceptor: {
        onMessage: (_connection, message, { answerWanted }) => {
          if (message.kind === 'result') seen.push(message.tensor?.data.length ?? 0);
          assert.equal(answerWanted, message.kind === 'prompt');
          return message.kind === 'prompt' ? OK : undefined;
        },
      },
    });
    const result = (bytes: number): Message => ({
      kind: 'result',
      requestId: 'r',
      result: [],
      isFinished: false,
      tensor: { shape: [bytes], dtype: 'uint8', data: Buffer.alloc(bytes) },
    });
    for (const bytes of [1_000_000, 10, 2_000_000]) assert.equal(pair.dialler.notify(result(bytes)), true);
    await pair.dialler.request(promptOf('p'.repeat(3_000_000)));
    while (seen.length < 3) await turn();
    assert.deepEqual(seen, [10, 1_000_000, 2_000_000]);
    await closePair(pair);
  });

  it('answered with the wrong kind by a handler become an error, not silence', async () => {
    const pair = await establishedPair({ acceptor: { onMessage: () => undefined } });
    await assert.rejects(pair.dialler.request(promptOf('x')), { code: 'internal' });
    await closePair(pair);
  });
});

describe('memory of bodies', () => {
  it('is reused when the handler is done, but not while its answer shows it', async () => {
    const budget = new MemoryBudget();
    let echo = true;
    const pair = await establishedPair({
      acceptor: {
        onMessage: (_connection, message) => ({
          kind: 'tensor-response',
          tensor: message.kind === 'tensor-request' && echo ? message.tensor : null,
        }),
      },
    });
    pair.acceptorStream.stall();
    const asked = pair.dialler.request(tensorOf(300_000));
    while (pair.acceptor.stats.framesOut < 2) await turn();
    assert.equal(pair.shared.pool.keptBytes, 0);
    pair.acceptorStream.flow();
    const first = await asked;
    while (pair.shared.pool.keptBytes === 0) await turn();
    assert.ok(first.kind === 'tensor-response' && first.tensor?.data.every((byte) => byte === 3));
    echo = false;
    await pair.dialler.request(tensorOf(300_000));
    assert.ok(pair.shared.pool.keptBytes >= 300_000);
    assert.equal(budget.usedBytes, 0);
    await closePair(pair);
  });
});

describe('the base protocol, as server', () => {
  it('answers golden frames of an old client, in order, whatever its handlers take', async () => {
    const waiting: Array<(answer: Message) => void> = [];
    const pair = connectionPair({
      acceptor: {
        onMessage: (_connection, message, { answerWanted }) => {
          if (!answerWanted) return undefined;
          if (message.kind === 'tensor-request') return new Promise((resolve) => waiting.push(resolve));
          return {
            kind: 'topology-response',
            nodes: new Map([
              ['a', { model: 'M', chip: 'C', memory: 1024, flops: { fp32: 0, fp16: 0, int8: 0 } }],
            ]),
            peerGraph: new Map([['a', [{ toId: 'b', description: 'MAN' }]]]),
          };
        },
      },
    });
    inject(pair, golden('healthRequest'), golden('prompt'), golden('result'), golden('opaqueStatus'));
    inject(pair, golden('tensorRequest'), golden('topologyRequest'), golden('healthRequest'));
    await turn();
    assert.equal(Buffer.concat(pair.acceptorStream.written).toString('hex'), GOLDEN_FRAMES.healthResponse);
    waiting[0]!({ kind: 'tensor-response', tensor: null });
    await turn();
    assert.equal(
      Buffer.concat(pair.acceptorStream.written).toString('hex'),
      [
        GOLDEN_FRAMES.healthResponse,
        GOLDEN_FRAMES.tensorResponseNone,
        GOLDEN_FRAMES.topologyResponse,
        GOLDEN_FRAMES.healthResponse,
      ].join(''),
    );
    assert.equal(pair.acceptor.state, 'legacy');
    await closePair(pair);
  });

  it('answers a tensor whose handler throws with no tensor, and a topology by closing', async () => {
    const pair = connectionPair({
      acceptor: {
        onMessage: () => {
          throw new Error('broken');
        },
      },
    });
    inject(pair, golden('tensorRequest'), golden('prompt'));
    await turn();
    assert.equal(
      Buffer.concat(pair.acceptorStream.written).toString('hex'),
      GOLDEN_FRAMES.tensorResponseNone,
    );
    assert.deepEqual(
      pair.log.warnings.map(({ event }) => event),
      ['handler-failed'],
    );
    inject(pair, golden('topologyRequest'));
    assert.equal((await pair.acceptor.closed).by, 'error');
    await pair.dialler.closed;
  });

  it('ignores types of the list that mean nothing, and takes no requests of its own', async () => {
    const pair = connectionPair();
    inject(pair, rawFrame(0x14, Buffer.alloc(10)), rawFrame(0x11, Buffer.alloc(0)), golden('healthRequest'));
    await turn();
    assert.equal(Buffer.concat(pair.acceptorStream.written).toString('hex'), GOLDEN_FRAMES.healthResponse);
    await assert.rejects(pair.acceptor.request({ kind: 'topology-request', visited: [], maxDepth: 1 }), {
      code: 'not-on-this-connection',
    });
    assert.equal(pair.acceptor.notify({ kind: 'opaque-status', requestId: '', status: '{}' }), false);
    await closePair(pair);
  });
});

describe('the base protocol, as client', () => {
  /** A dialler whose other end is a script: an old peer that answers with golden frames. */
  function againstOldPeer() {
    const pair = connectionPair();
    const answer = (...names: Array<keyof typeof GOLDEN_FRAMES>) =>
      pair.diallerStream.onData(Buffer.concat(names.map(golden)));
    return { ...pair, answer, sent: () => framesOf(pair.diallerStream.written).map(({ type }) => type) };
  }

  it('introduces itself, learns that the peer is old, and keeps one request outstanding', async () => {
    const { dialler, diallerStream, acceptorStream, answer, sent, acceptor } = againstOldPeer();
    acceptorStream.onData = () => undefined;
    const hello = dialler.introduce(helloOf('dialler'));
    await turn();
    answer('healthResponse');
    assert.equal(await hello, undefined);
    assert.equal(dialler.state, 'legacy');
    const topology = dialler.request({ kind: 'topology-request', visited: ['a'], maxDepth: 3 });
    const tensor = dialler.request(tensorOf(8));
    assert.deepEqual(await dialler.request(promptOf('p')), OK);
    await turn();
    assert.deepEqual(sent(), [0x01, 0x30, 0x10]);
    answer('topologyResponse');
    assert.equal((await topology).kind, 'topology-response');
    await turn();
    assert.deepEqual(sent(), [0x01, 0x30, 0x10, 0x12]);
    answer('tensorResponseNone');
    assert.deepEqual(await tensor, { kind: 'tensor-response', tensor: null });
    await assert.rejects(dialler.request({ kind: 'ping', data: Buffer.alloc(0) }), {
      code: 'request-unsupported',
    });
    assert.equal(dialler.notify({ kind: 'goodbye', reason: 'stopping' }), false);
    assert.equal(diallerStream.destroyed, false);
    await closePair({ dialler, acceptor } as Pair);
  });

  it('closes the connection on a timeout, because the late answer would be taken for the next one', async () => {
    const { dialler, acceptorStream, clock, acceptor } = againstOldPeer();
    acceptorStream.onData = () => undefined;
    const first = assert.rejects(
      dialler.request({ kind: 'topology-request', visited: [], maxDepth: 1 }, { timeoutMs: 1_000 }),
      { code: 'request-timeout' },
    );
    const second = assert.rejects(dialler.request(tensorOf(1)), { code: 'connection-closed' });
    await clock.advance(1_100);
    await Promise.all([first, second]);
    assert.equal((await dialler.closed).error?.code, 'request-timeout');
    await acceptor.closed;
  });

  it('drops the answer of a cancelled request, and only that', async () => {
    const { dialler, acceptorStream, answer, acceptor } = againstOldPeer();
    acceptorStream.onData = () => undefined;
    const abort = new AbortController();
    const first = dialler.request(tensorOf(1), { signal: abort.signal });
    const second = dialler.request({ kind: 'topology-request', visited: [], maxDepth: 1 });
    abort.abort();
    await assert.rejects(first, { code: 'request-cancelled' });
    answer('tensorResponseNone', 'topologyResponse');
    assert.equal((await second).kind, 'topology-response');
    await closePair({ dialler, acceptor } as Pair);
  });

  it('closes on a frame that answers nothing', async () => {
    for (const names of [['topologyResponse'], ['healthRequest'], ['prompt']] as const) {
      const { dialler, answer, acceptor } = againstOldPeer();
      answer(...names);
      assert.equal((await dialler.closed).error?.code, 'protocol-violation');
      await acceptor.closed;
    }
  });

  it('queues a bounded number of requests', async () => {
    const { dialler, acceptorStream, acceptor } = againstOldPeer();
    acceptorStream.onData = () => undefined;
    const requests = Array.from({ length: LIMITS.serialQueuePerConnection + 2 }, () =>
      dialler.request({ kind: 'health-request' }).catch((error: ExoError) => error.code),
    );
    assert.equal(await requests.at(-1), 'overloaded');
    await closePair({ dialler, acceptor } as Pair);
    assert.equal(await requests[0], 'connection-closed');
  });
});

describe('a hello', () => {
  it('that is refused carries the reason to the dialler, and both ends close', async () => {
    const pair = connectionPair({
      acceptor: {
        onHello: () => {
          throw new ExoError('duplicate-id', 'another machine uses this id');
        },
      },
    });
    await assert.rejects(pair.dialler.introduce(helloOf('dialler')), {
      code: 'duplicate-id',
      message: 'another machine uses this id',
    });
    assert.equal((await pair.acceptor.closed).error?.code, 'duplicate-id');
    assert.equal((await pair.dialler.closed).by, 'remote');
  });

  it('without correlated in common leaves the base protocol, with a hello', async () => {
    const pair = connectionPair();
    assert.deepEqual(
      await pair.dialler.introduce(helloOf('dialler', { features: ['topology'] })),
      helloOf('acceptor'),
    );
    for (const end of [pair.dialler, pair.acceptor]) {
      assert.equal(end.state, 'legacy');
      assert.ok(end.hello);
    }
    await closePair(pair);
  });

  it('said again refreshes what is known, without asking the owner', async () => {
    let asked = 0;
    const pair = await establishedPair({
      acceptor: {
        onHello: () => {
          asked += 1;
          return helloOf('acceptor');
        },
      },
    });
    await pair.dialler.introduce(helloOf('dialler', { nodePort: 99 }));
    assert.equal(pair.acceptor.hello?.nodePort, 99);
    assert.equal(asked, 1);
    assert.equal(pair.dialler.state, 'established');
    await closePair(pair);
  });

  it('of another version is refused with version-mismatch, whatever else it says', async (t) => {
    const pair = connectionPair();
    inject(pair, rawFrame(0x01, Buffer.from('{"hello": {"version_min": 2, "version_max": 7, "who": []}}')));
    assert.equal((await pair.acceptor.closed).error?.code, 'version-mismatch');
    assert.match(framesOf(pair.acceptorStream.written)[0]!.body.toString(), /"code": "version-mismatch"/);
    await pair.dialler.closed;
    promise(t, 'P10', 'versions 2 to 7: refused with version-mismatch at both ends');
  });

  it('with fields, features and values of a later version is understood', async (t) => {
    let seen: Hello | undefined;
    const pair = connectionPair({
      acceptor: {
        onHello: (_connection, hello) => {
          seen = hello;
          return helloOf('acceptor');
        },
      },
    });
    const later = {
      version_min: 1,
      version_max: 3,
      node_id: 'n',
      instance: 'ffffffffffffffff',
      features: ['correlated', 'streams'],
      colour: 'red',
    };
    inject(pair, rawFrame(0x01, Buffer.from(JSON.stringify({ hello: later, extra: 1 }))));
    await turn();
    assert.equal(pair.acceptor.state, 'established');
    assert.deepEqual([seen?.nodeId, seen?.epoch, seen?.capabilities.memory], ['n', 0, 0]);
    promise(t, 'P10', 'versions 1 to 3, unknown features and fields: negotiated');
    await closePair(pair);
  });

  it('is not waited for longer than its deadline', async () => {
    const pair = connectionPair();
    pair.acceptorStream.onData = () => undefined;
    const hello = assert.rejects(pair.dialler.introduce(helloOf('dialler')), { code: 'request-timeout' });
    await pair.clock.advance(LIMITS.healthTimeoutMs + 100);
    await hello;
    await Promise.all([pair.dialler.closed, pair.acceptor.closed]);
  });
});

describe('a goodbye', () => {
  it('is part of the reason for which the other side closed', async () => {
    const pair = await establishedPair();
    pair.dialler.notify({ kind: 'goodbye', reason: 'duplicate' });
    await pair.dialler.close();
    assert.deepEqual(await pair.acceptor.closed, { by: 'remote', goodbye: 'duplicate' });
    assert.deepEqual(await pair.dialler.closed, { by: 'local' });
  });
});
