/**
 * What happens in a run, drawn from its seed before it begins: how many nodes, who dials whom over which links, and when which
 * fault begins and ends. Plain data, printed when a run fails.
 */
import type { LinkName, LinkProfile } from '../../src/protocol/index.js';
import { type Random, randomInt, seededRandom } from '../../src/shared/index.js';
import { episode } from './episode.js';

/** One thing that is done to the mesh. */
export type Action =
  | { readonly kind: 'start' | 'stop' | 'kill' | 'power' | 'resume'; readonly node: string }
  | { readonly kind: 'pause'; readonly node: string; readonly forMs: number }
  /** The wall clock of a machine goes forward, or back. */
  | { readonly kind: 'jump'; readonly node: string; readonly byMs: number }
  | { readonly kind: 'cut' | 'join' | 'reset'; readonly from: string; readonly to: string }
  /** Both directions of a pair; no link: as it was at first. */
  | {
      readonly kind: 'link';
      readonly from: string;
      readonly to: string;
      readonly link?: LinkName | LinkProfile;
    }
  /** Every fault has ended. */
  | { readonly kind: 'healed' }
  /** From now on all views must be equal. */
  | { readonly kind: 'settled' }
  /** The last moment before the next fault. */
  | { readonly kind: 'calm' };

/** An action and its time. */
export interface Step {
  readonly atMs: number;
  readonly action: Action;
}

/** A whole run. */
export interface Plan {
  readonly seed: number;
  readonly durationMs: number;
  readonly nodes: readonly NodePlan[];
  readonly links: ReadonlyArray<{ readonly from: string; readonly to: string; readonly link: LinkName }>;
  readonly steps: readonly Step[];
}

/** One machine. */
export interface NodePlan {
  readonly id: string;
  readonly dials: readonly string[];
  readonly memoryMb: number;
  /** How wrong its wall clock is. */
  readonly skewMs: number;
  /** What its monotonic clock showed when the run began. */
  readonly originMs: number;
}

const NODES_MIN = 3;
const NODES_MAX = 7;
const BASE_LINKS: readonly LinkName[] = [
  'perfect',
  'lan',
  'lan',
  'good-wifi',
  'good-wifi',
  'congested-wifi',
  'weak-4g',
];
/** Wall clocks of machines without NTP. */
const SKEW_MS_MAX = 2 * 60 * 60_000;
const STARTS_WITHIN_MS = 3_000;
/** Of the issue: after each heal every view is equal within this. */
export const SETTLE_MS = 15_000;
/** Then the mesh must be able to work undisturbed for so long. */
export const CALM_MS = 10_000;

/** The plan of a seed. */
export function planOf(seed: number, durationMs: number): Plan {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1));
  const ids = Array.from({ length: randomInt(random, NODES_MIN, NODES_MAX) }, (_, index) => `n${index + 1}`);
  const isMutual = random.next() < 0.7;
  const usual = pick(random, BASE_LINKS);
  const dials = new Map<string, string[]>(ids.map((id) => [id, []]));
  const links: Array<Plan['links'][number]> = [];
  for (const [from, to] of pairs(ids)) {
    links.push({ from, to, link: random.next() < 0.7 ? usual : pick(random, BASE_LINKS) });
    const both = isMutual || random.next() < 0.3;
    const forward = random.next() < 0.5;
    if (both || forward) dials.get(from)!.push(to);
    if (both || !forward) dials.get(to)!.push(from);
  }
  const nodes = ids.map((id) => ({
    id,
    dials: dials.get(id)!,
    memoryMb: pick(random, [512, 1_024, 2_048]),
    skewMs: Math.round((random.next() * 2 - 1) * SKEW_MS_MAX),
    originMs: randomInt(random, 0, 1_000_000),
  }));
  return { seed, durationMs, nodes, links, steps: stepsOf(random, ids, durationMs) };
}

function stepsOf(random: Random, ids: readonly string[], durationMs: number): Step[] {
  const steps: Step[] = ids.map((node) => ({
    atMs: randomInt(random, 0, STARTS_WITHIN_MS),
    action: { kind: 'start', node },
  }));
  let down: string | undefined;
  for (let healedMs = STARTS_WITHIN_MS; ; ) {
    const calmMs = healedMs + SETTLE_MS + CALM_MS;
    if (calmMs > durationMs) break;
    steps.push({ atMs: healedMs, action: { kind: 'healed' } });
    steps.push({ atMs: healedMs + SETTLE_MS, action: { kind: 'settled' } });
    steps.push({ atMs: calmMs, action: { kind: 'calm' } });
    const next = episode(random, ids, { beginsMs: calmMs, down });
    down = next.down;
    healedMs = next.endsMs;
    if (healedMs + SETTLE_MS + CALM_MS <= durationMs) steps.push(...next.steps);
  }
  // Of one instant: in the order in which they were drawn, the ends of faults before the mark.
  return steps
    .map((step, order) => ({ step, order }))
    .sort(byTime)
    .map(({ step }) => step);
}

type Ordered = { readonly step: Step; readonly order: number };

function byTime(a: Ordered, b: Ordered): number {
  return a.step.atMs - b.step.atMs || rank(a.step) - rank(b.step) || a.order - b.order;
}

function rank({ action }: Step): number {
  return action.kind === 'healed' ? 1 : 0;
}

/** Every two of them once. */
export function pairs(ids: readonly string[]): Array<readonly [string, string]> {
  return ids.flatMap((a, index) => ids.slice(index + 1).map((b) => [a, b] as const));
}

/** One of a list. */
export function pick<T>(random: Random, from: readonly T[]): T {
  return from[randomInt(random, 0, from.length - 1)]!;
}

/** A step as a line. */
export function stepInWords({ atMs, action }: Step): string {
  const { kind, ...how } = action;
  const words = Object.values(how).map((value) =>
    typeof value === 'object' ? JSON.stringify(value) : value,
  );
  return `${(atMs / 1_000).toFixed(3).padStart(9)} ${kind} ${words.join(' ')}`.trimEnd();
}
