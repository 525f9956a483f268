/**
 * Everything that a tunnel can be pointed at by mistake, at once in one node, on both drivers: each gets its own reason, what
 * cannot get better is tried once, no key is shown to a host that is not the known one, and the tunnels beside it do not
 * notice any of it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { inTime } from '../support/eventually.js';
import { watchHealth } from '../support/health-watch.js';
import { steadyPort } from '../support/ports.js';
import { Cleanup } from '../support/processes.js';
import { makeKeyPair, sshdUnavailable, startSshd } from '../support/sshd.js';
import { type DescribedTunnel, DRIVERS, runTunnelNode, tunnelTo } from '../support/tunnel-node.js';
import { watchTunnels } from '../support/tunnel-watch.js';
import '../support/leaks.js';
import { promise } from '../support/promise.js';

const skip = sshdUnavailable() ?? false;
const TIMEOUT_MS = 30_000;

/** Listens on loopback until the test ends. */
async function serve(cleanup: Cleanup, server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  cleanup.add(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as net.AddressInfo).port;
}

interface Row {
  readonly code: string;
  /** failed: tried once and left alone. */
  readonly state: 'failed' | 'backoff';
  /** What a person is told to do. */
  readonly advice: RegExp;
  readonly tunnel: Omit<DescribedTunnel, 'driver' | 'forward'>;
}

test('each mistake in a tunnel has its own reason and costs the tunnels beside it nothing', {
  skip,
}, async (t) => {
  const cleanup = new Cleanup();
  try {
    const farPort = await steadyPort();
    await runTunnelNode(cleanup, { id: 'far', nodePort: farPort, apiPort: await steadyPort() });
    const sshd = await startSshd(cleanup);
    // One server per row, so that its log is the row's.
    const [unknown, changed, strict, stranger] = await Promise.all([
      startSshd(cleanup),
      startSshd(cleanup),
      startSshd(cleanup, { config: { AllowTcpForwarding: 'no' } }),
      startSshd(cleanup),
    ]);
    const empty = path.join(cleanup.folder(), 'known_hosts');
    writeFileSync(empty, '');
    changed.newHostKey();
    await changed.restart();
    const strange = path.join(cleanup.folder(), 'strange_key');
    makeKeyPair(strange);
    const silent = await serve(cleanup, net.createServer());
    const web = await serve(
      cleanup,
      http.createServer((_, response) => response.end('hello')),
    );

    const to = (port: number): DescribedTunnel => ({
      ...tunnelTo(sshd, {}),
      ssh: `${sshd.user}@127.0.0.1:${port}`,
    });
    const rows: Readonly<Record<string, Row>> = {
      'wrong-key': {
        code: 'auth-failed',
        state: 'failed',
        advice: /authorized_keys|ssh-copy-id/,
        tunnel: tunnelTo(stranger, { identity: strange }),
      },
      'unknown-host': {
        code: 'host-key-unknown',
        state: 'failed',
        advice: /ssh-keyscan|add this line to .*known_hosts/,
        tunnel: tunnelTo(unknown, { knownHosts: empty }),
      },
      'changed-host': {
        code: 'host-key-changed',
        state: 'failed',
        advice: /ssh-keygen .*-R/,
        tunnel: tunnelTo(changed, {}),
      },
      policy: {
        code: 'forward-refused',
        state: 'failed',
        advice: /AllowTcpForwarding|PermitOpen|policy/,
        tunnel: tunnelTo(strict, { reverse: ['0:localhost:9'] }),
      },
      nowhere: {
        code: 'resolve-failed',
        state: 'backoff',
        advice: /no-such-host\.invalid/,
        tunnel: { ...tunnelTo(sshd, {}), ssh: `${sshd.user}@no-such-host.invalid` },
      },
      silent: {
        code: 'server-silent',
        state: 'backoff',
        advice: /says nothing|silent|answer/,
        tunnel: to(silent),
      },
      web: { code: 'not-ssh', state: 'failed', advice: /ssh/, tunnel: to(web) },
    };

    const good = Object.fromEntries(
      await Promise.all(DRIVERS.map(async (driver) => [driver, await steadyPort()] as const)),
    );
    const bad = DRIVERS.flatMap((driver) =>
      Object.entries(rows).map(([name, row]) => ({ name: `${name}-${driver}`, driver, row })),
    );
    const apiPort = await steadyPort();
    const forward = (port: number) => [`${port}:localhost:${farPort}`];
    const near = await runTunnelNode(cleanup, {
      id: 'near',
      nodePort: await steadyPort(),
      apiPort,
      args: ['--tunnel-probe-interval', '1'],
      tunnels: {
        ...Object.fromEntries(
          DRIVERS.map((driver) => [driver, tunnelTo(sshd, { driver, forward: forward(good[driver]!) })]),
        ),
        ...Object.fromEntries(
          await Promise.all(
            bad.map(async ({ name, driver, row }) => [
              name,
              { ...row.tunnel, driver, forward: forward(await steadyPort()) },
            ]),
          ),
        ),
      },
    });
    const watch = watchTunnels(cleanup, apiPort);
    const health = watchHealth(cleanup, Object.values(good), { timeoutMs: inTime(1_000) });
    await watch.allUp(DRIVERS, TIMEOUT_MS);
    await health.allAnswer(TIMEOUT_MS);
    const goodFromMs = Date.now();
    // One may have started twice by now: where its ssh held small messages back, once more with a pty.
    const restarts = DRIVERS.map((driver) => watch.now(driver)?.restarts);

    const wrong: string[] = [];
    await Promise.all(
      bad.map(async ({ name, row }) => {
        try {
          // The next try may come so soon that a look finds it already: it has the code still, and says what it does.
          const isOver = ({ state }: { readonly state: string }) => ['failed', 'backoff'].includes(state);
          const { tunnel } = await watch.until(name, isOver, TIMEOUT_MS, 0);
          t.diagnostic(`${name} ${row.tunnel.ssh}: ${tunnel.state}, ${tunnel.reason}`);
          assert.equal(tunnel.code, row.code, tunnel.reason);
          assert.match(tunnel.reason, row.advice);
          if (row.state === 'failed') assert.equal(tunnel.state, 'failed', tunnel.reason);
        } catch (error) {
          wrong.push(`${name}: ${(error as Error).message}`);
        }
      }),
    );
    assert.deepEqual(wrong, [], near.child.output);

    // What is fatal was tried once by each driver; nothing was shown to a host that is not the known one.
    for (const [server, keys] of [
      [unknown, 0],
      [changed, 0],
      [stranger, DRIVERS.length],
      [strict, DRIVERS.length],
    ] as const) {
      assert.equal(server.connections(), DRIVERS.length, server.log());
      if (keys === 0) assert.equal(server.keysOffered(), 0, server.log());
      else assert.ok(server.keysOffered() >= keys, server.log());
    }
    for (const { name, row } of bad) {
      if (row.state === 'failed') assert.equal(watch.now(name)?.state, 'failed', name);
    }
    promise(
      t,
      'T5',
      `${bad.length} mistakes over ${DRIVERS.length} drivers: one attempt each where it is fatal, 0 keys offered to an unverified host`,
    );
    for (const driver of DRIVERS) {
      assert.deepEqual(
        health.outages(good[driver]!).filter(({ fromMs }) => fromMs > goodFromMs),
        [],
      );
      assert.deepEqual(watch.statesSince(driver, goodFromMs), ['up']);
      assert.equal(watch.now(driver)?.restarts, restarts[DRIVERS.indexOf(driver)]);
    }
  } finally {
    await cleanup.dispose();
  }
});
