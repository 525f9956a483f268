import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConnectionTicks, type Ticked } from '../../src/protocol/connection-ticks.js';
import { LIMITS, VirtualClock } from '../../src/shared/index.js';
import { closePair, establishedPair, promptOf } from '../support/connection-pair.js';

/** Waits for something until it has been looked at `looks` times. */
function waiting(clock: VirtualClock, looks: number) {
  const seenMs: number[] = [];
  const member: Ticked = {
    tick: () => {
      seenMs.push(clock.now());
      return seenMs.length < looks;
    },
  };
  return { member, seenMs };
}

describe('the ticks of connections', () => {
  it('look every 50 ms at each that waits, with one timer, and with none when nobody waits', async () => {
    const clock = new VirtualClock();
    const ticks = new ConnectionTicks();
    const [one, two] = [waiting(clock, 2), waiting(clock, 3)];
    ticks.join(one.member, clock);
    await clock.advance(20);
    ticks.join(two.member, clock);
    assert.equal(clock.pending, 1);
    await clock.advance(1_000);
    assert.deepEqual(one.seenMs, [50, 100]);
    assert.deepEqual(two.seenMs, [50, 100, 150]);
    assert.equal(clock.pending, 0);
  });

  it('forget who leaves, and take back their timer with the last', async () => {
    const clock = new VirtualClock();
    const ticks = new ConnectionTicks();
    const [one, two] = [waiting(clock, 9), waiting(clock, 1)];
    ticks.join(one.member, clock);
    ticks.join(two.member, clock);
    ticks.leave(one.member);
    await clock.advance(50);
    assert.deepEqual([one.seenMs, two.seenMs], [[], [50]]);
    ticks.join(one.member, clock);
    ticks.leave(one.member);
    assert.equal(clock.pending, 0);
  });

  it('look at the others when one throws', async () => {
    const clock = new VirtualClock();
    const ticks = new ConnectionTicks();
    const other = waiting(clock, 1);
    const fault = new Error('a fault');
    ticks.join({ tick: () => assert.fail(fault) }, clock);
    ticks.join(other.member, clock);
    await assert.rejects(clock.run(50), fault);
    await clock.run(50);
    assert.equal(other.seenMs.length, 1);
    assert.equal(clock.pending, 0);
  });
});

describe('a connection', () => {
  it('that waits for nothing sets no timer, whatever was written and received', async () => {
    const pair = await establishedPair({ acceptor: { onMessage: async () => undefined } });
    await pair.clock.advance(100);
    assert.equal(pair.clock.pending, 0, 'after the hello');
    assert.ok(pair.dialler.notify({ kind: 'goodbye', reason: 'duplicate' }));
    await pair.clock.advance(0);
    assert.equal(pair.clock.pending, 0, 'after a message that was taken at once');
    const ping = await pair.dialler.request({ kind: 'ping', data: Buffer.alloc(8) });
    assert.equal(ping.kind, 'pong');
    await pair.clock.advance(50);
    assert.equal(pair.clock.pending, 0, 'after an answer');
    await closePair(pair);
  });

  it('whose bytes are not taken is looked at until they are', async () => {
    const pair = await establishedPair();
    await pair.clock.advance(100);
    pair.diallerStream.stall();
    assert.ok(pair.dialler.notify({ kind: 'goodbye', reason: 'duplicate' }));
    await pair.clock.advance(0);
    assert.equal(pair.clock.pending, 1);
    pair.diallerStream.flow();
    await pair.clock.advance(0);
    assert.equal(pair.clock.pending, 0);
    await closePair(pair);
  });

  it('sees a deadline within 50 ms', async () => {
    const pair = await establishedPair({ acceptor: { onMessage: () => new Promise(() => undefined) } });
    const startedMs = pair.clock.now();
    const late = pair.dialler
      .request(promptOf('hello'), { timeoutMs: LIMITS.healthTimeoutMs })
      .then(() => Number.NaN)
      .catch(() => pair.clock.now() - startedMs);
    await pair.clock.advance(LIMITS.healthTimeoutMs + 50);
    const tookMs = await late;
    assert.ok(tookMs >= LIMITS.healthTimeoutMs && tookMs <= LIMITS.healthTimeoutMs + 50, `${tookMs} ms`);
    await closePair(pair);
  });
});
