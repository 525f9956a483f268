/** Which ring is chosen, for machines and links as people have them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reservedPositions } from '../../../src/inference/planner/assign.js';
import { chooseRing, soloRing, valued } from '../../../src/inference/planner/choose.js';
import fc from '../../support/properties.js';
import { propertyRuns } from '../../support/scale.js';
import { choiceOf, type TestModel, type TestNode } from './nodes.js';

const SMALL: TestModel = { layers: 24, layerGb: 0.03 };
const LARGE: TestModel = { layers: 80, layerGb: 1.75 };

const laptop = (id: string, more: Partial<TestNode> = {}): TestNode => ({
  id,
  memoryGb: 16,
  gbPerS: 40,
  ...more,
});

/** `a 0-11, b 12-23` */
function chosen(...args: Parameters<typeof choiceOf>): string | undefined {
  return chooseRing(choiceOf(...args))
    ?.places.map(({ node, start, end }) => `${node.nodeId} ${start}-${end - 1}`)
    .join(', ');
}

for (const [name, nodes, model, rttMs, expected] of [
  ['one node alone', [laptop('a')], SMALL, 1, 'a 0-23'],
  ['two equal nodes on a slow link: solo', [laptop('a'), laptop('b')], SMALL, 40, 'a 0-23'],
  [
    'two equal nodes on a fast link: still solo, a token visits all layers anyway',
    [laptop('a'), laptop('b')],
    SMALL,
    0.2,
    'a 0-23',
  ],
  ['a GPU beside a laptop: the GPU', [laptop('a'), laptop('gpu', { gbPerS: 900 })], SMALL, 1, 'gpu 0-23'],
  // A token costs the laptop 20 ms; the round trip is paid once.
  [
    'a far GPU: its link is paid once for the answer',
    [laptop('a'), laptop('gpu', { gbPerS: 900 })],
    SMALL,
    80,
    'gpu 0-23',
  ],
  [
    'a slow node with much memory beside two fast ones: not needed',
    [laptop('a'), laptop('b'), laptop('nas', { memoryGb: 256, gbPerS: 5 })],
    SMALL,
    1,
    'a 0-23',
  ],
  ['a node without room: the other one', [laptop('a', { memoryGb: 0.1 }), laptop('b')], SMALL, 1, 'b 0-23'],
] as const satisfies ReadonlyArray<readonly [string, readonly TestNode[], TestModel, number, string]>) {
  test(`planner, ${name}`, () => {
    assert.equal(chosen(nodes, model, rttMs), expected);
  });
}

test('planner splits what fits on no node, most of it where it is fast', () => {
  const nodes = [laptop('a', { memoryGb: 64 }), laptop('b', { memoryGb: 96, gbPerS: 400 })];
  const ring = chooseRing(choiceOf(nodes, LARGE, 1))!;
  const counts = new Map(ring.places.map(({ node, start, end }) => [node.nodeId, end - start]));
  assert.equal(ring.places.length, 2);
  assert.ok(counts.get('b')! > counts.get('a')!, JSON.stringify([...counts]));
});

test('planner takes three unequal nodes where two do not have the memory, and no fourth', () => {
  const nodes = [
    laptop('a', { memoryGb: 48, gbPerS: 100 }),
    laptop('b', { memoryGb: 64, gbPerS: 400 }),
    laptop('c', { memoryGb: 48, gbPerS: 200 }),
    laptop('d', { memoryGb: 20, gbPerS: 40 }),
  ];
  const ring = chooseRing(choiceOf(nodes, LARGE, 1))!;
  assert.deepEqual(ring.places.map(({ node }) => node.nodeId).sort(), ['a', 'b', 'c']);
});

test('planner takes as many small nodes as a large model needs', () => {
  const nodes = Array.from({ length: 20 }, (_, index) => laptop(`n${index}`, { memoryGb: 12 }));
  const ring = chooseRing(choiceOf(nodes, LARGE, 1))!;
  assert.ok(ring.places.length >= 12, `${ring.places.length}`);
});

test('planner says so when no ring has the memory', () => {
  assert.equal(chosen([laptop('a'), laptop('b')], LARGE, 1), undefined);
});

test('planner puts no two nodes without a connection into one ring', () => {
  const nodes = ['a', 'b', 'c'].map((id) => laptop(id, { memoryGb: 80 }));
  const choice = choiceOf(nodes, LARGE, 1);
  const isLinked = (one: string, two: string) => [one, two].sort().join('') !== 'ab';
  const ring = chooseRing({ ...choice, isLinked })!;
  assert.equal(ring.places.length, 2);
  assert.ok(ring.places.some(({ node }) => node.nodeId === 'c'));
});

test('planner keeps a node with the files rather than have another, somewhat better one fetch them', () => {
  const nodes = [laptop('a'), laptop('b', { gbPerS: 44, stored: [] })];
  assert.equal(chosen(nodes, SMALL, 1), 'a 0-23');
  // One that is ten times as fast is worth it.
  const faster = [laptop('a'), laptop('b', { gbPerS: 400, stored: [], fetchBytesPerS: 100e6 })];
  assert.equal(chosen(faster, SMALL, 1), 'b 0-23');
});

test('planner reckons with files from other nodes where one has them, else from a hub, and says what it assumed', () => {
  const fetchOf = (more: Partial<TestNode>, stored: TestNode['stored'] = [[0, 11]]) => {
    const choice = choiceOf([laptop('a', { stored: [], ...more }), laptop('b', { stored })], SMALL, 1);
    const { fetchMs, isFetchAssumed } = soloRing(choice, choice.nodes[0]!)!.prediction;
    return [Math.round(fetchMs), isFetchAssumed];
  };
  const bytes = { theirs: 12 * 0.03e9, others: (12 + 2) * 0.03e9 };
  const atRates = (theirs: number, others: number) =>
    Math.round((1_000 * bytes.theirs) / theirs + (1_000 * bytes.others) / others);
  assert.deepEqual(fetchOf({}), [atRates(12.5e6, 12.5e6), true]);
  assert.deepEqual(fetchOf({ fetchBytesPerS: 5e6 }), [atRates(5e6, 5e6), false]);
  assert.deepEqual(fetchOf({ fetchBytesPerS: 5e6, peerFetchBytesPerS: 80e6 }), [atRates(80e6, 5e6), false]);
  assert.deepEqual(fetchOf({ peerFetchBytesPerS: 80e6 }), [atRates(80e6, 12.5e6), true]);
  assert.deepEqual(fetchOf({ stored: [[0, 23]] }), [0, false]);
});

test('planner leaves a ring only for one that is clearly better', () => {
  const previous = [{ nodeId: 'b', startLayer: 0, endLayer: 23 }];
  assert.equal(chosen([laptop('a'), laptop('b', { gbPerS: 38 })], SMALL, 1, { previous }), 'b 0-23');
  assert.equal(chosen([laptop('a'), laptop('b', { gbPerS: 20 })], SMALL, 1, { previous }), 'a 0-23');
  // It is gone, or is not the model's any more.
  assert.equal(chosen([laptop('a')], SMALL, 1, { previous }), 'a 0-23');
});

test('planner needs for a hundred nodes not much more than its share of fifty', (t) => {
  const choiceAmong = (count: number) => {
    const nodes = Array.from({ length: count }, (_, index) =>
      laptop(`n${index}`, { memoryGb: 4 + (index % 40), gbPerS: 20 + ((index * 37) % 400) }),
    );
    return choiceOf(nodes, LARGE, 1);
  };
  /** The best of nine: other programs run here, too. */
  const bestMs = (choice: ReturnType<typeof choiceAmong>) =>
    Math.min(
      ...Array.from({ length: 9 }, () => {
        const before = process.cpuUsage();
        chooseRing(choice);
        return process.cpuUsage(before).user / 1_000;
      }),
    );
  const [fifty, hundred] = [choiceAmong(50), choiceAmong(100)];
  bestMs(hundred);
  const [less, more] = [bestMs(fifty), bestMs(hundred)];
  t.diagnostic(`50 nodes: ${less.toFixed(2)} ms, 100 nodes: ${more.toFixed(2)} ms`);
  // Every pair of nodes is looked at, and not every order of them.
  assert.ok(more <= 10 * Math.max(less, 0.5), `${less} ms and ${more} ms`);
});

const node = fc.record({
  memoryGb: fc.double({ min: 0.01, max: 200, noNaN: true }),
  gbPerS: fc.double({ min: 1, max: 1_000, noNaN: true }),
  gigaMultiplyAddsPerS: fc.double({ min: 10, max: 50_000, noNaN: true }),
  isStored: fc.boolean(),
});
const model = fc.record({
  layers: fc.integer({ min: 1, max: 126 }),
  layerGb: fc.double({ min: 0.0005, max: 3, noNaN: true }),
});

test('planner gives every layer once, never more than fits, and is never worse than one node alone', () => {
  let rings = 0;
  fc.assert(
    fc.property(
      fc.array(node, { minLength: 1, maxLength: 9 }),
      model,
      fc.double({ min: 0.05, max: 300, noNaN: true }),
      (machines, wanted, rttMs) => {
        const nodes = machines.map(({ isStored, ...figures }, index) => ({
          id: `n${index}`,
          ...figures,
          stored: isStored ? ([[0, wanted.layers - 1]] as const) : [],
        }));
        const choice = choiceOf(nodes, wanted, rttMs);
        const ring = chooseRing(choice);
        const alone = choice.nodes.flatMap((each) => soloRing(choice, each) ?? []);
        if (ring === undefined) {
          assert.equal(alone.length, 0, 'one of them fits');
          return;
        }
        rings += 1;
        let next = 0;
        for (const { node: holder, start, end } of ring.places) {
          assert.equal(start, next);
          assert.ok(end > start);
          assert.ok(holder.fits(start, end, reservedPositions(choice.workload)));
          next = end;
        }
        assert.equal(next, wanted.layers);
        assert.equal(new Set(ring.places.map((place) => place.node.nodeId)).size, ring.places.length);
        for (const solo of alone) assert.ok(ring.costMs <= solo.costMs);
        assert.deepEqual(valued(choice, ring.places).prediction, ring.prediction);
        assert.ok(ring.prediction.tokensPerS > 0 && ring.prediction.firstTokenMs >= 0);
      },
    ),
    { numRuns: propertyRuns(300) },
  );
  assert.ok(rings > 0);
});
