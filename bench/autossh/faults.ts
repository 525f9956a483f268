/**
 * The faults, made from outside: by signals, rules of the firewall and a program that takes a port. Each says when the tunnel
 * could work again (from then on the time counts) and through which of its two ports it is watched.
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
  /** Makes it; resolves when the time begins to count. */
  make(stage: Stage): Promise<void>;
  /** Takes away what is left of it when the measurement is over. */
  undo?(stage: Stage): void;
}

const OUTAGE_MS = 60_000;
const DOWN_MS = 5_000;
const HELD_MS = 30_000;

/** In the order of the table. */
export const FAULTS: readonly Fault[] = [
  {
    name: 'kill',
    title: 'ssh killed (`kill -9`)',
    through: 'L',
    lasts: true,
    make: async (stage) => {
      if (!stage.killSsh()) throw new Error(`${stage.contestant.name}: there is no ssh to kill`);
    },
  },
  {
    name: 'freeze',
    title: 'the session’s sshd frozen (SIGSTOP), and it stays so',
    through: 'L',
    lasts: true,
    make: async (stage) => stage.sshd.freezeSessions(),
    undo: (stage) => stage.sshd.thaw(),
  },
  {
    name: 'drop',
    title: `all packets dropped for ${OUTAGE_MS / 1_000} s; from their return`,
    through: 'L',
    lasts: false,
    make: async (stage) => {
      stage.lan.partition(stage.near, stage.far);
      await sleep(OUTAGE_MS);
      stage.lan.heal();
    },
  },
  {
    name: 'restart',
    title: `sshd and its sessions gone for ${DOWN_MS / 1_000} s; from its return`,
    through: 'L',
    lasts: false,
    make: async (stage) => {
      await stage.sshd.stop();
      await sleep(DOWN_MS);
      await stage.sshd.start();
    },
  },
  {
    name: 'busy',
    title: `the session lost and the port of -R taken by another program for ${HELD_MS / 1_000} s; from its release`,
    through: 'R',
    lasts: false,
    make: async (stage) => {
      const squatter = await stage.squat();
      stage.sshd.killSessions();
      await squatter.sees(/holds ::1/, 10_000);
      await squatter.sees(/holds 127\.0\.0\.1/, 10_000);
      await sleep(HELD_MS);
      await squatter.stop();
    },
  },
];
