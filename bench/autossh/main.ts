/**
 * Time to working again after a fault, ours beside autossh, in one run: the same machines, nodes and faults for each, the end
 * of the outage seen by a health client of its own through the forwarded port.
 *
 *   npm run bench:tunnels                        three rounds; writes its table into docs/TUNNELS.md
 *   npm run bench:tunnels -- --rounds 1 --only cut --no-write
 */
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { labUnavailable } from '../../test/lab/lab.js';
import { type HealthWatch, watchHealth } from '../../test/support/health-watch.js';
import { sshdUnavailable } from '../../test/support/sshd.js';
import { readArguments } from '../../tools/arguments.mjs';
import { FAULTS, type Fault } from './faults.js';
import { falseClaims, noticedAfterMs, type Outcome, type Result, writeTable } from './report.js';
import { type Contestant, PORTS, Stage } from './stage.js';

const { values: flags } = readArguments(import.meta.url, {
  options: {
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    write: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const ROUNDS = Number(flags.rounds);

/** What takes longer is said to be longer. */
const LATE_MS = 120_000;
const SETUP_MS = 60_000;
/** autossh gives up when its first ssh ends within its gate time of 30 s. */
const SETTLE_MS = 35_000;
/** autossh starts its first five again at once, and so do we: more kills need new machines. */
const KILLS = 5;
const KILL_SETS = 3;
const BETWEEN_KILLS_MS = 4_000;

const TUNED = [
  '-o',
  'ServerAliveInterval=10',
  '-o',
  'ServerAliveCountMax=3',
  '-o',
  'ExitOnForwardFailure=yes',
];
const CONTESTANTS: readonly Contestant[] = [
  { name: 'exo', own: true, autossh: [] },
  { name: 'plain', own: false, autossh: ['-M', '0', '-N'] },
  { name: 'tuned', own: false, autossh: ['-M', '0', '-N', ...TUNED] },
];

/** A tunnel that works, and who watches it. */
interface Ready {
  readonly stage: Stage;
  readonly watch: HealthWatch;
  readonly port: number;
}

async function prepare(contestant: Contestant, fault: Fault): Promise<Ready> {
  const stage = new Stage(contestant);
  try {
    await stage.start();
    const port = fault.through === 'L' ? PORTS.forward : PORTS.near;
    const { prefix } = fault.through === 'L' ? stage.near : stage.far;
    const watch = await watchHealth(stage.lab.cleanup, [port], { prefix, everyMs: fault.watchEveryMs });
    await watch.allAnswer(SETUP_MS);
    return { stage, watch, port };
  } catch (error) {
    await stage.close();
    throw error;
  }
}

/** Makes a fault and waits until a health check comes back. */
async function strike({ stage, watch, port }: Ready, fault: Fault, round: number): Promise<Outcome> {
  const faultAtMs = Date.now();
  await fault.make(stage, round);
  const fromMs = Date.now();
  // After an outage that is over the tunnel may work before a single attempt has failed.
  if (fault.lasts) await watch.fails(port, fromMs, 30_000);
  const tookMs = await watch.recoveredMs(port, fromMs, LATE_MS).catch(() => undefined);
  const untilMs = tookMs === undefined ? Date.now() : fromMs + tookMs;
  fault.undo?.(stage);
  const said = await stage.said();
  const outcome = {
    tookMs,
    noticedMs: noticedAfterMs(said, faultAtMs),
    falseClaims: falseClaims(said, faultAtMs, untilMs),
  };
  report(stage.contestant, fault, outcome);
  return outcome;
}

type Outcomes = Map<Contestant, Outcome[]>;

/** Kills are a matter of milliseconds: the contestants take turns, kill by kill, on machines that stay. */
async function inTurns(fault: Fault, outcomes: Outcomes): Promise<void> {
  const all = await Promise.all(CONTESTANTS.map((contestant) => prepare(contestant, fault)));
  try {
    await sleep(SETTLE_MS);
    for (let n = 0; n < KILLS; n++) {
      for (const ready of all) {
        outcomes.get(ready.stage.contestant)!.push(await strike(ready, fault, 0));
        await sleep(BETWEEN_KILLS_MS);
      }
    }
  } finally {
    await Promise.all(all.map(({ stage }) => stage.close()));
  }
}

/**
 * Everything else waits for timers, so it may happen at the same time. Only the setups come one after the other: a machine
 * that starts them all at once takes longer than sshd is given.
 */
async function together(faults: ReadonlyArray<readonly [Fault, Outcomes]>, round: number): Promise<void> {
  const runs: Array<Promise<void>> = [];
  for (const [fault, outcomes] of faults) {
    for (const [contestant, list] of outcomes) {
      const ready = await prepare(contestant, fault);
      runs.push(
        sleep(SETTLE_MS)
          .then(() => strike(ready, fault, round))
          .then((outcome) => void list.push(outcome))
          .finally(() => ready.stage.close()),
      );
    }
  }
  await Promise.all(runs);
}

function report(contestant: Contestant, fault: Fault, outcome: Outcome): void {
  const took = outcome.tookMs === undefined ? `not within ${LATE_MS / 1_000} s` : `${outcome.tookMs} ms`;
  const noticed = outcome.noticedMs === undefined ? '' : `, noticed after ${outcome.noticedMs} ms`;
  console.log(`${fault.name.padEnd(8)} ${contestant.name.padEnd(6)} ${took}${noticed}`);
  for (const claim of outcome.falseClaims) console.log(`  FALSE: said up at ${claim}`);
}

async function run(): Promise<Result[]> {
  const faults = FAULTS.filter(({ name }) => name.includes(flags.only));
  const all = new Map(
    faults.map((fault) => [fault, new Map(CONTESTANTS.map((contestant) => [contestant, [] as Outcome[]]))]),
  );
  for (const [fault, outcomes] of all) {
    if (fault.name !== 'kill') continue;
    for (let set = 0; set < KILL_SETS; set++) await inTurns(fault, outcomes);
  }
  const others = [...all].filter(([{ name }]) => name !== 'kill');
  for (let round = 0; round < ROUNDS && others.length > 0; round++) await together(others, round);
  return faults.map((fault) => {
    const [exo, plain, tuned] = [...all.get(fault)!.values()] as [Outcome[], Outcome[], Outcome[]];
    return { fault, exo, plain, tuned };
  });
}

const missing =
  sshdUnavailable() ??
  labUnavailable() ??
  (spawnSync('autossh', ['-V']).error === undefined ? undefined : 'autossh is not installed');
if (missing === undefined) {
  const results = await run();
  process.exitCode = writeTable(results, {
    kills: KILLS * KILL_SETS,
    lateMs: LATE_MS,
    rounds: ROUNDS,
    write: flags.write && flags.only === '',
  })
    ? 0
    : 1;
} else {
  console.log(`skipped: the comparison with autossh (${missing})`);
}
