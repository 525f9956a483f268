/**
 * New nodes and old peers in one mesh. The old peer (test/legacy-peer) is a second implementation in its own
 * process; what it recorded proves that it never saw a frame that it does not know, never a request on a
 * connection that it opened, and never a wrong answer.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { eventually } from '../support/eventually.js';
import { chat, type LegacyReport, legacyReport, topology } from '../support/http.js';
import { assertDummyAnswer, fullMesh, type Member } from '../support/mesh.js';
import { writePeersFile } from '../support/peers-file.js';
import { Cleanup, type RunningNode, runLegacy } from '../support/processes.js';

function assertClean(report: LegacyReport): void {
  assert.deepEqual(report.unknownTypes, [], 'frame types that the old peer does not know');
  assert.deepEqual(report.badMagic, [], 'bytes that are not frames');
  assert.deepEqual(report.unsolicited, {}, 'frames on connections that it opened, not asked for');
  assert.deepEqual(report.mismatches, [], 'answers of the wrong type');
  assert.deepEqual(report.failures, [], 'what failed in the old peer');
}

async function inMesh(
  members: readonly Member[],
  work: (nodes: Map<string, RunningNode>) => Promise<void>,
): Promise<void> {
  const cleanup = new Cleanup();
  try {
    await work(await fullMesh(cleanup, members));
  } finally {
    await cleanup.dispose();
  }
}

/** Memory decides who is first in the ring (largest first, then by id). */
const PLACES = {
  'old first': { oldId: 'm-old', memoryMb: (mb: number) => mb * 2 },
  'old last': { oldId: 'm-old', memoryMb: (mb: number) => Math.round(mb * 0.6) },
  'old between': { oldId: 'm-old', memoryMb: (mb: number) => mb },
} as const;

const TYPES = {
  health: '0x01',
  topology: '0x30',
  prompt: '0x10',
  tensor: '0x12',
  result: '0x20',
  status: '0x40',
};

test('one old and one new peer exchange every message of the base protocol in both directions', async () => {
  const received: Record<string, number> = {};
  const sent: Record<string, number> = {};
  for (const place of ['old first', 'old last'] as const) {
    const { oldId, memoryMb } = PLACES[place];
    await inMesh(
      [
        { id: 'n', kind: 'new' },
        { id: oldId, kind: 'old', memoryMb },
      ],
      async (nodes) => {
        for (const node of nodes.values()) assertDummyAnswer(await chat(node.api));
        const report = await legacyReport(nodes.get(oldId)!.api);
        assertClean(report);
        for (const [type, count] of Object.entries(report.received))
          received[type] = (received[type] ?? 0) + count;
        for (const [type, count] of Object.entries(report.sent)) sent[type] = (sent[type] ?? 0) + count;
        const starts = report.statuses.filter(
          (status) => status['node_id'] === 'n' && status['status'] === 'start_process_prompt',
        );
        assert.ok(starts.length >= 1, `${place}: the new node told that it works on a prompt`);
      },
    );
  }
  for (const [name, type] of Object.entries(TYPES)) {
    assert.ok((received[type] ?? 0) > 0, `the old peer got ${name} (${type}): ${JSON.stringify(received)}`);
    assert.ok((sent[type] ?? 0) > 0, `the old peer sent ${name} (${type}): ${JSON.stringify(sent)}`);
  }
});

for (const [place, { oldId, memoryMb }] of Object.entries(PLACES)) {
  test(`a mixed ring of three with the ${place} answers from every node`, async () => {
    const members: Member[] = [
      { id: 'z-new', kind: 'new' },
      { id: 'a-new', kind: 'new' },
      { id: oldId, kind: 'old', memoryMb },
    ];
    await inMesh(members, async (nodes) => {
      const old = nodes.get(oldId)!;
      const order = Object.entries((await topology(old.api)).nodes)
        .sort(([aId, a], [bId, b]) => b.memory - a.memory || (aId < bId ? 1 : -1))
        .map(([id]) => id);
      const expected = { 'old first': 0, 'old between': 1, 'old last': 2 }[place];
      assert.equal(order.indexOf(oldId), expected, order.join());
      for (const node of nodes.values()) assertDummyAnswer(await chat(node.api));
      // The same once more, all at once.
      const answers = await Promise.all([...nodes.values()].map((node) => chat(node.api)));
      for (const answer of answers) assertDummyAnswer(answer);
      assertClean(await legacyReport(old.api));
    });
  });
}

test('two old peers and one new one make a ring that answers from every node', () =>
  inMesh(
    [
      { id: 'new', kind: 'new' },
      { id: 'old1', kind: 'old' },
      { id: 'old2', kind: 'old' },
    ],
    async (nodes) => {
      for (const node of nodes.values()) assertDummyAnswer(await chat(node.api));
      for (const id of ['old1', 'old2']) assertClean(await legacyReport(nodes.get(id)!.api));
    },
  ));

test('an old peer that is killed and started again leaves the mesh and comes back', async () => {
  const cleanup = new Cleanup();
  try {
    const nodes = await fullMesh(cleanup, [
      { id: 'new', kind: 'new' },
      { id: 'old', kind: 'old' },
    ]);
    const { api } = nodes.get('new')!;
    nodes.get('old')!.child.kill('SIGKILL');
    await eventually({ timeoutMs: 5_000, what: 'the killed old peer leaves the topology' }, async () => {
      return (await topology(api)).nodes['old'] === undefined;
    });
    const peersFile = writePeersFile(cleanup.folder(), 'old.json', { new: nodes.get('new')!.nodePort });
    await runLegacy(cleanup, { id: 'old', peersFile, nodePort: nodes.get('old')!.nodePort });
    await eventually({ timeoutMs: 15_000, what: 'the old peer is back' }, async () => {
      return (await topology(api)).nodes['old'] !== undefined;
    });
  } finally {
    await cleanup.dispose();
  }
});
