/**
 * The faults, made from outside: by signals, rules of the firewall and a program that takes a port. Each says when the tunnel
 * could work again (from then on the time counts) and through which of its two ports it is watched. Those that last for a
 * while last differently long from round to round: one length could fall just before or after somebody's next try.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from './stage.js';

/** One row of the table. */
export interface Fault {
  /** Short, for `--only`. */
  readonly name: string;
  /** For the table. */
  readonly title: string;
  /** What is watched: -L from the near machine, or -R from the far one. */
  readonly through: 'L' | 'R';
  /** The tunnel is broken when the time begins to count; else only what it lacked is back. */
  readonly lasts: boolean;
  /** Between two health checks. */
  readonly watchEveryMs: number;
  /** Makes it; resolves when the time begins to count. `round` counts from 0. */
  make(stage: Stage, round: number): Promise<void>;
  /** Takes away what is left of it when the measurement is over. */
  undo?(stage: Stage): void;
}

const OUTAGES_MS = [60_000, 30_000, 90_000];
const DOWN_MS = [5_000, 20_000, 45_000];
const HELD_MS = [35_000, 20_000, 50_000];

const ofRound = (lengths: readonly number[], round: number): number => lengths[round % lengths.length]!;

function range(lengths: readonly number[]): string {
  return `${Math.min(...lengths) / 1_000} to ${Math.max(...lengths) / 1_000} s`;
}

/** In the order of the table. */
export const FAULTS: readonly Fault[] = [
  {
    name: 'kill',
    title: 'ssh killed (`kill -9`)',
    through: 'L',
    lasts: true,
    watchEveryMs: 20,
    make: async (stage) => {
      if (!stage.killSsh()) throw new Error(`${stage.contestant.name}: there is no ssh to kill`);
    },
  },
  {
    name: 'freeze',
    title: 'the session’s sshd frozen (SIGSTOP), and it stays so',
    through: 'L',
    lasts: true,
    watchEveryMs: 100,
    make: async (stage) => stage.sshd.freezeSessions(),
    undo: (stage) => stage.sshd.thaw(),
  },
  {
    name: 'drop',
    title: `all packets dropped for ${range(OUTAGES_MS)}; from their return`,
    through: 'L',
    lasts: false,
    watchEveryMs: 100,
    make: async (stage, round) => {
      stage.lan.partition(stage.near, stage.far);
      await sleep(ofRound(OUTAGES_MS, round));
      stage.lan.heal();
    },
  },
  {
    name: 'restart',
    title: `sshd and its sessions gone for ${range(DOWN_MS)}; from its return`,
    through: 'L',
    lasts: false,
    watchEveryMs: 100,
    make: async (stage, round) => {
      await stage.sshd.stop();
      await sleep(ofRound(DOWN_MS, round));
      await stage.sshd.start();
    },
  },
  {
    name: 'busy',
    title: `the session lost and the port of -R taken by another program for ${range(HELD_MS)}; from its release`,
    through: 'R',
    lasts: false,
    watchEveryMs: 100,
    make: async (stage, round) => {
      const squatter = await stage.squat();
      stage.sshd.killSessions();
      await squatter.sees(/holds ::1/, 10_000);
      await squatter.sees(/holds 127\.0\.0\.1/, 10_000);
      await sleep(ofRound(HELD_MS, round));
      // It must have held the port to the end, or nothing was measured.
      if ((await squatter.stop()) !== 'SIGTERM')
        throw new Error(`the squatter ended early\n${squatter.output}`);
    },
  },
];
