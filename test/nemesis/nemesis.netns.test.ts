/**
 * Five real nodes, traffic all the time, and a nemesis every few seconds: no wrong answer, every request ends, nobody is called dead
 * for being slow, all views agree 15 s after each heal, and at the end nobody holds more than at the beginning.
 *
 * About 45 s in `npm test`; EXO_NEMESIS_MINUTES sets the time (5 in a campaign, 60 for the soak), EXO_NEMESIS_SEED replays, and
 * EXO_NEMESIS_LOGS names a folder that keeps the logs of all nodes.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { labUnavailable } from '../lab/lab.js';
import { eventually } from '../support/eventually.js';
import { promise } from '../support/promise.js';
import { TEST_SEED } from '../support/seed.js';
import { Faults } from './faults.js';
import { type Field, faketimeLibrary, hasKeys, type Machine, makeField } from './field.js';
import { type Level, levelOf, slopeBytesPer10Min } from './levels.js';
import { type FaultKind, GENTLE, inWords, type Round, rounds, survivorOf } from './schedule.js';
import { deathsSince, judgeLogs, judgeRequests, logPositions } from './verdict.js';

const skip = labUnavailable(['nft', 'sshd']) ?? false;
const MIB = 1024 * 1024;
const BRIEF_MINUTES = 30 / 60;
const minutes = Number(process.env['EXO_NEMESIS_MINUTES'] ?? BRIEF_MINUTES);
const brief = minutes <= 1;
const seed = Number(process.env['EXO_NEMESIS_SEED'] ?? TEST_SEED % 1e6);

const START_TIMEOUT_MS = 60_000;
const CONVERGED_MS_MAX = 15_000;
const PROBE_MS_MAX = 15_000;
const SETTLE_TIMEOUT_MS = 20_000;
/** A handle more or less is a timer, a file that is just being read, a peer that dials. */
const HANDLES_SLACK = 4;
/** The heap takes steps; the slope is looked at where the run is long enough for one. */
const GROWTH_BYTES_MAX = 48 * MIB;
const SLOPE_BYTES_MAX = MIB;
const SLOPE_FROM_MINUTES = 30;
const LOGS_EVERY_ROUNDS = 20;
/** Ids and edges of six pairs on the LAN and two through tunnels. */
const EDGES = 2 * (6 + 2);

/** Every node shows the same view, with everybody in it, and doubts none of its peers; looked at after `sinceMs`. */
function agreed(machines: readonly Machine[], sinceMs: number): boolean {
  const [first] = machines;
  const view = first?.view?.view;
  if (view === undefined) return false;
  const [ids, edges] = view.split(' ');
  if (ids?.split(',').length !== machines.length || edges?.split(',').length !== EDGES) return false;
  return machines.every(({ view: seen }) => {
    return seen!.startedAtMs >= sinceMs && seen!.view === view && seen!.unsure.length === 0;
  });
}

function whatTheyShow(machines: readonly Machine[]): string {
  const now = Date.now();
  return machines
    .map(
      ({ id, view }) =>
        `${id} ${view === undefined ? 'never' : `${now - view.startedAtMs} ms ago`}: ${view?.view} ${view?.unsure.join(', ')}`,
    )
    .join('\n');
}

async function untilAgreed(
  machines: readonly Machine[],
  sinceMs: number,
  timeoutMs: number,
): Promise<number> {
  const { value } = await eventually(
    { timeoutMs, everyMs: 100, what: 'all views agree', onLate: () => whatTheyShow(machines) },
    () => agreed(machines, sinceMs) && Date.now() - sinceMs,
  );
  return value;
}

/** Every node answers a chat: at the latest a moment after all is well, when the rings have settled. */
async function untilProbed(machines: readonly Machine[]): Promise<void> {
  const waiting = new Map(machines.map((machine) => [machine, 0]));
  await eventually(
    {
      timeoutMs: PROBE_MS_MAX,
      everyMs: 100,
      what: 'every node answers when all is well',
      onLate: () => [...waiting.keys()].map(({ id, node }) => `${id}\n${node.output}`).join('\n'),
    },
    () => {
      for (const [machine, sinceMs] of waiting) {
        const last = machine.requests.findLast(
          ({ kind, startedAtMs }) => kind === 'probe' && startedAtMs >= sinceMs,
        );
        if (last?.outcome === 'answered' && sinceMs > 0) waiting.delete(machine);
        else if (last !== undefined || sinceMs === 0) {
          waiting.set(machine, Date.now());
          machine.agent.tell('probe');
        }
      }
      return waiting.size === 0;
    },
  );
}

/** Traffic rests, and what a node holds has come down to `most`, where that is given; the levels then. */
async function quietLevels(
  machines: readonly Machine[],
  most?: ReadonlyMap<Machine, Level>,
): Promise<Map<Machine, Level>> {
  for (const { agent } of machines) agent.tell('pause');
  await delay(3_000);
  const look = () => new Map(machines.map((machine) => [machine, levelOf(machine.node.pid)!]));
  const level = (machine: Machine, now: Level) => {
    const then = most?.get(machine);
    if (then === undefined) return true;
    return now.handles <= then.handles + HANDLES_SLACK && now.children <= then.children;
  };
  let levels = look();
  await eventually({ timeoutMs: SETTLE_TIMEOUT_MS, what: 'handles are level' }, () => {
    levels = look();
    return [...levels].every(([machine, now]) => level(machine, now));
  }).catch(() => undefined);
  for (const { agent } of machines) agent.tell('resume');
  return levels;
}

/** The last lines of a node's log, without those that every request writes. */
function tellingLines({ node }: Machine): string {
  const lines = node.stderr
    .split('\n')
    .filter((line) => !/api-request|work-refused|handler-failed/.test(line));
  return lines.slice(-25).join('\n');
}

function keepLogs(machines: readonly Machine[]): void {
  const folder = process.env['EXO_NEMESIS_LOGS'];
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  for (const { id, lives, requests } of machines) {
    lives.forEach((life, at) => {
      writeFileSync(path.join(folder, `${id}-${at + 1}.log`), life.stderr);
    });
    writeFileSync(
      path.join(folder, `${id}-requests.json`),
      requests.map((each) => JSON.stringify(each)).join('\n'),
    );
  }
}

/** What one run measured. */
interface Measured {
  readonly counts: Map<FaultKind, number>;
  readonly convergedMs: number[];
  gentleRounds: number;
}

async function oneRound(t: TestContext, field: Field, round: Round, measured: Measured): Promise<void> {
  const { machines } = field;
  const positions = logPositions(machines);
  t.diagnostic(`${new Date().toISOString()} ${round.faults.map(inWords).join('; ')}`);
  const faults = new Faults(field);
  const results = await Promise.allSettled(round.faults.map((fault) => faults.run(fault)));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  const tookMs = await untilAgreed(machines, Date.now(), CONVERGED_MS_MAX);
  measured.convergedMs.push(tookMs);
  if (round.faults.every(({ kind }) => GENTLE.has(kind))) {
    measured.gentleRounds += 1;
    assert.deepEqual(deathsSince(machines, positions), [], 'nobody is dead who is only slow');
  }
  await untilProbed(machines);
  for (const { kind } of round.faults) measured.counts.set(kind, (measured.counts.get(kind) ?? 0) + 1);
  await delay(round.restMs);
}

test(`X1 ${brief ? 'less than a minute' : `${minutes} minutes`} of faults: right answers, every request ends, views agree, nothing leaks`, {
  skip,
  timeout: (minutes + 4) * 60_000,
}, async (t) => {
  const kinds: FaultKind[] = ['kill', 'stop', 'cut', 'one-way', 'slow', 'sshd'];
  if (!brief) kinds.push('freeze');
  if (faketimeLibrary() !== undefined) kinds.push('clock');
  else t.diagnostic('libfaketime is not installed: no clock jumps');
  t.diagnostic(`EXO_NEMESIS_SEED=${seed} EXO_NEMESIS_MINUTES=${minutes.toFixed(2)} replays this`);

  const keys = hasKeys();
  if (keys) kinds.push('rotate');
  const field = await makeField({ keys });
  const { machines } = field;
  try {
    await untilAgreed(machines, Date.now(), START_TIMEOUT_MS);
    for (const { agent } of machines) agent.tell('resume');
    await untilProbed(machines);
    await delay(brief ? 1_000 : 10_000);
    const before = await quietLevels(machines);

    const survivor = machines[survivorOf(seed)]!;
    const samples: Level[] = [];
    const measured: Measured = { counts: new Map(), convergedMs: [], gentleRounds: 0 };
    const startedAtMs = Date.now();
    const endAtMs = startedAtMs + minutes * 60_000;
    for (const round of rounds({ seed, kinds, brief })) {
      if (Date.now() >= endAtMs) break;
      await oneRound(t, field, round, measured);
      samples.push(levelOf(survivor.node.pid)!);
      // What must not be in a log is no reason to go on for an hour.
      if (samples.length % LOGS_EVERY_ROUNDS === 0) assert.deepEqual(judgeLogs(machines).slice(0, 20), []);
    }

    const after = await quietLevels(machines, before);
    const { tally, faults } = judgeRequests(machines);
    const errors = [...tally.errors].map(([code, count]) => `${code} ${count}`).join(', ');
    t.diagnostic(
      `${tally.requests} requests: ${tally.answered} right, ${errors || 'no error'}, ${tally.broken} broken by a kill; the longest took ${tally.longestMs} ms`,
    );
    const grownBytes = after.get(survivor)!.residentBytes - before.get(survivor)!.residentBytes;
    const warm = samples.slice(Math.floor(samples.length * 0.4));
    const slope = slopeBytesPer10Min(warm);
    const mib = (bytes: number) => `${(bytes / MIB).toFixed(1)} MiB`;
    const memory = `memory of ${survivor.id} ${mib(before.get(survivor)!.residentBytes)} + ${mib(grownBytes)}`;
    t.diagnostic(`${memory}, ${mib(slope)} in 10 minutes`);
    assert.deepEqual([...faults, ...judgeLogs(machines)].slice(0, 20), []);
    for (const machine of machines) {
      const [then, now] = [before.get(machine)!, after.get(machine)!];
      const text = `${machine.id}: handles ${then.handles} → ${now.handles}, children ${then.children} → ${now.children}`;
      t.diagnostic(text);
      assert.ok(now.handles <= then.handles + HANDLES_SLACK && now.children <= then.children, text);
    }
    assert.ok(grownBytes <= GROWTH_BYTES_MAX, memory);
    if (minutes >= SLOPE_FROM_MINUTES) assert.ok(slope <= SLOPE_BYTES_MAX, `${mib(slope)} in 10 minutes`);
    const worst = Math.max(...measured.convergedMs);
    const done = [...measured.counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
    promise(
      t,
      'X1',
      `${((Date.now() - startedAtMs) / 60_000).toFixed(1)} min, seed ${seed} (${done}): ${tally.requests} requests, ${tally.answered} right, 0 wrong, 0 without an end (≤ ${(tally.longestMs / 1_000).toFixed(1)} s); views equal ≤ ${(worst / 1_000).toFixed(1)} s after a heal; 0 deaths in ${measured.gentleRounds} rounds of slowness; ${memory}${minutes >= SLOPE_FROM_MINUTES ? `, ${mib(slope)} in 10 min` : ''}; handles level`,
    );
  } catch (error) {
    for (const machine of machines) t.diagnostic(`--- ${machine.id}\n${tellingLines(machine)}`);
    throw error;
  } finally {
    keepLogs(machines);
    await field.close();
  }
});
