import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Message } from '../../src/protocol/index.js';
import { LIMITS } from '../../src/shared/index.js';
import { closePair, DUMMY_SHARD, establishedPair, promptOf } from '../support/connection-pair.js';

const MIB = 1024 * 1024;
const TAKEN: Message = { kind: 'tensor-response', tensor: null };

function tensorOf(requestId: string, bytes: number): Message {
  return {
    kind: 'tensor-request',
    shard: DUMMY_SHARD,
    tensor: { shape: [bytes], dtype: 'uint8', data: Buffer.alloc(bytes, 3) },
    requestId,
    inferenceState: null,
  };
}

/** A pair whose acceptor takes tensors and notes their order; nothing travels to it before `flow`. */
async function heldPair() {
  const order: string[] = [];
  const pair = await establishedPair({
    acceptor: {
      onMessage: (_connection, message) => {
        if (message.kind === 'prompt') return { kind: 'prompt-response' };
        order.push(message.kind === 'tensor-request' ? message.requestId! : message.kind);
        return TAKEN;
      },
    },
  });
  pair.diallerStream.stall();
  return { pair, order };
}

describe('a request with a large body', () => {
  it('waits for room in the outbox, and then goes in the order of asking', async () => {
    const { pair, order } = await heldPair();
    const sizes = [6 * MIB, 6 * MIB, 3 * MIB, 3 * MIB];
    const answers = sizes.map((bytes, index) => pair.dialler.request(tensorOf(`t${index}`, bytes)));
    await Promise.resolve();
    // the second finds 6 MiB queued, the third 12
    assert.ok(pair.dialler.stats.queuedBytes < 12.1 * MIB, `${pair.dialler.stats.queuedBytes} bytes`);
    assert.ok(pair.dialler.stats.queuedBytes > LIMITS.sendQueueBytesSoft);
    assert.equal(pair.dialler.stats.pending, 4);
    pair.diallerStream.flow();
    assert.deepEqual(
      await Promise.all(answers),
      sizes.map(() => TAKEN),
    );
    assert.ok(order.indexOf('t2') < order.indexOf('t3'));
    assert.deepEqual([pair.dialler.stats.pending, pair.dialler.stats.queuedBytes], [0, 0]);
    await closePair(pair);
  });

  it('lets small requests pass while it waits', async () => {
    const { pair } = await heldPair();
    const large = [9 * MIB, 1 * MIB].map((bytes) => pair.dialler.request(tensorOf('t', bytes)));
    const small = pair.dialler.request(promptOf('small'));
    const first = Promise.race([small.then(() => 'small'), ...large.map((one) => one.then(() => 'large'))]);
    pair.diallerStream.flow();
    assert.equal(await first, 'small');
    await Promise.all(large);
    await closePair(pair);
  });

  it('that waits too long is a request-timeout, was never sent, and the others go on', async () => {
    const { pair, order } = await heldPair();
    const first = pair.dialler.request(tensorOf('first', 9 * MIB));
    const late = assert.rejects(pair.dialler.request(tensorOf('late', MIB), { timeoutMs: 500 }), {
      code: 'request-timeout',
    });
    const last = pair.dialler.request(tensorOf('last', MIB));
    await pair.clock.advance(600);
    await late;
    assert.equal(pair.dialler.stats.pending, 2);
    pair.diallerStream.flow();
    assert.deepEqual(await Promise.all([first, last]), [TAKEN, TAKEN]);
    assert.deepEqual(order.sort(), ['first', 'last']);
    await closePair(pair);
  });

  it('that waits can be cancelled, and is rejected when the connection ends', async () => {
    const { pair, order } = await heldPair();
    const abort = new AbortController();
    const all = [
      assert.rejects(pair.dialler.request(tensorOf('first', 9 * MIB)), { code: 'connection-closed' }),
      assert.rejects(pair.dialler.request(tensorOf('given-up', MIB), { signal: abort.signal }), {
        code: 'request-cancelled',
      }),
      assert.rejects(pair.dialler.request(tensorOf('left', MIB)), { code: 'connection-closed' }),
    ];
    abort.abort();
    assert.equal(pair.dialler.stats.pending, 2);
    pair.diallerStream.destroy();
    await Promise.all(all);
    assert.equal(pair.dialler.stats.pending, 0);
    assert.deepEqual(order, []);
    await closePair(pair);
  });

  it('takes the place of one that was given up while it was being sent', async () => {
    const { pair, order } = await heldPair();
    const abort = new AbortController();
    const given = assert.rejects(
      pair.dialler.request(tensorOf('given-up', 9 * MIB), { signal: abort.signal }),
      { code: 'request-cancelled' },
    );
    const next = pair.dialler.request(tensorOf('next', MIB));
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    await given;
    pair.diallerStream.flow();
    assert.deepEqual(await next, TAKEN);
    assert.deepEqual(order, ['next']);
    await closePair(pair);
  });
});

describe('the bytes of an answer', () => {
  it('that were given back are received into again, and those that were not are left alone', async () => {
    const pair = await establishedPair();
    const ask = async (fill: number) => {
      const answer = await pair.dialler.request({ kind: 'ping', data: Buffer.alloc(MIB, fill) });
      assert.ok(answer.kind === 'pong' && answer.data.equals(Buffer.alloc(MIB, fill)));
      return answer;
    };
    const kept = await ask(1);
    const given = await ask(2);
    const before = pair.shared.pool.keptBytes;
    pair.dialler.recycle(given);
    assert.equal(pair.shared.pool.keptBytes, before + MIB);
    pair.dialler.recycle(given);
    assert.equal(pair.shared.pool.keptBytes, before + MIB, 'twice is once');
    await Promise.all([ask(3), ask(4), ask(5)]);
    assert.ok(kept.data.equals(Buffer.alloc(MIB, 1)));
    await closePair(pair);
  });
});
