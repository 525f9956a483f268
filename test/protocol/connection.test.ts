import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Message } from '../../src/protocol/index.js';
import { ExoError } from '../../src/shared/index.js';
import { closePair, establishedPair, helloOf, promptOf } from '../support/connection-pair.js';

describe('an established connection', () => {
  it('has the hello of the other side on both ends', async () => {
    const pair = await establishedPair();
    assert.equal(pair.dialler.state, 'established');
    assert.equal(pair.acceptor.state, 'established');
    assert.deepEqual(pair.dialler.hello, helloOf('acceptor'));
    assert.deepEqual(pair.acceptor.hello, helloOf('dialler'));
    await closePair(pair);
  });

  it('answers requests in both directions', async () => {
    const answer: Message = { kind: 'prompt-response' };
    const pair = await establishedPair({
      dialler: { onMessage: () => answer },
      acceptor: { onMessage: async () => answer },
    });
    assert.deepEqual(await pair.dialler.request(promptOf('a')), answer);
    assert.deepEqual(await pair.acceptor.request(promptOf('b')), answer);
    await closePair(pair);
  });

  it('answers pings with the same bytes at any size', async () => {
    const pair = await establishedPair({ chunkBytes: 5_000 });
    for (const bytes of [0, 1, 8192, 16_384, 16_385, 65_537, 262_144, 262_145, 3_000_000]) {
      const data = Buffer.alloc(bytes, bytes % 251);
      const answer = await pair.dialler.request({ kind: 'ping', data });
      assert.ok(answer.kind === 'pong' && answer.data.equals(data), `${bytes} bytes`);
    }
    assert.equal(pair.shared.budget.usedBytes, 0);
    await closePair(pair);
  });

  it('turns a handler that throws into a typed error for the caller', async () => {
    const pair = await establishedPair({
      acceptor: {
        onMessage: () => {
          throw new ExoError('ring-incomplete', 'no second node', { retryable: true });
        },
      },
    });
    await assert.rejects(pair.dialler.request(promptOf('x')), (error: ExoError) => {
      assert.equal(error.code, 'ring-incomplete');
      assert.equal(error.retryable, true);
      return true;
    });
    await closePair(pair);
  });
});
