/**
 * Tunnels and the faults that end them, on both drivers, with real ssh servers on loopback. Every fault is made outside the
 * program; that a tunnel works again is said by a client that asks through its ports. T1… are the tests of those names in
 * the list of figures.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, inTime } from '../support/eventually.js';
import { getJson } from '../support/http.js';
import { look, runs, type SeenProcess, signal } from '../support/process-tree.js';
import { repeats } from '../support/repeats.js';
import { sshdUnavailable } from '../support/sshd.js';
import { takePort } from '../support/stranger.js';
import { DRIVERS, type DriverName, helpersOf, sshOf } from '../support/tunnel-node.js';
import { bothBackMs, inPair, p95, type TunnelPair } from '../support/tunnel-pair.js';
import '../support/leaks.js';
import { promise } from '../support/promise.js';

const skip = sshdUnavailable() ?? false;
const TIMEOUT_MS = 30_000;
/** How often and how long probes are made where a test must not wait for the usual ones. */
const QUICK = ['--tunnel-probe-interval', '1', '--tunnel-probe-timeout', '1'];

const ms = (values: readonly number[]) => `${values.map((value) => value.toFixed(0)).join(', ')} ms`;

/** Ends what carries a tunnel, from outside: the ssh child; ssh2 has none, there the server's end of it. */
async function killSession({ tunnels, watch }: TunnelPair, driver: DriverName): Promise<number> {
  const { sshd } = tunnels[driver];
  const pids = driver === 'openssh' ? [watch.now(driver)?.pid ?? 0] : sshd.pidsOfSessions();
  const seen = pids.map((pid) => look(pid)) as SeenProcess[];
  assert.ok(seen.length > 0 && !seen.includes(undefined as never), `${driver}: there is something to kill`);
  for (const each of seen) signal(each, 'SIGKILL');
  await eventually({ timeoutMs: TIMEOUT_MS, everyMs: 1, what: 'killed' }, () => !seen.some(runs));
  return Date.now();
}

/** From `sinceMs` on: not reported up before `untilMs`, once it was seen not to be. */
function assertNotUp({ watch }: TunnelPair, driver: DriverName, sinceMs: number, untilMs: number): void {
  const seen = watch.since(driver, sinceMs).filter(({ atMs }) => atMs < untilMs);
  const down = seen.findIndex(({ tunnel }) => tunnel?.state !== 'up');
  assert.ok(down >= 0, `${driver}: never seen down`);
  for (const { tunnel, atMs } of seen.slice(down)) {
    assert.notEqual(
      tunnel?.state,
      'up',
      `${driver}: up ${untilMs - atMs} ms before it can be: ${tunnel?.reason}`,
    );
  }
}

test('T1 a killed session is up again within 3 s', { skip }, (t) =>
  inPair({}, async (pair) => {
    const times: Record<DriverName, number[]> = { openssh: [], ssh2: [] };
    await Promise.all(
      DRIVERS.map(async (driver) => {
        for (let round = 0; round < repeats(3, 20); round++) {
          const atMs = await killSession(pair, driver);
          await pair.health.fails(pair.tunnels[driver].local, atMs, TIMEOUT_MS);
          times[driver].push(await bothBackMs(pair, pair.tunnels[driver], atMs, TIMEOUT_MS));
          await pair.watch.until(driver, ({ state }) => state === 'up', TIMEOUT_MS);
        }
      }),
    );
    for (const driver of DRIVERS) {
      t.diagnostic(`${driver}: ${ms(times[driver])}`);
      assert.ok(p95(times[driver]) <= inTime(3_000), `${driver}: ${ms(times[driver])}`);
      promise(t, 'T1', `${driver}: up again ${p95(times[driver])} ms p95 of ${times[driver].length}`);
    }
  }),
);

test('T3 an sshd that was gone is found again within 5 s of its return', { skip }, (t) =>
  inPair({ args: QUICK }, async (pair) => {
    const sshds = DRIVERS.map((driver) => pair.tunnels[driver].sshd);
    const downAtMs = Date.now();
    await Promise.all(sshds.map((sshd) => sshd.stop()));
    await delay(repeats(5_000, 60_000));
    const backAtMs = Date.now();
    await Promise.all(sshds.map((sshd) => sshd.start()));
    for (const driver of DRIVERS) {
      const tookMs = await bothBackMs(pair, pair.tunnels[driver], backAtMs, 70_000);
      assertNotUp(pair, driver, downAtMs, backAtMs);
      assert.ok(tookMs <= inTime(5_000), `${driver}: ${tookMs} ms`);
      const { tunnel } = await pair.watch.until(driver, ({ state }) => state === 'up', TIMEOUT_MS);
      assert.equal(tunnel.code, null);
      promise(t, 'T3', `${driver}: down ${repeats(5, 60)} s, up ${tookMs} ms after its return`);
    }
  }),
);

test(
  'T4 a port of -R that another program has taken is told, never called up, and used within 5 s of its release',
  {
    skip,
  },
  (t) =>
    inPair({ args: QUICK }, async (pair) => {
      const strangers: Array<() => Promise<void>> = [];
      try {
        const downAtMs = Date.now();
        for (const driver of DRIVERS) {
          const { sshd, remote } = pair.tunnels[driver];
          await sshd.stop();
          strangers.push(await takePort(remote));
          await sshd.start();
        }
        const busy = DRIVERS.map((driver) =>
          pair.watch.until(driver, ({ code }) => code === 'remote-port-busy', TIMEOUT_MS, downAtMs),
        );
        for (const { tunnel } of await Promise.all(busy)) assert.match(tunnel.reason, /-R \d+:localhost:\d+/);
        await delay(3_000);
        const releasedAtMs = Date.now();
        await Promise.all(strangers.splice(0).map((release) => release()));
        for (const driver of DRIVERS) {
          const tookMs = await bothBackMs(pair, pair.tunnels[driver], releasedAtMs, TIMEOUT_MS);
          assertNotUp(pair, driver, downAtMs, releasedAtMs);
          assert.ok(tookMs <= inTime(5_000), `${driver}: ${tookMs} ms`);
          promise(t, 'T4', `${driver}: up ${tookMs} ms after the release, never before`);
        }
      } finally {
        await Promise.all(strangers.map((release) => release()));
      }
    }),
);

/** Sockets and files that the node keeps for sessions that stand. */
function sessionFiles(home: string): string[] {
  return readdirSync(path.join(home, 'tunnels'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isSocket())
    .map((entry) => entry.name);
}

for (const { how, name, limitMs } of [
  { how: 'a stop', name: 'SIGTERM', limitMs: 2_000 },
  { how: 'SIGKILL', name: 'SIGKILL', limitMs: 40_000 },
] as const) {
  test(`T10 ${how} of the node leaves no ssh, no listener and no socket file`, { skip }, (t) =>
    inPair({}, async (pair) => {
      const { near, tunnels } = pair;
      const helpers = helpersOf(near.home, near.child.pid);
      assert.ok(sshOf(near.home, near.child.pid).length >= 1, 'openssh has a child');
      near.child.kill(name);
      const exit = await near.child.closed;
      if (name === 'SIGTERM') assert.equal(exit, 0);
      const startedAt = Date.now();
      await eventually({ timeoutMs: limitMs, everyMs: 5, what: 'all helpers end' }, () => {
        const left = [...helpers.filter(runs), ...helpersOf(near.home, near.child.pid)];
        return left.length === 0;
      });
      const endedMs = Date.now() - startedAt;
      assert.deepEqual(sessionFiles(near.home), []);
      for (const { local, remote, sshd } of Object.values(tunnels)) {
        await eventually({ timeoutMs: limitMs, what: 'the sessions end' }, () => {
          return sshd.pidsOfSessions().length === 0;
        });
        for (const port of [local, remote]) {
          const socket = net.connect({ port, host: '127.0.0.1' });
          const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
          assert.equal(error.code, 'ECONNREFUSED');
        }
      }
      promise(t, 'T10', `${how}: the last of ${helpers.length} helpers ended ${endedMs} ms after the node`);
    }),
  );
}

test('a node that slept while its sessions died is back within 2 s of its wake', { skip }, (t) =>
  inPair({ reverse: false, args: ['--tunnel-probe-interval', '0.3'] }, async (pair) => {
    const { near, tunnels } = pair;
    // How long an answer may take after a wake depends on how long it usually takes: not as at the first time.
    await eventually({ timeoutMs: TIMEOUT_MS, what: 'the usual round trip is known' }, async () => {
      const { tunnels: now } = await getJson<{ tunnels: Array<{ rtt_ms: number | null }> }>(
        `${near.api}/v1/tunnels`,
      );
      return now.every(({ rtt_ms }) => rtt_ms !== null && rtt_ms <= 150);
    });
    pair.health.pause();
    near.child.kill('SIGSTOP');
    // Nothing tells the node about it: the connections stay open and say nothing more.
    for (const driver of DRIVERS) tunnels[driver].sshd.freezeSessions();
    await delay(repeats(7_000, 60_000));
    const frozen = DRIVERS.flatMap((driver) => tunnels[driver].sshd.pidsOfSessions());
    assert.ok(frozen.every((pid) => look(pid)?.state === 'T'));
    const wokeAtMs = Date.now();
    near.child.kill('SIGCONT');
    pair.health.resume();
    for (const driver of DRIVERS) {
      const tookMs = await pair.health.recoveredMs(tunnels[driver].local, wokeAtMs, TIMEOUT_MS);
      t.diagnostic(`${driver}: ${tookMs} ms after the wake`);
      assert.ok(tookMs <= inTime(2_000), `${driver}: ${tookMs} ms`);
    }
  }),
);
