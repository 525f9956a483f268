/**
 * What is known when a ring is decided on, and the decision as the planner tells it: who holds what, along which paths, how long it will
 * take, and why. Pure; called by `ring-planner.ts`.
 */
import { printable } from '../../shared/index.js';
import type { PlacedRange } from '../placement.js';
import { type MeshNow, ringOf } from '../ring/index.js';
import { type Choice, type ChosenRing, soloRing } from './choose.js';
import type { PlanQuestion, RingPlan } from './plan.js';
import type { Outsider } from './plan-errors.js';

/** Everything that is known when a ring is decided on. */
export interface Situation {
  readonly mesh: MeshNow;
  readonly question: PlanQuestion;
  readonly outsiders: readonly Outsider[];
  /** Known, and not considered. */
  readonly aside: readonly Outsider[];
  readonly choice: Choice;
}

/** A ring that was chosen, as a plan. */
export function planOf(
  { question, choice, outsiders }: Situation,
  { places, prediction }: ChosenRing,
  reason: string,
): RingPlan {
  const ranges = places.map(({ node, start, end }) => ({
    nodeId: node.nodeId,
    startLayer: start,
    endLayer: end - 1,
  }));
  const { entryId, paths } = choice;
  const way = [
    entryId,
    ...ranges.map(({ nodeId }) => nodeId),
    ...(ranges.length > 1 ? [ranges[0]!.nodeId] : []),
  ];
  const hops = way.flatMap((from, index) => {
    const to = way[index + 1];
    return to === undefined || to === from ? [] : [{ from, to, ...paths.between(from, to) }];
  });
  return { ring: ringOf(ranges, question.model), prediction, paths: hops, reason, outsiders };
}

/** Ranges with the costs of their nodes; undefined where one of them is not measured. */
export function placed({ nodes }: Choice, ranges: readonly PlacedRange[]) {
  const places = ranges.flatMap(({ nodeId, startLayer, endLayer }) => {
    const node = nodes.find((each) => each.nodeId === nodeId);
    return node === undefined ? [] : [{ node, start: startLayer, end: endLayer + 1 }];
  });
  return places.length === ranges.length ? places : undefined;
}

/** Why it is this one, in words. */
export function reasonOf({ places }: ChosenRing, choice: Choice): string {
  const named = places.map(({ node }) => printable(node.nodeId, 60)).join(', ');
  if (places.length > 1) {
    const isAlone = choice.nodes.some((node) => soloRing(choice, node) !== undefined);
    return `over ${named}: ${isAlone ? 'sooner than on one node' : 'no node has the memory for all layers'}`;
  }
  return choice.nodes.length === 1
    ? `all layers on ${named}: the only node that can`
    : `all layers on ${named}: a split would be slower`;
}
