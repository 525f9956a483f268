/**
 * What the nemesis does, from a seed: rounds of one or two faults, each kind before any comes again. Pure; `faults.ts` makes them
 * happen. The same seed gives the same rounds, so a run is replayed by EXO_NEMESIS_SEED.
 */
import { type Random, randomInt, seededRandom } from '../../src/shared/index.js';

/** Hosts of the field. */
export const HOSTS = 5;
/** The host that only tunnels lead to; its node listens on loopback. */
export const TUNNEL_HOST = 4;
/** Hosts whose clock can be set: LD_PRELOAD is no way to run all of them. */
export const CLOCK_HOSTS = [1, 3] as const;

/** What can happen to a host. */
export type FaultKind = 'kill' | 'stop' | 'freeze' | 'cut' | 'one-way' | 'slow' | 'sshd' | 'clock' | 'rotate';

/** Faults that make a node late and nothing more: nobody may be called dead for them. */
export const GENTLE: ReadonlySet<FaultKind> = new Set(['stop', 'slow', 'clock', 'rotate']);

/** One fault. */
export interface Fault {
  readonly kind: FaultKind;
  readonly host: number;
  /** `one-way`: what `host` sends to this one is lost. */
  readonly other: number;
  /** From the beginning of the round. */
  readonly afterMs: number;
  readonly forMs: number;
  /** `slow`: Mbit/s. `clock`: seconds that the clock jumps. */
  readonly amount: number;
}

/** Faults that overlap, then a rest. */
export interface Round {
  readonly faults: readonly Fault[];
  readonly restMs: number;
}

/** How hard it is. */
export interface ScheduleOptions {
  readonly seed: number;
  readonly kinds: readonly FaultKind[];
  /** In `npm test`: nothing that takes as long as a verdict of death. */
  readonly brief: boolean;
}

/** Milliseconds of a fault, from and to. */
const LENGTHS: Readonly<Record<FaultKind, readonly [number, number]>> = {
  kill: [200, 2_000],
  stop: [500, 2_000],
  freeze: [12_000, 20_000],
  cut: [1_000, 15_000],
  'one-way': [1_000, 15_000],
  slow: [2_000, 8_000],
  sshd: [500, 5_000],
  clock: [1_000, 5_000],
  rotate: [0, 0],
};
const BRIEF_MS_MAX = 3_000;
/** Mbit/s: a chat fits, and the queue in front of it is felt. */
const RATES_MBIT = [0.5, 1, 4] as const;
const JUMPS_S = [-86_400, -3_600, -5, 5, 3_600, 86_400] as const;

/** Which host is never killed or frozen: its memory and handles are compared over the whole run. */
export function survivorOf(seed: number): number {
  return randomInt(seededRandom(seed), 0, TUNNEL_HOST - 1);
}

/** All rounds, without end. */
export function* rounds(options: ScheduleOptions): Generator<Round> {
  const random = seededRandom(options.seed + 1);
  const survivor = survivorOf(options.seed);
  for (;;) {
    const bag = shuffled(options.kinds, random);
    while (bag.length > 0) {
      const count = Math.min(bag.length, options.brief || random.next() < 0.3 ? 2 : 1);
      const faults = bag.splice(0, count).map((kind, at) => {
        const afterMs = at * randomInt(random, 100, 1_500);
        return { ...faultOf(kind, survivor, random, options.brief), afterMs };
      });
      yield { faults: rotatedElsewhere(faults), restMs: randomInt(random, 200, options.brief ? 500 : 3_000) };
    }
  }
}

/** A command asks the node of its own machine: one that is killed or frozen meanwhile cannot answer it. */
function rotatedElsewhere(faults: readonly Fault[]): readonly Fault[] {
  const away = faults.filter(({ kind }) => kind === 'kill' || kind === 'freeze').map(({ host }) => host);
  return faults.map((fault) =>
    fault.kind === 'rotate' && away.includes(fault.host)
      ? { ...fault, host: (fault.host + 1) % (TUNNEL_HOST + 1) }
      : fault,
  );
}

function faultOf(kind: FaultKind, survivor: number, random: Random, brief: boolean): Omit<Fault, 'afterMs'> {
  const lan = Array.from({ length: TUNNEL_HOST }, (_, host) => host);
  const all = [...lan, TUNNEL_HOST];
  const hosts: readonly number[] =
    kind === 'clock'
      ? CLOCK_HOSTS
      : kind === 'sshd'
        ? [TUNNEL_HOST]
        : kind === 'kill' || kind === 'freeze'
          ? all.filter((host) => host !== survivor)
          : kind === 'one-way'
            ? lan
            : all;
  const host = pick(hosts, random);
  const [shortestMs, longestMs] = LENGTHS[kind];
  const other = pick(
    lan.filter((each) => each !== host),
    random,
  );
  const amount = kind === 'slow' ? pick(RATES_MBIT, random) : kind === 'clock' ? pick(JUMPS_S, random) : 0;
  const longMs = brief ? Math.min(longestMs, BRIEF_MS_MAX) : longestMs;
  return { kind, host, other, amount, forMs: randomInt(random, Math.min(shortestMs, longMs), longMs) };
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[randomInt(random, 0, list.length - 1)]!;
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  const copy = [...list];
  for (let at = copy.length - 1; at > 0; at -= 1) {
    const other = randomInt(random, 0, at);
    [copy[at], copy[other]] = [copy[other]!, copy[at]!];
  }
  return copy;
}

/** A fault in a line of the printed schedule. */
export function inWords({ kind, host, other, forMs, amount }: Fault): string {
  const name = `n${host + 1}`;
  const s = `${(forMs / 1_000).toFixed(1)} s`;
  const texts: Record<FaultKind, string> = {
    kill: `kill -9 ${name}, started again after ${s}`,
    stop: `SIGSTOP ${name} for ${s}`,
    freeze: `SIGSTOP ${name} for ${s}`,
    cut: `${name} cut off for ${s}`,
    'one-way': `nothing from ${name} reaches n${other + 1} for ${s}`,
    slow: `${name} at ${amount} Mbit/s for ${s}`,
    sshd: `sshd of ${name} gone for ${s}`,
    clock: `the clock of ${name} jumps by ${amount} s, and back after ${s}`,
    rotate: `${name} rotates the mesh key`,
  };
  return texts[kind];
}
