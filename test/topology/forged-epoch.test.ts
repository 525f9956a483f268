/** An entry in another's name, at every bound of what is accepted: the named node is present again soon. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TopologyEntry } from '../../src/protocol/index.js';
import { LIMITS } from '../../src/shared/index.js';
import { TopologyView } from '../../src/topology/index.js';
import { capabilities, GossipMesh } from './gossip-mesh.js';

const DAY_MS = LIMITS.topologyEpochAheadMs;
const CHAIN = ['victim', 'near', 'middle', 'far', 'evil'];

function chain(): GossipMesh {
  const mesh = new GossipMesh(7);
  for (const id of CHAIN) {
    mesh.nowMs += 1;
    mesh.add(id);
  }
  CHAIN.slice(1).forEach((id, index) => {
    mesh.connect(CHAIN[index]!, id);
  });
  mesh.settle();
  assert.equal(mesh.digests().size, 1);
  return mesh;
}

/** An entry that says the victim has no links and lost everybody. */
function forged(epoch: number, version = 1): TopologyEntry {
  const lost = CHAIN.slice(1).map((id) => ({ id, epoch: Number.MAX_SAFE_INTEGER }));
  return { id: 'victim', epoch, version, capabilities: capabilities(), edges: [], lost };
}

/** `target` hears it from evil. Only what is forged is not told by the mesh itself. */
function forge(mesh: GossipMesh, target: string, entry: TopologyEntry): void {
  const node = mesh.nodes.get(target)!;
  node.planner.receive({ entries: [entry] }, 'evil', mesh.nowMs, node.neighbours);
}

function assertHealed(mesh: GossipMesh, what: string): void {
  for (const { id, view } of mesh.nodes.values()) {
    assert.deepEqual([...view.present()].sort(), [...CHAIN].sort(), `${what}: ${id}`);
  }
  assert.equal(mesh.digests().size, 1, what);
}

describe('a forged entry', () => {
  const wallMs = (mesh: GossipMesh) => 1_000_000 + mesh.nowMs;
  const epochs: Record<string, (mesh: GossipMesh) => number> = {
    'one above': (mesh) => mesh.nodes.get('victim')!.view.own.epoch + 1,
    'just below the bound': (mesh) => Math.floor(wallMs(mesh)) + DAY_MS - 1,
    'at the bound': (mesh) => Math.floor(wallMs(mesh)) + DAY_MS,
    'above the bound': (mesh) => Math.ceil(wallMs(mesh)) + DAY_MS + 1,
    'at the top of all': () => 2 ** 52 - 1,
    'above the top of all': () => 2 ** 52,
  };
  for (const [what, epochOf] of Object.entries(epochs)) {
    for (const target of CHAIN.slice(0, 4)) {
      it(`${what}, told to ${target}, is answered`, () => {
        const mesh = chain();
        // Again and again, each time at what is then the bound: the answers never fall behind.
        for (let round = 0; round < 5; round++) {
          for (const version of [1, Number.MAX_SAFE_INTEGER]) {
            forge(mesh, target, forged(epochOf(mesh), version));
            mesh.run(mesh.nodes.get(target)!);
            for (let sync = 0; sync < 3; sync++) mesh.syncRound();
            assertHealed(mesh, `round ${round}`);
          }
        }
        assert.ok(mesh.nodes.get('victim')!.view.own.epoch <= wallMs(mesh) + DAY_MS);
      });
    }
  }

  it('that a neighbour took in reaches the victim and is answered without a sync', () => {
    const mesh = chain();
    const near = mesh.nodes.get('near')!;
    forge(mesh, 'near', forged(Math.floor(wallMs(mesh)) + DAY_MS));
    assert.equal(near.view.present().has('victim'), false, 'it was taken in');
    const syncs = mesh.sent.sync;
    mesh.run(near);
    assert.equal(mesh.sent.sync, syncs);
    assertHealed(mesh, 'pushed');
  });
});

describe('the bound of an epoch', () => {
  const NOW_MS = 1_700_000_000_000;
  const view = (nowMs: number) =>
    new TopologyView({ id: 'self', epoch: nowMs, capabilities: capabilities(), wallMs: () => nowMs });
  const entry = (id: string, epoch: number): TopologyEntry => ({ ...forged(epoch), id, lost: [] });

  it('is for what others tell; of itself a node with a fast clock is believed', () => {
    const own = view(NOW_MS);
    const fast = entry('fast', NOW_MS + 365 * DAY_MS);
    const connected = new Set(['fast', 'other']);
    const { rejected } = own.merge([fast], 0, connected, 'other');
    assert.match(rejected[0]!.reason, /clock/);
    assert.equal(own.introduce('fast', fast.epoch, capabilities()), true);
    assert.deepEqual(own.merge([fast], 0, connected, 'fast').changed, ['fast']);
  });

  it('is not applied by a clock that most hellos show to be far behind', () => {
    const own = view(0);
    const former = entry('self', NOW_MS - DAY_MS);
    own.introduce('a', NOW_MS, capabilities());
    own.introduce('b', NOW_MS, capabilities());
    own.introduce('c', 0, capabilities());
    assert.equal(own.merge([former], 0, new Set(['a', 'c']), 'a').refuted, false, 'one of two is not most');
    const { changed, refuted } = own.merge([former, entry('d', NOW_MS)], 0, new Set(['a', 'b', 'c']), 'a');
    assert.deepEqual([changed, refuted, own.own.epoch], [['d'], true, former.epoch + 1]);
  });
});
