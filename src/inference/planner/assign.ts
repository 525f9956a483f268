/**
 * How many layers each node of a ring takes, in a given order, so that all fit: as many as possible where they are fast, or
 * shares by a weight. Pure.
 */

import type { NodeCosts } from './costs.js';
import type { CostedPlace, Workload } from './predict.js';

/** Positions for which the memory of a request's cache is kept free. */
export function reservedPositions({
  promptTokens,
  answerTokens,
}: Pick<Workload, 'promptTokens' | 'answerTokens'>): number {
  return promptTokens + answerTokens;
}

/**
 * Layers 0 to the last over the nodes in this order, at least one each; undefined when they do not fit. Whoever comes first in
 * `preference` (indices of `order`) takes all it can hold.
 */
export function fillInOrder(
  order: readonly NodeCosts[],
  preference: readonly number[],
  positions: number,
): readonly CostedPlace[] | undefined {
  const most = capacities(order, positions);
  const counts = new Array<number>(order.length).fill(1);
  let left = order[0]!.layers - order.length;
  if (most.some((count) => count < 1) || left < 0) return undefined;
  for (const index of preference) {
    const more = Math.min(left, most[index]! - 1);
    counts[index] = 1 + more;
    left -= more;
  }
  return left > 0 ? undefined : placesOf(order, counts, positions);
}

/** As `fillInOrder`, with shares of the layers as near to the weights as memory allows. */
export function shareInOrder(
  order: readonly NodeCosts[],
  weights: readonly number[],
  positions: number,
): readonly CostedPlace[] | undefined {
  const most = capacities(order, positions);
  const { layers } = order[0]!;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (most.some((count) => count < 1) || layers < order.length || !(total > 0)) return undefined;
  const wanted = weights.map((weight) => (layers * weight) / total);
  const counts = wanted.map((count, index) => Math.max(1, Math.min(most[index]!, Math.floor(count))));
  let left = layers - counts.reduce((sum, count) => sum + count, 0);
  while (left !== 0) {
    const step = Math.sign(left);
    let best = -1;
    for (const [index, count] of counts.entries()) {
      const next = count + step;
      if (next < 1 || next > most[index]!) continue;
      if (best < 0 || step * (wanted[index]! - count) > step * (wanted[best]! - counts[best]!)) best = index;
    }
    if (best < 0) return undefined;
    counts[best]! += step;
    left -= step;
  }
  return placesOf(order, counts, positions);
}

/** Layers that each node can hold at its place. */
function capacities(order: readonly NodeCosts[], positions: number): readonly number[] {
  return order.map((node, place) => {
    const { before, last } = node.capacity(positions);
    return place === order.length - 1 ? last : before;
  });
}

/** Whatever was rounded on the way: nothing that does not fit leaves here. */
function placesOf(
  order: readonly NodeCosts[],
  counts: readonly number[],
  positions: number,
): readonly CostedPlace[] | undefined {
  let start = 0;
  const places = order.map((node, index) => {
    const end = start + counts[index]!;
    const place = { node, start, end };
    start = end;
    return place;
  });
  return places.every(({ node, start: from, end }) => node.fits(from, end, positions)) ? places : undefined;
}
