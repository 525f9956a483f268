import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomInt, seededRandom, sleep, VirtualClock } from '../../src/shared/index.js';

describe('virtual clock', () => {
  it('stands still until told, then moves both clocks', async () => {
    const clock = new VirtualClock(1_000_000);
    assert.deepEqual([clock.now(), clock.wall()], [0, 1_000_000]);
    await clock.advance(250);
    assert.deepEqual([clock.now(), clock.wall()], [250, 1_000_250]);
  });

  it('fires timers in the order of time, and of being set within one instant', async () => {
    const clock = new VirtualClock();
    const random = seededRandom(5);
    const set: Array<{ atMs: number; order: number }> = [];
    const fired: Array<{ atMs: number; order: number }> = [];
    for (let order = 0; order < 500; order += 1) {
      const timer = { atMs: randomInt(random, 0, 50), order };
      set.push(timer);
      clock.after(timer.atMs, () => {
        assert.equal(clock.now(), timer.atMs);
        fired.push(timer);
      });
    }
    await clock.advance(50);
    assert.deepEqual(
      fired,
      set.sort((a, b) => a.atMs - b.atMs || a.order - b.order),
    );
  });

  it('fires what falls due at the end of the move, and nothing later', async () => {
    const clock = new VirtualClock();
    const fired: number[] = [];
    for (const delayMs of [99, 100, 101]) clock.after(delayMs, () => fired.push(delayMs));
    await clock.advance(100);
    assert.deepEqual(fired, [99, 100]);
    assert.equal(clock.pending, 1);
  });

  it('fires on the way what timers set on the way', async () => {
    const clock = new VirtualClock();
    const fired: number[] = [];
    clock.after(10, () => clock.after(10, () => fired.push(clock.now())));
    await clock.advance(20);
    assert.deepEqual(fired, [20]);
  });

  it('does not fire what was cancelled, even in the same instant', async () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    const second = clock.after(10, () => fired.push('second'));
    const third = clock.after(10, () => fired.push('third'));
    clock.after(5, () => second.cancel());
    clock.after(10, () => third.cancel());
    const first = clock.after(1, () => fired.push('first'));
    await clock.advance(1);
    first.cancel();
    third.cancel();
    await clock.advance(20);
    assert.deepEqual(fired, ['first']);
    assert.equal(clock.pending, 0);
  });

  it('repeats until cancelled, also from inside', async () => {
    const clock = new VirtualClock();
    const ticks: number[] = [];
    const timer = clock.every(10, () => {
      ticks.push(clock.now());
      if (ticks.length === 3) timer.cancel();
    });
    await clock.advance(100);
    assert.deepEqual(ticks, [10, 20, 30]);
    assert.equal(clock.pending, 0);
  });

  it('lets promises run between two instants', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    void sleep(clock, 10).then(async () => {
      await Promise.resolve();
      seen.push(`woken at ${clock.now()}`);
    });
    clock.after(11, () => seen.push('next timer'));
    await clock.advance(11);
    assert.deepEqual(seen, ['woken at 10', 'next timer']);
  });

  it('takes a negative delay for none', async () => {
    const clock = new VirtualClock();
    let firedMs = -1;
    clock.after(-5, () => {
      firedMs = clock.now();
    });
    await clock.advance(0);
    assert.equal(firedMs, 0);
  });

  it('runs through many timers in one turn of the loop, with the same order and the same promises between them', async () => {
    const logs = await Promise.all(
      (['advance', 'run'] as const).map(async (how) => {
        const clock = new VirtualClock();
        const random = seededRandom(9);
        const log: string[] = [];
        for (let timer = 0; timer < 300; timer += 1) {
          const handle = clock.after(randomInt(random, 0, 100), () => {
            log.push(`${timer} at ${clock.now()}`);
            void Promise.resolve().then(async () => {
              await Promise.resolve();
              log.push(`promise of ${timer} at ${clock.now()}`);
            });
            if (timer % 5 === 0) clock.after(randomInt(random, 0, 9), () => log.push(`child of ${timer}`));
          });
          if (timer % 7 === 0) handle.cancel();
        }
        await clock[how](60);
        log.push(`half ${clock.now()}`);
        await clock[how](60);
        return [...log, clock.now(), clock.pending];
      }),
    );
    assert.deepEqual(logs[1], logs[0]);
  });

  it('ends a run with what a timer throws', async () => {
    const clock = new VirtualClock();
    clock.after(5, () => {
      throw new Error('broken');
    });
    await assert.rejects(clock.run(10), /broken/);
  });
});
