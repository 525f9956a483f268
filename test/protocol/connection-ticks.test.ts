import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConnectionTicks, type Ticked } from '../../src/protocol/connection-ticks.js';
import { LIMITS, VirtualClock } from '../../src/shared/index.js';
import { closePair, establishedPair, promptOf } from '../support/connection-pair.js';
import { rawFrame } from '../support/frames.js';

/** Waits for something until it has been looked at `looks` times, every `everyMs`. */
function waiting(clock: VirtualClock, looks: number, everyMs = 50) {
  const seenMs: number[] = [];
  const member = {
    dueMs: clock.now() + everyMs,
    tick: (nowMs: number) => {
      seenMs.push(nowMs);
      member.dueMs = nowMs + everyMs;
      return seenMs.length < looks;
    },
  } satisfies Ticked;
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

  it('look at each when it is due, and wake for nobody else', async () => {
    const clock = new VirtualClock();
    const ticks = new ConnectionTicks();
    const [far, near] = [waiting(clock, 2, 500), waiting(clock, 3)];
    ticks.join(far.member, clock);
    await clock.advance(100);
    near.member.dueMs = clock.now() + 50;
    ticks.join(near.member, clock);
    assert.equal(clock.pending, 1);
    await clock.advance(2_000);
    assert.deepEqual(near.seenMs, [150, 200, 250]);
    assert.deepEqual(far.seenMs, [500, 1_000]);
    assert.equal(clock.pending, 0);
  });

  it('look sooner at one that has come to be due sooner', async () => {
    const clock = new VirtualClock();
    const ticks = new ConnectionTicks();
    const { member, seenMs } = waiting(clock, 1, 500);
    ticks.join(member, clock);
    member.dueMs = 70;
    ticks.join(member, clock);
    await clock.advance(1_000);
    assert.deepEqual(seenMs, [70]);
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
    ticks.join({ dueMs: 50, tick: () => assert.fail(fault) }, clock);
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
    await pair.clock.advance(500);
    assert.equal(pair.clock.pending, 0, 'after the hello');
    assert.ok(pair.dialler.notify({ kind: 'goodbye', reason: 'duplicate' }));
    await pair.clock.advance(0);
    assert.equal(pair.clock.pending, 0, 'after a message that was taken at once');
    const ping = await pair.dialler.request({ kind: 'ping', data: Buffer.alloc(8) });
    assert.equal(ping.kind, 'pong');
    await pair.clock.advance(500);
    assert.equal(pair.clock.pending, 0, 'after an answer');
    await closePair(pair);
  });

  it('whose bytes are not taken is looked at until they are', async () => {
    const pair = await establishedPair();
    await pair.clock.advance(500);
    pair.diallerStream.stall();
    assert.ok(pair.dialler.notify({ kind: 'goodbye', reason: 'duplicate' }));
    await pair.clock.advance(0);
    assert.equal(pair.clock.pending, 1);
    pair.diallerStream.flow();
    await pair.clock.advance(0);
    assert.equal(pair.clock.pending, 0);
    await closePair(pair);
  });

  for (const timeoutMs of [120, LIMITS.healthTimeoutMs]) {
    it(`sees a deadline of ${timeoutMs} ms within 50 ms, beside one that is far away`, async () => {
      const pair = await establishedPair({ acceptor: { onMessage: () => new Promise(() => undefined) } });
      const failedMs = async (ms: number) => {
        const startedMs = pair.clock.now();
        const message = promptOf('hello');
        await assert.rejects(pair.dialler.request(message, { timeoutMs: ms }), /no answer/);
        return pair.clock.now() - startedMs;
      };
      const far = failedMs(60_000);
      // It is looked at seldom by now.
      await pair.clock.advance(720);
      const near = failedMs(timeoutMs);
      await pair.clock.advance(timeoutMs + 50);
      const tookMs = await near;
      assert.ok(tookMs >= timeoutMs && tookMs <= timeoutMs + 50, `${tookMs} ms`);
      await pair.clock.advance(60_000);
      assert.ok((await far) <= 60_050);
      await closePair(pair);
    });
  }

  it('that waits for something far away sees half a body stand still in time', async () => {
    const { clock, ...pair } = await establishedPair({
      acceptor: { onMessage: () => new Promise(() => undefined) },
    });
    const far = pair.dialler.request(promptOf('hello'), { timeoutMs: 600_000 });
    far.catch(() => undefined);
    await clock.advance(720);
    const waitsMs: number[] = [];
    const after = clock.after.bind(clock);
    clock.after = (ms, run) => {
      waitsMs.push(ms);
      return after(ms, run);
    };
    // The head of a tensor with an id, and nothing behind it.
    const head = rawFrame(0x92, Buffer.alloc(100)).subarray(0, 12);
    pair.acceptorStream.write([head]);
    await clock.advance(40);
    assert.deepEqual(waitsMs, [50]);
    await closePair({ clock, ...pair });
  });

  it('is looked at twice a second while the deadlines of what it asked are far away', async () => {
    const pair = await establishedPair({ acceptor: { onMessage: () => new Promise(() => undefined) } });
    const asked = pair.dialler.request(promptOf('hello'), { timeoutMs: 10_000 });
    asked.catch(() => undefined);
    // What was written has been taken by then.
    await pair.clock.advance(1_000);
    const after = pair.clock.after.bind(pair.clock);
    const waitsMs: number[] = [];
    pair.clock.after = (ms, run) => {
      waitsMs.push(ms);
      return after(ms, run);
    };
    await pair.clock.advance(2_000);
    assert.deepEqual(waitsMs, [500, 500, 500, 500]);
    await closePair(pair);
  });
});
