/**
 * Which ring answers soonest: tries the sensible ones (each node alone; few nodes together, each in the orders and with the shares
 * that can be best) and takes the one whose whole answer is predicted to be there first. Pure, some milliseconds at most.
 */
import type { PlacedRange } from '../placement.js';
import { fillInOrder, reservedPositions, shareInOrder } from './assign.js';
import type { NodeCosts } from './costs.js';
import type { Paths } from './paths.js';
import { type CostedPlace, type Prediction, predict, type Workload } from './predict.js';

/** What is chosen from. */
export interface Choice {
  /** Nodes that can compute the model and are measured; all with the same number of layers. */
  readonly nodes: readonly NodeCosts[];
  readonly workload: Workload;
  /** The node that asks; it need not be among `nodes`. */
  readonly entryId: string;
  readonly paths: Paths;
  isLinked(one: string, two: string): boolean;
  /** The ring that the model was last computed in. */
  readonly previous?: readonly PlacedRange[];
}

/** A ring and what is expected of it. */
export interface ChosenRing {
  readonly places: readonly CostedPlace[];
  readonly prediction: Prediction;
  /** Until the answer is there, with fetching and loading shared by the answers to come. */
  readonly costMs: number;
}

/** Nodes of which all sets are tried: 63, and a split over more of them is only of use for memory. */
const POOL = 6;
/** What is fetched and loaded serves more than one answer. */
const ANSWERS_PER_FETCH = 10;
/** A ring is left for one that is better by more than this: files, weights and caches are where they are. */
const WORTH_A_MOVE = 1.15;

/** The best ring; undefined when the model does not fit into the memory of any. */
export function chooseRing(choice: Choice): ChosenRing | undefined {
  const { nodes } = choice;
  let best: ChosenRing | undefined;
  const take = (ring: ChosenRing | undefined) => {
    if (ring !== undefined && (best === undefined || ring.costMs < best.costMs)) best = ring;
  };
  for (const node of nodes) take(soloRing(choice, node));
  for (const set of subsets(pool(nodes, choice.entryId))) take(bestOf(choice, set));
  if (best === undefined) take(widest(choice));
  const kept = previousRing(choice);
  return kept !== undefined && best !== undefined && kept.costMs <= best.costMs * WORTH_A_MOVE ? kept : best;
}

/** All layers on one node; undefined when they do not fit. */
export function soloRing(choice: Choice, node: NodeCosts): ChosenRing | undefined {
  if (!node.fits(0, node.layers, reservedPositions(choice.workload))) return undefined;
  return valued(choice, [{ node, start: 0, end: node.layers }]);
}

/** What is expected of a ring. */
export function valued({ workload, entryId, paths }: Choice, places: readonly CostedPlace[]): ChosenRing {
  const prediction = predict(places, workload, entryId, paths);
  const { firstTokenMs, fetchMs, loadMs, tokensPerS } = prediction;
  const onceMs = fetchMs + loadMs;
  const answerMs = (1_000 * workload.answerTokens) / tokensPerS;
  return { places, prediction, costMs: firstTokenMs - onceMs + onceMs / ANSWERS_PER_FETCH + answerMs };
}

/** The ring of these ranges, where its nodes are still there and it fits. */
function previousRing(choice: Choice): ChosenRing | undefined {
  const { nodes, previous, workload } = choice;
  if (previous === undefined) return undefined;
  const places: CostedPlace[] = [];
  for (const { nodeId, startLayer, endLayer } of previous) {
    const node = nodes.find((each) => each.nodeId === nodeId);
    if (node === undefined || endLayer >= node.layers) return undefined;
    if (!node.fits(startLayer, endLayer + 1, reservedPositions(workload))) return undefined;
    places.push({ node, start: startLayer, end: endLayer + 1 });
  }
  return isConnected(
    choice,
    places.map(({ node }) => node),
  )
    ? valued(choice, places)
    : undefined;
}

/** The fastest and the largest, and the one that asks. */
function pool(nodes: readonly NodeCosts[], entryId: string): readonly NodeCosts[] {
  const fastest = [...nodes].sort((a, b) => b.offer.bytesPerS - a.offer.bytesPerS);
  const largest = [...nodes].sort((a, b) => b.offer.memoryBytes - a.offer.memoryBytes);
  const chosen = new Set(nodes.filter(({ nodeId }) => nodeId === entryId));
  for (const [index, node] of fastest.entries()) {
    if (chosen.size < POOL) chosen.add(node);
    if (chosen.size < POOL) chosen.add(largest[index]!);
  }
  return [...chosen];
}

/** All sets of two and more. */
function* subsets(nodes: readonly NodeCosts[]): Generator<readonly NodeCosts[]> {
  for (let bits = 3; bits < 1 << nodes.length; bits += 1) {
    const set = nodes.filter((_, index) => (bits >> index) & 1);
    if (set.length > 1 && set.length <= nodes[0]!.layers) yield set;
  }
}

/** The best ring of exactly these nodes. */
function bestOf(choice: Choice, set: readonly NodeCosts[]): ChosenRing | undefined {
  let best: ChosenRing | undefined;
  const positions = reservedPositions(choice.workload);
  for (const first of set) {
    const order = nearestFirst(choice, set, first);
    if (!isConnected(choice, order)) continue;
    const speeds = order.map(({ offer }) => offer.bytesPerS);
    const preference = speeds.map((_, index) => index).sort((a, b) => speeds[b]! - speeds[a]!);
    for (const places of [
      fillInOrder(order, preference, positions),
      shareInOrder(order, speeds, positions),
    ]) {
      if (places === undefined) continue;
      const ring = valued(choice, places);
      if (best === undefined || ring.costMs < best.costMs) best = ring;
    }
  }
  return best;
}

/** More nodes than the pool has: the largest first, until the model fits. */
function widest(choice: Choice): ChosenRing | undefined {
  const order: NodeCosts[] = [];
  const byMemory = [...choice.nodes].sort((a, b) => b.offer.memoryBytes - a.offer.memoryBytes);
  const positions = reservedPositions(choice.workload);
  for (const node of byMemory) {
    if (order.length >= node.layers || !order.every((each) => choice.isLinked(each.nodeId, node.nodeId)))
      continue;
    order.push(node);
    const places = fillInOrder(
      order,
      order.map((_, index) => index),
      positions,
    );
    if (places !== undefined) return valued(choice, places);
  }
  return undefined;
}

/** Each next one is the nearest to the one before. */
function nearestFirst({ paths }: Choice, set: readonly NodeCosts[], first: NodeCosts): readonly NodeCosts[] {
  const order = [first];
  const rest = set.filter((node) => node !== first);
  while (rest.length > 0) {
    const last = order.at(-1)!.nodeId;
    let nearest = 0;
    for (const [index, { nodeId }] of rest.entries()) {
      if (paths.between(last, nodeId).rttMs < paths.between(last, rest[nearest]!.nodeId).rttMs)
        nearest = index;
    }
    order.push(...rest.splice(nearest, 1));
  }
  return order;
}

/** All with all, as in the ring of those that measure nothing: a failure must find its way. */
function isConnected({ isLinked }: Choice, order: readonly NodeCosts[]): boolean {
  return order.every((one, index) => order.slice(index + 1).every((two) => isLinked(one.nodeId, two.nodeId)));
}
