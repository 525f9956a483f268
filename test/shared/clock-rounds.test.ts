import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClockRounds, ROUND_MS } from '../../src/shared/clock-rounds.js';
import { VirtualClock } from '../../src/shared/index.js';

/** A clock's rounds that began at an odd moment, and every time that its timer fired. */
async function setUp() {
  const clock = new VirtualClock();
  await clock.advance(1_037);
  const wokenMs: number[] = [];
  const after = (delayMs: number, fn: () => void) =>
    clock.after(delayMs, () => {
      wokenMs.push(clock.now());
      fn();
    });
  return { clock, wokenMs, rounds: new ClockRounds({ now: () => clock.now(), after }) };
}

describe('rounds of a clock', () => {
  it('run what is due in the same quarter of a second in one turn', async () => {
    const { clock, wokenMs, rounds } = await setUp();
    const calls = { half: 0, second: 0, other: 0 };
    const timers = [rounds.every(500, () => (calls.half += 1))];
    await clock.advance(61);
    timers.push(rounds.every(1_000, () => (calls.second += 1)));
    await clock.advance(17);
    timers.push(rounds.every(1_000, () => (calls.other += 1)));
    await clock.advance(10_000);
    assert.deepEqual(calls, { half: 20, second: 10, other: 10 });
    assert.equal(wokenMs.length, 20);
    assert.ok(wokenMs.every((atMs) => atMs % ROUND_MS === 0));
    for (const timer of timers) timer.cancel();
    assert.equal(clock.pending, 0);
  });

  it('call once after a sleep, and then after a whole interval', async () => {
    const clock = new VirtualClock();
    let skippedMs = 0;
    const calledMs: number[] = [];
    const now = () => clock.now() + skippedMs;
    const rounds = new ClockRounds({ now, after: (delayMs, fn) => clock.after(delayMs, fn) });
    const timer = rounds.every(1_000, () => calledMs.push(now()));
    await clock.advance(1_000);
    skippedMs = 60_900;
    await clock.advance(3_000);
    timer.cancel();
    assert.deepEqual(calledMs, [1_000, 62_900, 64_000]);
  });

  it('go on when one of them throws', async () => {
    const { clock, rounds } = await setUp();
    const fault = new Error('a fault');
    let calls = 0;
    const faulty = rounds.every(250, () => {
      faulty.cancel();
      throw fault;
    });
    const other = rounds.every(250, () => (calls += 1));
    await assert.rejects(clock.run(250), fault);
    await clock.run(500);
    assert.equal(calls, 3);
    other.cancel();
    assert.equal(clock.pending, 0);
  });
});
