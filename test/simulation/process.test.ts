import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VirtualClock } from '../../src/shared/index.js';
import { StreamEnd } from '../compliance/stream-end.js';
import { dial, lab, PORT } from '../support/memory-lab.js';
import '../support/leaks.js';
import { expectedAnswer } from './engine.js';
import { planOf, stepInWords } from './plan.js';
import { ProcessClock } from './process-clock.js';
import { ProcessTransport } from './process-transport.js';

function clocks() {
  const base = new VirtualClock();
  const faults: unknown[] = [];
  const how = { skewMs: 5_000, originMs: 300, onFault: (error: unknown) => faults.push(error) };
  return { base, faults, clock: new ProcessClock(base, how) };
}

describe('clock of a simulated process', () => {
  test('runs late timers after a pause, in their order, and counts what is set', async () => {
    const { base, clock } = clocks();
    const fired: string[] = [];
    clock.after(20, () => fired.push(`second at ${clock.now()}`));
    clock.after(10, () => fired.push(`first at ${clock.now()}`));
    const never = clock.after(15, () => fired.push('never'));
    clock.pause();
    await base.run(100);
    assert.deepEqual([fired, clock.pending], [[], 3]);
    never.cancel();
    clock.resume();
    await base.run(0);
    assert.deepEqual([fired, clock.pending], [['first at 400', 'second at 400'], 0]);
  });

  test('never fires again after a kill, and hands over what a timer throws', async () => {
    const { base, clock, faults } = clocks();
    clock.after(1, () => {
      throw new Error('broken');
    });
    clock.after(2, () => clock.kill());
    clock.after(3, () => faults.push('not this one'));
    await base.run(10);
    assert.deepEqual(faults.map(String), ['Error: broken']);
  });

  test('has a wall clock of its own that may jump', () => {
    const { base, clock } = clocks();
    assert.equal(clock.wall(), base.wall() + 5_000);
    clock.skewMs -= 60_000;
    assert.equal(clock.wall(), base.wall() - 55_000);
  });
});

describe('sockets of a simulated process', () => {
  test('are reset by a kill, and its own end hears nothing', async () => {
    const { clock, network } = lab();
    const sockets = new ProcessTransport(network.transport('b'));
    let b: StreamEnd | undefined;
    const listener = sockets.listen({ host: 'b', port: PORT }, (stream) => {
      b = new StreamEnd(stream);
    });
    await listener.start();
    const dialled = dial(network).then((stream) => new StreamEnd(stream));
    await clock.run(100);
    const a = await dialled;
    assert.equal(sockets.openStreamsTo('a'), 1);
    sockets.end('kill');
    await clock.run(100);
    assert.match(String(await a.closed), /reset the connection/);
    assert.equal(b?.closes, 0, 'a process that is gone is told nothing');
    assert.equal(sockets.openStreams, 0);
  });
});

describe('plan of a simulation', () => {
  test('is the same for a seed, has all kinds of faults over some seeds, and ends each of them', () => {
    const kinds = new Set<string>();
    for (let seed = 1; seed <= 40; seed += 1) {
      const plan = planOf(seed, 600_000);
      assert.deepEqual(planOf(seed, 600_000), plan);
      assert.ok(plan.nodes.length >= 3 && plan.nodes.length <= 7);
      const open = new Map<string, number>();
      for (const { atMs, action } of plan.steps) {
        kinds.add(action.kind);
        assert.ok(stepInWords({ atMs, action }).includes(action.kind));
        if (action.kind === 'cut' || action.kind === 'pause') open.set(keyOf(action), 1);
        if (action.kind === 'join' || action.kind === 'resume') open.delete(keyOf(action));
        if (action.kind === 'healed') assert.deepEqual([...open.keys()], [], `seed ${seed} at ${atMs}`);
      }
    }
    assert.deepEqual(
      [...kinds].sort(),
      'calm cut healed join jump kill link pause power reset resume settled start stop'.split(' '),
    );
  });
});

describe('answers of the simulated engine', () => {
  test('differ by prompt, and end', () => {
    const answers = Array.from({ length: 50 }, (_, index) => expectedAnswer(`question ${index}`));
    assert.equal(new Set(answers.map(String)).size, 50);
    assert.ok(answers.every((answer) => answer.length >= 2 && answer.length <= 12));
  });
});

function keyOf(action: { readonly node?: string; readonly from?: string; readonly to?: string }): string {
  return `${action.node ?? ''}${action.from ?? ''}${action.to ?? ''}`;
}
