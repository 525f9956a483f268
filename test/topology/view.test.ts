import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TopologyEntry } from '../../src/protocol/index.js';
import { LIMITS } from '../../src/shared/index.js';
import { SyncGate, TopologyView } from '../../src/topology/index.js';
import { capabilities } from './gossip-mesh.js';

function view(id = 'self', epoch = 100, wallMs = () => 1_000): TopologyView {
  return new TopologyView({ id, epoch, capabilities: capabilities(), wallMs });
}

function entry(id: string, to: string[] = [], more: Partial<TopologyEntry> = {}): TopologyEntry {
  const edges = to.map((toId) => ({ toId, description: 'MAN' }));
  return { id, epoch: 50, version: 1, capabilities: capabilities(), edges, lost: [], ...more };
}

function shown(of: TopologyView, connected: string[] = []): string[] {
  return [...of.present(connected)].sort();
}

function edges(of: TopologyView): string[] {
  return of
    .snapshot()
    .edges.map(({ fromId, toId, description }) => `${fromId}>${toId} ${description}`)
    .sort();
}

describe('topology view: the own entry', () => {
  it('rises in version with every change, and only then', () => {
    const own = view();
    assert.equal(own.own.version, 1);
    assert.equal(own.addEdge('b', 'MAN'), true);
    assert.equal(own.addEdge('b', 'MAN'), false);
    assert.equal(own.addEdge('b', 'TCP (1.2.3.4)'), true);
    assert.equal(own.setCapabilities(capabilities()), false);
    assert.equal(own.noteLost('c', 7), true);
    assert.equal(own.noteLost('c', 6), false);
    assert.equal(own.clearLost('c'), true);
    assert.equal(own.removeEdge('b'), true);
    assert.equal(own.removeEdge('b'), false);
    assert.deepEqual([own.own.epoch, own.own.version], [100, 6]);
  });

  it('is raised above a newer entry of the same id, and says so', () => {
    const own = view();
    own.addEdge('b', 'MAN');
    const result = own.merge([entry('self', [], { epoch: 900, version: 3 })], 0);
    assert.deepEqual([result.refuted, result.ownChanged, result.changed], [true, true, []]);
    assert.equal(own.own.epoch, 901);
    assert.deepEqual(own.own.edges, [{ toId: 'b', description: 'MAN' }]);
    assert.equal(own.merge([entry('self', [], { epoch: 900, version: 3 })], 0).refuted, false);
    assert.equal(own.merge([own.own], 0).refuted, false, 'its own words come back');
  });

  it('names a node that claims an edge without a connection, and shows it no longer once that is denied', () => {
    const own = view();
    own.merge([entry('ghost', ['self'])], 0);
    assert.deepEqual(own.unfoundedClaims(new Set(['ghost'])), []);
    assert.deepEqual(own.unfoundedClaims(new Set()), ['ghost']);
    assert.equal(own.noteLost('ghost', 50), true);
    assert.deepEqual(shown(own), ['self']);
    assert.equal(own.clearLost('ghost'), true);
    assert.deepEqual(shown(own), ['ghost', 'self']);
  });
});

describe('topology view: merging', () => {
  it('keeps the newer by epoch, then version, and reports only what changed', () => {
    const own = view();
    assert.deepEqual(own.merge([entry('b', ['self'])], 0).changed, ['b']);
    assert.deepEqual(own.merge([entry('b', ['self'])], 0).changed, []);
    assert.deepEqual(own.merge([entry('b', [], { epoch: 49, version: 9 })], 0).changed, []);
    assert.deepEqual(own.merge([entry('b', ['self'], { version: 2 })], 0).changed, ['b']);
    assert.deepEqual(own.merge([entry('b', ['self'], { epoch: 51, version: 1 })], 0).changed, ['b']);
  });

  it('of two contents of one age keeps the same one in any order', () => {
    const one = entry('b', ['self'], { capabilities: capabilities(1) });
    const two = entry('b', ['self'], { capabilities: capabilities(2) });
    const [left, right] = [view(), view()];
    left.merge([one, two], 0);
    right.merge([two, one], 0);
    assert.deepEqual(left.entry('b'), right.entry('b'));
    assert.equal(left.digest(), right.digest());
  });

  it('rejects what is out of bounds, in words, and takes in the rest', () => {
    const own = view();
    const long = 'x'.repeat(LIMITS.nodeIdCharsMax + 1);
    const many = Array.from({ length: LIMITS.topologyEdgesPerNode + 1 }, (_, i) => `n${i}`);
    const bad = [
      entry(''),
      entry(long),
      entry('b', [long]),
      entry('b', many),
      entry('b', [], { lost: many.map((id) => ({ id, epoch: 1 })) }),
      entry('b', [], { lost: [{ id: 'c', epoch: -1 }] }),
      entry('b\u001b[2J'),
      entry('b\u009b'),
      entry('b\u202e'),
      entry('b', ['c\n']),
      entry('b', [], { edges: [{ toId: 'c', description: 'x\u001b]0;' }] }),
      entry('b', [], { lost: [{ id: '\u0000', epoch: 1 }] }),
      entry('b', [], { capabilities: { ...capabilities(), model: '\u202e' } }),
      entry('b', [], { epoch: 1.5 }),
      entry('b', [], { epoch: 2 ** 53 }),
      entry('b', [], { version: -1 }),
      entry('b', [], { capabilities: { ...capabilities(), memory: Number.NaN } }),
      entry('b', [], { capabilities: { ...capabilities(), memory: 1e308 } }),
      entry('b', [], { capabilities: { ...capabilities(), chip: 'x'.repeat(1_000) } }),
      entry('b', [], { edges: [{ toId: 'c', description: 'x'.repeat(1_000) }] }),
    ];
    const { changed, rejected } = own.merge([...bad, entry('good', ['self'])], 0);
    assert.deepEqual(changed, ['good']);
    assert.equal(rejected.length, bad.length);
    assert.ok(rejected.every(({ reason }) => reason.length > 10));
  });

  it('holds a bounded number of nodes; the longest absent one makes room', () => {
    const own = view();
    const far = Array.from({ length: LIMITS.topologyNodesMax - 1 }, (_, i) => entry(`n${i}`, ['self']));
    own.merge(far, 0);
    assert.equal(own.merge([entry('late', ['self'])], 0).rejected.length, 1);
    own.noteLost('n5', 50);
    assert.deepEqual(own.merge([entry('late', ['self'])], 1).changed, ['late']);
    assert.equal(own.entry('n5'), undefined);
  });
});

describe('topology view: who is present', () => {
  it('is who is reached over edges in either direction', () => {
    const own = view();
    own.addEdge('b', 'MAN');
    own.merge([entry('b'), entry('c', ['b']), entry('far', ['else'])], 0);
    assert.deepEqual(shown(own), ['b', 'c', 'self']);
    assert.deepEqual(shown(own, ['far', 'unknown']), ['b', 'c', 'far', 'self']);
  });

  it('ends with a loss noted by the dialled end, and begins again with the next start', () => {
    const own = view();
    own.merge([entry('b', ['self'], { epoch: 50 })], 0);
    own.noteLost('b', 50);
    assert.deepEqual(shown(own), ['self']);
    own.merge([entry('b', ['self'], { epoch: 60 })], 0);
    assert.deepEqual(shown(own), ['b', 'self']);
  });

  it('survives a late old entry of a node that is gone', () => {
    const own = view();
    own.addEdge('b', 'MAN');
    own.merge([entry('b'), entry('x', ['b'], { version: 2 })], 0);
    own.merge([entry('b', [], { version: 2, lost: [{ id: 'x', epoch: 50 }] })], 0);
    assert.deepEqual(own.merge([entry('x', ['b'], { version: 1 })], 0).changed, []);
    assert.deepEqual(shown(own), ['b', 'self']);
    own.expire(0);
    assert.deepEqual(
      own.newerThan(new Map()).map(({ id }) => id),
      ['self', 'b'],
      'a ghost is not handed on',
    );
    own.expire(LIMITS.topologyTombstoneMs - 1);
    assert.ok(own.entry('x'));
    own.expire(LIMITS.topologyTombstoneMs);
    assert.equal(own.entry('x'), undefined);
  });

  it('forgets nobody who came back before the time', () => {
    const own = view();
    own.merge([entry('b', ['self'])], 0);
    own.noteLost('b', 50);
    own.expire(0);
    own.clearLost('b');
    own.expire(LIMITS.topologyTombstoneMs);
    assert.deepEqual(shown(own), ['b', 'self']);
  });

  it('knows a node by its hello until its first entry comes', () => {
    const own = view();
    assert.equal(own.introduce('b', 50, capabilities(7)), true);
    assert.equal(own.introduce('self', 500, capabilities(7)), false);
    own.addEdge('b', 'MAN');
    assert.equal(own.snapshot().nodes.get('b')?.memory, 7);
    own.merge([entry('b')], 0);
    assert.equal(own.introduce('b', 50, capabilities(9)), false);
  });
});

describe('topology view: what is shown', () => {
  it('counts an edge in both directions, each with its own words if both ends dialled', () => {
    const own = view();
    own.addEdge('b', 'MAN');
    own.addEdge('c', 'DIRECT (c)');
    own.merge([entry('b', ['nobody']), entry('c', ['self'])], 0);
    assert.deepEqual(edges(own), ['b>self MAN', 'c>self MAN', 'self>b MAN', 'self>c DIRECT (c)']);
  });

  it('has one digest on nodes with one view, whatever the way it came', () => {
    const a = view('a', 1);
    const b = view('b', 2);
    a.addEdge('b', 'MAN');
    assert.notEqual(a.digest(), b.digest());
    b.merge([a.own], 0);
    a.merge([b.own], 0);
    assert.equal(a.digest(), b.digest());
    assert.match(a.digest(), /^[0-9a-f]{16}$/);
    // An absent node, and a version without a visible change, do not show.
    a.merge([entry('far')], 0);
    a.noteLost('zzz', 3);
    assert.equal(a.digest(), b.digest());
    const before = a.digest();
    b.setCapabilities(capabilities(5));
    a.merge([b.own], 0);
    assert.notEqual(a.digest(), before);
    assert.equal(a.digest(), b.digest());
  });

  it('is given to old peers in their form', () => {
    const own = view();
    const { kind, nodes, peerGraph } = own.wireView();
    assert.deepEqual([kind, [...nodes.keys()], peerGraph.size], ['topology-response', ['self'], 0]);
    own.addEdge('b', 'MAN');
    own.merge([entry('b')], 0);
    assert.deepEqual(
      [...own.wireView().peerGraph],
      [
        ['self', [{ toId: 'b', description: 'MAN' }]],
        ['b', [{ toId: 'self', description: 'MAN' }]],
      ],
    );
  });
});

describe('topology view: old peers', () => {
  const told = { capabilities: capabilities(9), edges: [{ toId: 'self', description: 'MAN' }] };

  it('are spoken for by who dialled them, with their own edges as they tell', () => {
    const own = view();
    own.addEdge('old', 'MAN');
    assert.equal(own.speakFor('old', { ...told, edges: [] }, 1_000), true);
    assert.deepEqual(edges(own), ['self>old MAN']);
    assert.equal(own.speakFor('old', told, 3_000), true);
    assert.deepEqual(edges(own), ['old>self MAN', 'self>old MAN']);
    assert.deepEqual([...own.snapshot().legacyIds], ['old']);
  });

  it('are spoken for by several without a quarrel', () => {
    const a = view('a', 1);
    const b = view('b', 2);
    a.addEdge('b', 'MAN');
    for (const speaker of [a, b]) speaker.addEdge('old', 'MAN');
    a.speakFor('old', told, 1_000);
    b.merge([a.own, a.entry('old')!], 0);
    assert.equal(b.speakFor('old', told, 5_000), false, 'the same is not said again');
    assert.equal(b.speakFor('old', { ...told, edges: [] }, 500), true, 'a slow clock is no obstacle');
    a.merge([b.own, b.entry('old')!], 0);
    assert.deepEqual(a.entry('old')!.edges, []);
    assert.equal(a.digest(), b.digest());
  });

  it('are gone with the last edge to them, whatever they claimed', () => {
    const own = view();
    own.addEdge('b', 'MAN');
    own.merge([entry('b', ['old'])], 0);
    own.speakFor('old', { ...told, edges: [{ toId: 'b', description: 'MAN' }] }, 1_000);
    assert.deepEqual(shown(own), ['b', 'old', 'self']);
    own.merge([entry('b', [], { version: 2 })], 0);
    assert.deepEqual(shown(own), ['b', 'self']);
  });

  it('connect nobody: what is behind them may have gone unnoticed', () => {
    const own = view();
    own.addEdge('old', 'MAN');
    own.speakFor('old', { ...told, edges: [{ toId: 'behind', description: 'MAN' }] }, 1_000);
    own.merge([entry('behind', ['old'])], 0);
    assert.deepEqual(shown(own), ['old', 'self']);
  });

  it('that learned to speak are not spoken for', () => {
    const own = view();
    own.addEdge('b', 'MAN');
    own.merge([entry('b')], 0);
    assert.equal(own.speakFor('b', told, 1_000), false);
    own.removeEdge('b');
    assert.equal(own.speakFor('b', told, 1_000), true, 'unless they left and came back as old ones');
  });
});

describe('topology view: sync', () => {
  it('brings each side what it does not have', () => {
    const a = view('a', 1);
    const b = view('b', 2);
    a.addEdge('b', 'MAN');
    a.addEdge('c', 'MAN');
    a.merge([entry('c')], 0);
    b.merge([entry('d', ['b'])], 0);
    const answer = b.answerSync({ kind: 'topology-sync', versions: a.versions() });
    assert.deepEqual(answer.entries.map(({ id }) => id).sort(), ['b', 'd']);
    assert.deepEqual([...answer.wanted].sort(), ['a', 'c']);
    a.merge(answer.entries, 0);
    b.merge(a.entriesOf(answer.wanted), 0);
    assert.equal(a.digest(), b.digest());
    assert.deepEqual(b.answerSync({ kind: 'topology-sync', versions: a.versions() }), {
      kind: 'topology-synced',
      entries: [],
      wanted: [],
    });
  });

  it('tells a node that started anew which absent ones claim an edge to it, and no other absent ones', () => {
    const own = view();
    own.addEdge('again', 'MAN');
    own.merge([entry('again'), entry('dead', ['again']), entry('gone', ['dead'])], 0);
    own.merge([entry('again', [], { version: 2, lost: [{ id: 'dead', epoch: 50 }] })], 0);
    own.expire(0);
    const asked = { kind: 'topology-sync', versions: new Map() } as const;
    const told = (to?: string) =>
      own
        .answerSync(asked, to)
        .entries.map(({ id }) => id)
        .sort();
    assert.deepEqual(told('again'), ['again', 'self'], 'a denied claim is not told');
    own.removeEdge('again');
    own.merge([entry('again', [], { epoch: 60 })], 0);
    assert.deepEqual(told('again'), ['again', 'dead', 'self']);
    assert.deepEqual(
      own.entriesOf(['dead', 'gone'], 'again').map(({ id }) => id),
      ['dead'],
    );
    assert.deepEqual([told('other').includes('dead'), told().includes('dead')], [false, false]);
  });

  it('tells a node that was absent for long of itself, so that one whose clock runs behind is heard at once', () => {
    const other = view('other', 10);
    other.addEdge('again', 'MAN');
    other.merge([entry('again', [], { epoch: 900, version: 6 })], 0);
    other.removeEdge('again');
    other.expire(0);
    assert.deepEqual(shown(other), ['other']);
    // A new start of it, an hour back. Whoever started later asks: the other one.
    const again = view('again', 20);
    again.addEdge('other', 'MAN');
    other.introduce('again', 20, capabilities());
    const answer = again.answerSync({ kind: 'topology-sync', versions: other.versions() }, 'other');
    assert.ok(answer.wanted.includes('again'));
    other.merge(answer.entries, 0, new Set(['again']), 'again');
    const { refuted } = again.merge(other.entriesOf(answer.wanted, 'again'), 0, new Set(['other']), 'other');
    assert.equal(refuted, true);
    assert.equal(again.own.epoch, 901);
    other.merge([again.own], 0, new Set(['again']), 'again');
    assert.deepEqual(edges(other), ['again>other MAN', 'other>again MAN']);
  });

  it('fits one message however large the view, and goes on where it stopped', () => {
    const big = view('big', 1);
    const wide = Array.from({ length: 1_000 }, (_, i) => `node-number-${i}`);
    big.merge(
      wide.slice(0, 60).map((id) => entry(id, [...wide, 'big'])),
      0,
    );
    const small = view('small', 2);
    let rounds = 0;
    for (; small.versions().size < big.versions().size + 1; rounds++) {
      assert.ok(rounds < 20);
      const answer = big.answerSync({ kind: 'topology-sync', versions: small.versions() });
      assert.ok(JSON.stringify(answer.entries).length < LIMITS.controlFrameBytesMax);
      small.merge(answer.entries, 0);
    }
    assert.ok(rounds > 2);
  });

  it('is asked by the later start, once for one view', () => {
    const young = view('young', 9);
    const gate = new SyncGate(young);
    const peer = (id: string, epoch: number, digest: string) => ({ id, epoch, digest });
    assert.equal(gate.shouldAsk(peer('x', 10, 'aaaa'), 0), false, 'x started later');
    assert.equal(gate.shouldAsk(peer('x', 8, young.digest()), 0), false, 'nothing to learn');
    assert.equal(gate.shouldAsk(peer('x', 8, 'aaaa'), 0), true);
    assert.equal(gate.shouldAsk(peer('y', 8, 'aaaa'), 0), false);
    assert.equal(gate.shouldAsk(peer('zoe', 9, 'bbbb'), 0), false, 'same start: the higher id asks');
    gate.failed('aaaa');
    assert.equal(gate.shouldAsk(peer('y', 8, 'aaaa'), 0), true);
    assert.equal(gate.shouldAsk(peer('z', 8, 'aaaa'), LIMITS.topologySyncMemoryMs), true);
  });
});
