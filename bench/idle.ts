/**
 * What a node costs that does nothing but know 100 peers: processor time and memory of one real process and its children, the built
 * `exo` with its HTTP API and the engine `dummy` (which has no child), over 30 s. Its peers are nodes in another process, joined to it
 * over TCP and to each other in memory, so that it holds the whole topology of 101 machines. Read from /proc, so Linux only.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { writePeersFile } from '../test/support/peers-file.js';
import { freePorts } from '../test/support/ports.js';
import { Cleanup, ROOT, residentBytes, runExo } from '../test/support/processes.js';
import type { Row } from './table.js';

const PEERS = fileURLToPath(new URL('./idle/peers.ts', import.meta.url));
const COUNT = 100;
const OVER_S = 30;
/** After all have joined: what a join costs is another row, and what it left behind is collected in the first minute. */
const SETTLE_MS = 60_000;
const JOIN_TIMEOUT_MS = 120_000;
const CORE_SHARE_MAX = 0.01;
const RESIDENT_MIB_MAX = 120;
/** Starting costs seconds of compiling, which the node alone must not be charged with; given up after the longer time. */
const QUIET_SHARE = 0.01;
const QUIET_TIMEOUT_MS = 60_000;
const MIB = 1024 * 1024;

/** A process and all that it started and that still runs. */
function withChildren(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(withChildren)];
}

/** Seconds of processor time of a process, its children and all their threads: to the nanosecond, where `stat` counts in 10 ms. */
function processorSeconds(pid: number): number {
  let nanoseconds = 0;
  for (const each of withChildren(pid)) {
    for (const thread of readdirSync(`/proc/${each}/task`)) {
      nanoseconds += Number(readFileSync(`/proc/${each}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    }
  }
  return nanoseconds / 1e9;
}

/** Resolves when a second cost next to nothing: the start is over. */
async function untilQuiet(pid: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < QUIET_TIMEOUT_MS; waitedMs += 1_000) {
    const { core } = await measure(pid, 1);
    if (core <= QUIET_SHARE) return;
  }
}

/** Share of one core over a time, and the most memory that was seen. */
async function measure(pid: number, seconds: number): Promise<{ core: number; residentMib: number }> {
  const startedAtMs = performance.now();
  const before = processorSeconds(pid);
  let resident = 0;
  for (let second = 0; second < seconds; second += 1) {
    await delay(1_000);
    const now = withChildren(pid).reduce((bytes, each) => bytes + residentBytes(each), 0);
    resident = Math.max(resident, now);
  }
  const tookS = (performance.now() - startedAtMs) / 1_000;
  return { core: (processorSeconds(pid) - before) / tookS, residentMib: resident / MIB };
}

/** Two rows: processor and memory. The same node without a peer is printed beside them. */
export async function idleRows(quick: boolean): Promise<Row[]> {
  if (process.platform !== 'linux') {
    process.stderr.write('idle: skipped, it is read from /proc (Linux)\n');
    return [];
  }
  const { status } = spawnSync(process.execPath, [path.join(ROOT, 'tools/build.mjs'), '--if-needed']);
  if (status !== 0) throw new Error('the build failed: npm run build');
  const cleanup = new Cleanup();
  try {
    const [nodePort, apiPort] = (await freePorts(2)) as [number, number];
    const peersFile = writePeersFile(cleanup.folder(), 'peers.json', {});
    const args = ['--discovery-module', 'manual', '--discovery-config-path', peersFile];
    // As a person runs it: with the log at its usual level.
    const child = { env: { DEBUG: '' } };
    const node = await runExo(cleanup, { id: 'idle', nodePort, apiPort, args, child });
    const seconds = quick ? OVER_S / 3 : OVER_S;
    await untilQuiet(node.child.pid);
    const alone = await measure(node.child.pid, quick ? 3 : 10);
    const companions = cleanup.child(
      process.execPath,
      ['--import', 'tsx', PEERS, String(COUNT), '127.0.0.1', String(nodePort)],
      { name: 'peers', cwd: ROOT },
    );
    await companions.sees(/^ready$/m, JOIN_TIMEOUT_MS);
    await delay(quick ? SETTLE_MS / 2 : SETTLE_MS);
    const { core, residentMib } = await measure(node.child.pid, seconds);
    const view = (await (await fetch(`${node.api}/topology`)).json()) as { nodes: object };
    const known = Object.keys(view.nodes).length;
    if (known !== COUNT + 1) throw new Error(`the node knew ${known} machines at the end`);
    const name = `idle with ${COUNT} peers over ${seconds} s`;
    return [
      {
        name: `${name}, processor`,
        unit: '% of one core',
        ours: core * 100,
        ceiling: alone.core * 100,
        against: 'the same node alone',
        ratio: core / Math.max(alone.core, 0.0001),
        goal: `≤ ${CORE_SHARE_MAX * 100} %`,
        met: core <= CORE_SHARE_MAX,
      },
      {
        name: `${name}, resident`,
        unit: 'MiB',
        ours: residentMib,
        ceiling: alone.residentMib,
        against: 'the same node alone',
        ratio: residentMib / alone.residentMib,
        goal: `≤ ${RESIDENT_MIB_MAX} MiB`,
        met: residentMib <= RESIDENT_MIB_MAX,
      },
    ];
  } finally {
    await cleanup.dispose();
  }
}
