/**
 * Time to working again after a fault, ours beside autossh, in one run: the same machines, nodes and faults for each, the end
 * of the outage seen by a health client of its own through the forwarded port. Started by `npm run bench:tunnels`.
 */
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { labUnavailable } from '../../test/lab/lab.js';
import { watchHealth } from '../../test/support/health-watch.js';
import { sshdUnavailable } from '../../test/support/sshd.js';
import { FAULTS, type Fault } from './faults.js';
import { falseClaims, noticedAfterMs, type Outcome, type Result, writeTable } from './report.js';
import { type Contestant, PORTS, Stage } from './stage.js';

const { values: flags } = parseArgs({
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
/** Between two kills; autossh's first five are quick, and so are ours. */
const KILLS = 5;
const BETWEEN_KILLS_MS = 10_000;

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

/** One fault on one pair of machines, some times. */
async function measure(contestant: Contestant, fault: Fault, times: number): Promise<readonly Outcome[]> {
  const stage = new Stage(contestant);
  try {
    await stage.start();
    const port = fault.through === 'L' ? PORTS.forward : PORTS.near;
    const { prefix } = fault.through === 'L' ? stage.near : stage.far;
    const watch = await watchHealth(stage.lab.cleanup, [port], { prefix, everyMs: times > 1 ? 20 : 100 });
    await watch.allAnswer(SETUP_MS);
    await sleep(SETTLE_MS);
    const outcomes: Outcome[] = [];
    for (let n = 0; n < times; n++) {
      if (n > 0) await sleep(BETWEEN_KILLS_MS);
      const faultAtMs = Date.now();
      await fault.make(stage);
      const fromMs = Date.now();
      // After an outage that is over the tunnel may work before a single attempt has failed.
      if (fault.lasts) await watch.fails(port, fromMs, 30_000);
      const tookMs = await watch.recoveredMs(port, fromMs, LATE_MS).catch(() => undefined);
      const untilMs = tookMs === undefined ? Date.now() : fromMs + tookMs;
      fault.undo?.(stage);
      const said = await stage.said();
      outcomes.push({
        tookMs,
        noticedMs: noticedAfterMs(said, faultAtMs),
        falseClaims: falseClaims(said, faultAtMs, untilMs),
      });
      report(contestant, fault, outcomes.at(-1)!);
      if (tookMs === undefined) break;
    }
    return outcomes;
  } finally {
    await stage.close();
  }
}

function report(contestant: Contestant, fault: Fault, outcome: Outcome): void {
  const took = outcome.tookMs === undefined ? `not within ${LATE_MS / 1_000} s` : `${outcome.tookMs} ms`;
  const noticed = outcome.noticedMs === undefined ? '' : `, noticed after ${outcome.noticedMs} ms`;
  console.log(`${fault.name.padEnd(8)} ${contestant.name.padEnd(6)} ${took}${noticed}`);
  for (const claim of outcome.falseClaims) console.log(`  FALSE: said up at ${claim}`);
}

/** Kills are a matter of milliseconds, so the contestants take turns; the rest waits for timers, all at the same time. */
async function run(): Promise<Result[]> {
  const faults = FAULTS.filter(({ name }) => name.includes(flags.only));
  const all: Array<{ fault: Fault; contestant: Contestant; outcomes: Outcome[] }> = faults.flatMap((fault) =>
    CONTESTANTS.map((contestant) => ({ fault, contestant, outcomes: [] })),
  );
  for (const one of all.filter(({ fault }) => fault.name === 'kill')) {
    one.outcomes.push(...(await measure(one.contestant, one.fault, KILLS)));
  }
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(
      all
        .filter(({ fault }) => fault.name !== 'kill')
        .map(async ({ fault, contestant, outcomes }) => {
          outcomes.push(...(await measure(contestant, fault, 1)));
        }),
    );
  }
  return faults.map((fault) => {
    const of = (name: string) =>
      all.find((one) => one.fault === fault && one.contestant.name === name)!.outcomes;
    return { fault, exo: of('exo'), plain: of('plain'), tuned: of('tuned') };
  });
}

const missing =
  sshdUnavailable() ??
  labUnavailable() ??
  (spawnSync('autossh', ['-V']).error === undefined ? undefined : 'autossh is not installed');
if (missing === undefined) {
  const results = await run();
  process.exitCode = writeTable(results, {
    lateMs: LATE_MS,
    rounds: ROUNDS,
    write: flags.write && flags.only === '',
  })
    ? 0
    : 1;
} else {
  console.log(`skipped: the comparison with autossh (${missing})`);
}
