/**
 * Fault after fault on twenty tunnels at once, both drivers, real ssh servers on loopback: every tunnel comes back, nothing
 * is left behind, and none is called up while a client that asks through its port gets no answer. The seed is printed;
 * EXO_CYCLES_SEED replays the choice of faults.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import test from 'node:test';
import { randomInt, seededRandom } from '../../src/shared/index.js';
import { eventually, inTime } from '../support/eventually.js';
import { Cleanup } from '../support/processes.js';
import { repeats } from '../support/repeats.js';
import { sshdUnavailable } from '../support/sshd.js';
import {
  allBack,
  type Field,
  type FieldTunnel,
  makeField,
  NODE_FAULTS,
  stateFolder,
  TUNNEL_FAULTS,
} from '../support/tunnel-field.js';
import { handlesOf, helpersOf, sshOf } from '../support/tunnel-node.js';
import '../support/leaks.js';
import { TEST_SEED } from '../support/seed.js';

const skip = sshdUnavailable() ?? false;
const TUNNELS = 20;
/** Faults of tunnels in a block: so many rounds, in each of which every tunnel has one, all at once. */
const ROUNDS = 2;
/** Faults of the nodes that follow in a block, fifty with those of the tunnels; those in one line at once. */
const NODE_FAULTS_OF_BLOCK = [
  ['restart', 'farRestart'],
  ['kill9', 'farRestart'],
  ['farRestart'],
  ['kill9', 'farRestart'],
  ['restart', 'farRestart'],
  ['farRestart'],
] as const;
const PROBE_INTERVAL_MS = 500;
const PROBE_TIMEOUT_MS = 1_000;
const HEALTH_EVERY_MS = 200;
/** What both observers may be late: the gap between two of their looks. How late the machine itself was is measured. */
const SLACK_MS = inTime(600);
const SETTLE_MS = 15_000;

/** What the near node has running and open while all tunnels are up and nobody uses them. */
function inventory({ near, temp }: Field) {
  const own = [near.child.pid, ...helpersOf(near.home, near.child.pid).map(({ pid }) => pid)];
  const listeners = execFileSync('ss', ['-Hltnp'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => own.some((pid) => line.includes(`pid=${pid},`)))
    .map((line) => line.split(/\s+/)[3] ?? '');
  const handles = handlesOf(near.child.pid);
  return {
    ssh: sshOf(near.home, near.child.pid).length,
    helpers: own.length,
    listeners: listeners.sort(),
    // Names of sessions are new each time. What is known of the far ends is kept, one file for a tunnel.
    files: filesOf(near.home)
      .filter((name) => !/\bfar\/\w+\.json$/.test(name))
      .map((name) => name.replace(/ssh-[0-9a-f]{8}/, 'ssh-*'))
      .sort(),
    temp: filesOf(temp),
    handles: Object.fromEntries([...handles].filter(([kind]) => /^(socket|pipe|\/)/.test(kind))),
  };
}

const filesOf = (folder: string) => readdirSync(folder, { recursive: true, encoding: 'utf8' });

/** Every TCP connection and unix socket of a process, for people. */
function connectionsOf(pid: number | undefined): string {
  const all = execFileSync('ss', ['-Htxanp'], { encoding: 'utf8', maxBuffer: 2 ** 27 });
  return all
    .split('\n')
    .filter((line) => line.includes(`pid=${pid},`))
    .join('\n');
}

/** Waits until there is no more of anything than before. */
async function assertNoMore(field: Field, before: ReturnType<typeof inventory>): Promise<void> {
  let now = before;
  const fits = () => {
    now = inventory(field);
    assert.deepEqual({ ...now, handles: {} }, { ...before, handles: {} });
    for (const [kind, number] of Object.entries(now.handles)) {
      // What is read now and then (a file of /proc, say) is no leak.
      if (!kind.startsWith('/')) assert.ok(number <= (before.handles[kind] ?? 0), `${kind}: ${number}`);
    }
    return true;
  };
  const onLate = () => `${JSON.stringify({ before, now }, null, 1)}\n${connectionsOf(field.near.child.pid)}`;
  await eventually({ timeoutMs: SETTLE_MS, everyMs: 200, what: 'no more than before', onLate }, fits);
}

/** The longest times, in milliseconds, for which a tunnel was called up while no answer came through it. */
function lies({ watch, health }: Field, { name, local }: FieldTunnel): number[] {
  const seen = watch.since(name);
  const now = Date.now();
  return health.outages(local).flatMap(({ fromMs, toMs = now }) =>
    seen.flatMap(({ atMs, tunnel }, i) => {
      if (tunnel?.state !== 'up') return [];
      const untilMs = seen.slice(i + 1).find((next) => next.tunnel?.state !== 'up')?.askedAtMs ?? now;
      return [Math.min(untilMs, toMs) - Math.max(atMs, fromMs)];
    }),
  );
}

test('50 faults on 20 tunnels (1,000 in a campaign): all come back, nothing is left, none is called up while it is not', {
  skip,
}, async (t) => {
  const seed = Number(process.env['EXO_CYCLES_SEED'] ?? TEST_SEED);
  t.diagnostic(`EXO_CYCLES_SEED=${seed}`);
  const random = seededRandom(seed);
  const names = Object.keys(TUNNEL_FAULTS);
  const cleanup = new Cleanup();
  try {
    const args = [
      ...['--tunnel-probe-interval', String(PROBE_INTERVAL_MS / 1000)],
      ...['--tunnel-probe-timeout', String(PROBE_TIMEOUT_MS / 1000)],
    ];
    const field = await makeField(cleanup, { tunnels: TUNNELS, args, healthEveryMs: HEALTH_EVERY_MS });
    const counts = new Map<string, number>();
    const tookMs = new Map<string, number[]>();
    let worstMs = 0;
    // A machine that is late with a timer here is as late with those of the node.
    const lateness = monitorEventLoopDelay({ resolution: 10 });
    lateness.enable();
    const after = async (kinds: readonly string[], startedAt: number) => {
      await allBack(field);
      for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
      const label = kinds.length === TUNNELS ? 'a round' : kinds.join(' and ');
      tookMs.set(label, [...(tookMs.get(label) ?? []), performance.now() - startedAt]);
      const lateMs = Math.ceil(lateness.max / 1e6);
      const limitMs = PROBE_INTERVAL_MS + PROBE_TIMEOUT_MS + SLACK_MS + lateMs;
      for (const tunnel of field.tunnels) {
        for (const lie of lies(field, tunnel)) {
          worstMs = Math.max(worstMs, lie);
          assert.ok(
            lie <= limitMs,
            `${tunnel.name} was called up for ${lie} ms without an answer (timers were up to ${lateMs} ms late)`,
          );
        }
      }
      lateness.reset();
      field.watch.forget(Date.now() - 60_000);
    };

    for (let block = 0; block < repeats(1, 20); block++) {
      const before = inventory(field);
      for (let round = 0; round < ROUNDS; round++) {
        const kinds = field.tunnels.map(() => names[randomInt(random, 0, names.length - 1)]!);
        const startedAt = performance.now();
        await Promise.all(field.tunnels.map((tunnel, i) => TUNNEL_FAULTS[kinds[i]!]!(field, tunnel)));
        await after(kinds, startedAt);
      }
      await assertNoMore(field, before);
      for (const kinds of NODE_FAULTS_OF_BLOCK) {
        const startedAt = performance.now();
        await Promise.all(kinds.map((kind) => NODE_FAULTS[kind]!(field)));
        await after(kinds, startedAt);
      }
      await assertNoMore(field, before);
    }

    const { near, tunnels, temp } = field;
    near.child.kill('SIGTERM');
    assert.equal(await near.child.closed, 0);
    assert.deepEqual(helpersOf(near.home, near.child.pid), []);
    assert.deepEqual(filesOf(temp), []);
    assert.deepEqual(
      filesOf(stateFolder(near.home)).filter((name) => name.includes('ssh-')),
      [],
    );
    await eventually({ timeoutMs: SETTLE_MS, what: 'all sessions end' }, () => {
      return tunnels.every(({ sshd }) => sshd.pidsOfSessions().length === 0);
    });
    for (const port of tunnels.flatMap(({ local, remote }) => [local, remote])) await assertFree(port);

    t.diagnostic(`${[...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
    for (const [label, values] of tookMs) {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      t.diagnostic(
        `${label}: all back after ${mean.toFixed(0)} ms on average, ${Math.max(...values).toFixed(0)} at most`,
      );
    }
    t.diagnostic(`called up without an answer for ${worstMs} ms at most`);
  } finally {
    await cleanup.dispose();
  }
});

async function assertFree(port: number): Promise<void> {
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' }, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', resolve);
  });
  assert.equal(error?.code, 'ECONNREFUSED', `port ${port}`);
}
