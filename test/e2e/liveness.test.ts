/** Liveness of real processes: a killed node is missed at once, a stopped one in time, and nobody is accused wrongly. */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, inTime } from '../support/eventually.js';
import { topology } from '../support/http.js';
import { fullMesh, untilFullMesh } from '../support/mesh.js';
import { Cleanup, type RunningNode } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';

const MEMBERS = ['a', 'b', 'c'].map((id) => ({ id, kind: 'new' as const }));

/** Watches which of `ids` a node lists, every 50 ms; `changes` are the times at which one came or went. */
function watch(node: RunningNode, ids: readonly string[]) {
  const changes: Array<{ readonly id: string; readonly present: boolean; readonly atMs: number }> = [];
  const present = new Map(ids.map((id) => [id, true]));
  let running = true;
  const loop = (async () => {
    while (running) {
      const view = await topology(node.api).catch(() => undefined);
      for (const id of view === undefined ? [] : ids) {
        const now = view!.nodes[id] !== undefined;
        if (now !== present.get(id)) {
          present.set(id, now);
          changes.push({ id, present: now, atMs: performance.now() });
        }
      }
      await delay(50);
    }
  })();
  return {
    changes,
    stop: async () => {
      running = false;
      await loop;
      return changes;
    },
  };
}

test('M1 a killed node leaves the topology of the others within a second', async (t) => {
  const cleanup = new Cleanup();
  try {
    const nodes = await fullMesh(cleanup, MEMBERS);
    const times: number[] = [];
    const others = ['a', 'b'];
    nodes.get('c')!.child.kill('SIGKILL');
    const killed = performance.now();
    await Promise.all(
      others.map((id) =>
        eventually(
          {
            timeoutMs: 5_000,
            everyMs: 10,
            what: `${id} misses c`,
            onLate: () => nodes.get(id)!.child.output,
          },
          async () => (await topology(nodes.get(id)!.api)).nodes['c'] === undefined,
        ).then(() => times.push(performance.now() - killed)),
      ),
    );
    for (const ms of times) assert.ok(ms <= inTime(1_000), `${ms} ms`);
    promise(t, 'M1', `seen ≤ ${Math.max(...times).toFixed(0)} ms by both`);
    const rest = new Map([...nodes].filter(([id]) => id !== 'c'));
    await untilFullMesh(rest, 1_000);
  } finally {
    await cleanup.dispose();
  }
});

test('M4 a node stopped for two seconds is never missed', async (t) => {
  const cleanup = new Cleanup();
  try {
    const nodes = await fullMesh(cleanup, MEMBERS);
    for (let round = 0; round < repeats(2, 10); round++) {
      const watches = ['a', 'b'].map((id) => watch(nodes.get(id)!, ['a', 'b', 'c']));
      nodes.get('c')!.child.kill('SIGSTOP');
      await delay(2_000);
      nodes.get('c')!.child.kill('SIGCONT');
      const woken = watch(nodes.get('c')!, ['a', 'b', 'c']);
      await delay(3_000);
      for (const { stop } of [...watches, woken]) assert.deepEqual(await stop(), []);
    }
    promise(t, 'M4', `0 deaths in ${repeats(2, 10)} stops of 2 s`);
  } finally {
    await cleanup.dispose();
  }
});

test('M4 a node stopped for 15 s is dead once, back within 5 s, and accuses nobody', async (t) => {
  const cleanup = new Cleanup();
  try {
    const nodes = await fullMesh(cleanup, MEMBERS);
    const watches = ['a', 'b'].map((id) => watch(nodes.get(id)!, ['a', 'b', 'c']));
    const stopped = performance.now();
    nodes.get('c')!.child.kill('SIGSTOP');
    await delay(15_000);
    nodes.get('c')!.child.kill('SIGCONT');
    const woken = performance.now();
    const own = watch(nodes.get('c')!, ['a', 'b', 'c']);
    const backMs = await untilFullMesh(nodes, 10_000);
    await delay(3_000);
    for (const { stop } of watches) {
      const changes = await stop();
      t.diagnostic(
        changes
          .map(({ id, present, atMs }) =>
            present
              ? `${id} back ${(atMs - woken).toFixed(0)} ms after CONT`
              : `${id} gone ${(atMs - stopped).toFixed(0)} ms after STOP`,
          )
          .join('; '),
      );
      assert.deepEqual(
        changes.map(({ id, present }) => [id, present]),
        [
          ['c', false],
          ['c', true],
        ],
      );
      assert.ok(changes[0]!.atMs - stopped <= inTime(12_000), 'dead within 12 s');
      assert.ok(changes[1]!.atMs - woken <= inTime(5_000), 'back within 5 s');
    }
    assert.ok(backMs <= inTime(5_000), `whole again after ${backMs} ms`);
    assert.deepEqual(await own.stop(), [], 'the stopped node misses nobody when it wakes');
    promise(
      t,
      'M4',
      `stopped for 15 s: dead once, views whole ${backMs.toFixed(0)} ms after it went on, 0 accused`,
    );
  } finally {
    await cleanup.dispose();
  }
});
