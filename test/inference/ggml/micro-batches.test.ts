/**
 * Requests that decode side by side over a ring: in groups one behind the other where that keeps all members at work, together where it
 * would not. The rings here are the schedulers of real engines, over shards that take a time and compute nothing.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CachePool } from '../../../src/inference/engines/ggml/cache/cache-pool.js';
import { CoreTurns } from '../../../src/inference/engines/ggml/child/core-turns.js';
import { MicroBatches } from '../../../src/inference/engines/ggml/child/micro-batches.js';
import {
  type ComputedShard,
  Scheduler,
  type Turns,
} from '../../../src/inference/engines/ggml/child/scheduler.js';
import { type Device, openDevice, TYPE } from '../../../src/inference/engines/ggml/library/index.js';
import type { StepInput } from '../../../src/inference/engines/ggml/shard.js';
import type { Architecture } from '../../../src/models/index.js';
import { seededRandom, sleep, VirtualClock } from '../../../src/shared/index.js';
import fc from '../../support/properties.js';

/** Of a run of so many requests, as a processor has it: four cost 2.4 times one. */
const processor = (ms: number) => (requests: number) => ms * (1 + 0.47 * (requests - 1));
/** As a graphics card has it, which waits for memory. */
const graphics = (ms: number) => (requests: number) => ms * (1 + 0.02 * (requests - 1));

function learned(stepMs: (requests: number) => number, sizes: readonly number[]): MicroBatches {
  const batches = new MicroBatches();
  for (const size of sizes) ran(batches, size, stepMs(size), 0);
  return batches;
}

/** As often as it takes to count. */
function ran(batches: MicroBatches, requests: number, ms: number, nowMs: number): void {
  for (let run = 0; run < 3; run += 1) batches.ran(requests, ms, nowMs);
}

describe('the size of a run', () => {
  test('who has his requests back at once keeps them together, however many and however dear they are', () => {
    const inputs = fc.record({
      requests: fc.integer({ min: 1, max: 100 }),
      oneMs: fc.double({ min: 2, max: 200, noNaN: true }),
      further: fc.double({ min: 0, max: 1, noNaN: true }),
      rest: fc.double({ min: 0, max: 0.1, noNaN: true }),
    });
    fc.assert(
      fc.property(inputs, ({ requests, oneMs, further, rest }) => {
        const batches = learned((size) => oneMs * (1 + further * (size - 1)), [1, 2, 3, 4, 16, 32]);
        assert.equal(batches.size(requests, rest * oneMs, 0), undefined);
      }),
    );
  });

  test('where the rest of the ring takes as long, there are two groups; where it takes three times as long, four', () => {
    const batches = learned(processor(10), [1, 4]);
    assert.equal(batches.size(4, processor(10)(4), 0), 2);
    assert.equal(batches.size(4, 3 * processor(10)(4), 0), 1);
    assert.equal(batches.size(1, 100, 0), undefined);
  });

  test('where the rest takes little, or a run of many costs what one costs, they stay together', () => {
    assert.equal(learned(processor(20), [1, 4]).size(4, processor(2)(4), 0), undefined);
    assert.equal(learned(graphics(20), [1, 4]).size(4, graphics(20)(4), 0), undefined);
  });

  test('what is not known is tried, and what it took at best counts then, for a minute', () => {
    const batches = new MicroBatches();
    assert.equal(batches.size(4, 20, 0), undefined);
    ran(batches, 4, 20, 0);
    assert.equal(batches.size(4, undefined, 0), undefined);
    assert.equal(batches.size(4, 20, 0), 2);
    batches.ran(2, 90, 0);
    assert.equal(batches.size(4, 20, 0), 2, 'the first one built its graph');
    for (const ms of [19, 21]) batches.ran(2, ms, 0);
    assert.equal(batches.size(4, 20, 0), undefined);
    ran(batches, 4, 20, 70_000);
    assert.equal(batches.size(4, 20, 70_000), 2);
  });
});

describe('a ring of schedulers', () => {
  let device: Device;
  before(async () => {
    device = await openDevice({ device: 'cpu', threads: 1, quiet: true });
  });
  after(() => device.close());

  interface Member {
    readonly stepMs: (requests: number) => number;
    readonly turns?: Turns;
  }

  /** Milliseconds per token of all requests together, over the second half of the time. A hop takes 1 to 4 ms, in order. */
  async function tokenMs(
    members: readonly Member[],
    { requests, clock }: { readonly requests: number; readonly clock: VirtualClock },
  ): Promise<number> {
    const ring = members.map((member) => scheduled(member, clock));
    const HALF_MS = 4_000;
    const random = seededRandom(1);
    let tokens = 0;
    const decode = async (requestId: string) => {
      for (let position = 0; clock.now() < 2 * HALF_MS; position += 1) {
        for (const member of ring) {
          const { scheduler, shard } = member;
          const input = { hidden: new Float32Array(1) };
          await scheduler.submit({ requestId, shardKey: 's', shard, position, input });
          member.arrivedMs = Math.max(member.arrivedMs, clock.now() + 1 + 3 * random.next());
          await sleep(clock, member.arrivedMs - clock.now());
        }
        if (clock.now() >= HALF_MS) tokens += 1;
      }
    };
    const all = Promise.all(Array.from({ length: requests }, (_, index) => decode(`r${index}`)));
    let isOver = false;
    const over = all.finally(() => {
      isOver = true;
    });
    while (!isOver && clock.now() < 3 * HALF_MS) await clock.advance(50);
    assert.ok(isOver, 'a step has no end');
    await over;
    for (const { pool } of ring) pool.close();
    return HALF_MS / tokens;
  }

  function scheduled({ stepMs, turns }: Member, clock: VirtualClock) {
    const GIB = 1024 ** 3;
    const pool = new CachePool(
      { cacheBytesMax: GIB, abandonedAfterMs: 60_000 },
      { device, clock, freeBytes: () => 4 * GIB },
    );
    const shard: ComputedShard = {
      architecture: { hidden: 1, vocab: 1, contextLength: 100_000 } as Architecture,
      cacheShape: { layers: 1, rowElements: 32, type: TYPE.F32, elementBytes: 4 },
      cost: { weightBytes: 1, multiplyAdds: 1 },
      isFirst: false,
      isLast: false,
      embed: () => new Float32Array(1),
      step: async (parts: readonly StepInput[]) => {
        await sleep(clock, stepMs(parts.length));
        for (const { cache, sequence } of parts) cache.length += sequence;
        return parts.map(() => new Float32Array(1));
      },
    };
    const scheduler = new Scheduler({ pool, clock, turns: turns ?? new CoreTurns(undefined, clock) });
    return { scheduler, shard, pool, arrivedMs: 0 };
  }

  /** In one run of all, each member after the other. */
  const together = (members: readonly Member[], requests: number) =>
    members.reduce((sum, { stepMs }) => sum + stepMs(requests) + 2.5, 0) / requests;

  for (const [what, members, requests, gainMin] of [
    ['two equal processors, four requests', [processor(20), processor(20)], 4, 1.35],
    ['two equal processors, three requests', [processor(20), processor(20)], 3, 1.3],
    ['a faster and a slower one, four requests', [processor(25), processor(15)], 4, 1.25],
    ['three equal processors, six requests', [processor(15), processor(15), processor(15)], 6, 1.8],
    ['two graphics cards, four requests', [graphics(20), graphics(20)], 4, 0.9],
    ['one that has nearly all, four requests', [processor(36), processor(4)], 4, 0.94],
    ['one alone, four requests', [processor(40)], 4, 0.97],
  ] as const) {
    test(`${what}: at least ${gainMin} times the tokens of one group`, async () => {
      const ring = members.map((stepMs) => ({ stepMs }));
      const ms = await tokenMs(ring, { requests, clock: new VirtualClock() });
      const gain = together(ring, requests) / ms;
      assert.ok(gain >= gainMin, `${gain.toFixed(2)} times`);
    });
  }

  test('two engines that take turns keep their requests together, which is more tokens than in groups', async () => {
    const [shared, groups] = await Promise.all(
      [true, false].map((isShared) => {
        const turns = oneMachine(isShared);
        const ring = [20, 20].map((ms) => ({ stepMs: processor(ms), turns }));
        return tokenMs(ring, { requests: 4, clock: new VirtualClock() });
      }),
    );
    assert.ok(shared! < 0.9 * groups!, `${shared} ms per token, in groups ${groups}`);
  });

  test('a request that is released while it computes leaves nothing that is waited for', async () => {
    const clock = new VirtualClock();
    // After another engine's turn all are waited for who are known.
    const turns: Turns = { take: (work) => work(true), isShared: true };
    const { scheduler, shard, pool } = scheduled({ stepMs: () => 20, turns }, clock);
    const step = (requestId: string, position: number) =>
      scheduler.submit({ requestId, shardKey: 's', shard, position, input: { hidden: new Float32Array(1) } });
    for (let position = 0; position < 4; position += 1) {
      const both = Promise.allSettled([step('gone', position), step('stays', position)]);
      if (position === 3) {
        await clock.advance(5);
        scheduler.release('gone');
      }
      await clock.advance(50);
      await both;
    }
    const fromMs = clock.now();
    const alone = step('stays', 4).then(() => clock.now() - fromMs);
    await clock.advance(100);
    assert.equal(await alone, 20);
    pool.close();
  });

  test('who waits until a shard is used no more is told so, also where its last step fails', async () => {
    const clock = new VirtualClock();
    const { scheduler, shard, pool } = scheduled({ stepMs: () => 20 }, clock);
    const input = { hidden: new Float32Array(1) };
    const wrong = scheduler.submit({ requestId: 'r', shardKey: 's', shard, position: 7, input });
    const drained = scheduler.drained(shard);
    await assert.rejects(wrong, { code: 'engine-failed' });
    await drained;
    pool.close();
  });

  /** One computes after the other. */
  function oneMachine(isShared: boolean): Turns {
    let last: Promise<void> = Promise.resolve();
    const take: Turns['take'] = (work) => {
      last = last.then(() => work(false));
      return last;
    };
    return { take, isShared };
  }
});
