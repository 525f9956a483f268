/** Many tunnels of one node: in a row, and side by side while one of them is changed. Real ssh servers on loopback. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import test from 'node:test';
import { eventually, inTime } from '../support/eventually.js';
import { watchHealth } from '../support/health-watch.js';
import { steadyPort } from '../support/ports.js';
import { Cleanup } from '../support/processes.js';
import { repeats } from '../support/repeats.js';
import { sshdUnavailable, startSshd } from '../support/sshd.js';
import { DRIVERS, runTunnelNode, tunnelTo, writePeers } from '../support/tunnel-node.js';
import { type SeenTunnel, watchTunnels } from '../support/tunnel-watch.js';
import '../support/leaks.js';
import { promise } from '../support/promise.js';

const skip = sshdUnavailable() ?? false;
const TIMEOUT_MS = 60_000;
const MIB = 1024 * 1024;
const TOTAL_BYTES = 100 * MIB;
const HOPS = 9;
/** Of the rate of one hop of ssh itself, divided by the hops: what nine hops together must reach. */
const RATE_SHARE = 0.6;

async function withCleanup(work: (cleanup: Cleanup) => Promise<void>): Promise<void> {
  const cleanup = new Cleanup();
  try {
    await work(cleanup);
  } finally {
    await cleanup.dispose();
  }
}

/** Bytes that do not repeat within a packet. */
const BLOCK = Buffer.alloc(MIB, createHash('sha512').update('block').digest());
const DIGEST = (() => {
  const hash = createHash('sha256');
  for (let sent = 0; sent < TOTAL_BYTES; sent += MIB) hash.update(BLOCK);
  return hash.digest('hex');
})();

/** Takes what comes until the sender has ended, and answers with its SHA-256. */
async function startSink(cleanup: Cleanup): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256');
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => hash.update(chunk));
    socket.on('end', () => socket.end(hash.digest('hex')));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  cleanup.add(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as net.AddressInfo).port;
}

/** Sends everything to a port; resolves with MiB/s up to the answer. Throws where it is not the right one. */
async function sendAll(port: number): Promise<number> {
  const startedAt = performance.now();
  const socket = net.connect({ port, host: '127.0.0.1' });
  let answer = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer += text;
  });
  for (let sent = 0; sent < TOTAL_BYTES; sent += MIB) {
    if (!socket.write(BLOCK)) await once(socket, 'drain');
  }
  socket.end();
  await once(socket, 'close');
  assert.equal(answer, DIGEST);
  return TOTAL_BYTES / MIB / ((performance.now() - startedAt) / 1000);
}

test(`T7 100 MiB pass ${HOPS} tunnels in a row, -L and -R in turn, and arrive as they were`, { skip }, (t) =>
  withCleanup(async (cleanup) => {
    const sink = await startSink(cleanup);
    const sshd = await startSshd(cleanup);
    const [bare, ...entries] = await Promise.all(
      Array.from({ length: 1 + DRIVERS.length * HOPS }, () => steadyPort()),
    );
    const args = ['-o', 'ExitOnForwardFailure=yes', '-N', '-L', `${bare}:127.0.0.1:${sink}`];
    const ssh = cleanup.child('ssh', [...sshd.clientOptions, ...args, sshd.destination]);
    await eventually({ timeoutMs: TIMEOUT_MS, what: 'ssh listens', onLate: () => ssh.output }, async () => {
      const socket = net.connect({ port: bare!, host: '127.0.0.1' });
      await once(socket, 'connect');
      socket.destroy();
      return true;
    });
    const single = await sendAll(bare!);

    const chains = DRIVERS.map((driver, i) => {
      const ports = [...entries.slice(i * HOPS, (i + 1) * HOPS), sink];
      const tunnels = Array.from({ length: HOPS }, (_, hop) => {
        const text = `${ports[hop]}:127.0.0.1:${ports[hop + 1]}`;
        const way = hop % 2 === 0 ? { forward: [text] } : { reverse: [text] };
        return [`${driver}-${hop}`, tunnelTo(sshd, { driver, probe: false, ...way })] as const;
      });
      return { driver, entry: ports[0]!, tunnels };
    });
    const all = Object.fromEntries(chains.flatMap(({ tunnels }) => tunnels));
    const [nodePort, apiPort] = [await steadyPort(), await steadyPort()];
    await runTunnelNode(cleanup, { id: 'chain', nodePort, apiPort, tunnels: all });
    const watch = watchTunnels(cleanup, apiPort);
    await watch.allUp(Object.keys(all), TIMEOUT_MS);
    await watch.stop();

    const rates: string[] = [];
    for (const { driver, entry } of chains) {
      const rate = await sendAll(entry);
      const share = (rate * HOPS) / single;
      rates.push(
        `${driver}: ${rate.toFixed(1)} MiB/s over ${HOPS} hops, ${share.toFixed(2)} of the bare ssh per hop`,
      );
      if (driver === 'openssh') assert.ok(share >= RATE_SHARE, rates.join('; '));
    }
    promise(t, 'T7', `bare ssh: ${single.toFixed(1)} MiB/s over one hop; ${rates.join('; ')}`);
  }),
);

test('T9 of many tunnels a reload touches only the one that changed', { skip }, (t) =>
  withCleanup(async (cleanup) => {
    const count = repeats(12, 50);
    const [farPort, farApi, nodePort, apiPort, ...ports] = await Promise.all(
      Array.from({ length: 4 + count + DRIVERS.length }, () => steadyPort()),
    );
    await runTunnelNode(cleanup, { id: 'far', nodePort: farPort!, apiPort: farApi! });
    const sshd = await startSshd(cleanup);
    const tunnel = (i: number, port: number) =>
      tunnelTo(sshd, { driver: DRIVERS[i % DRIVERS.length]!, forward: [`${port}:localhost:${farPort}`] });
    const names = Array.from({ length: count }, (_, i) => `t${i}`);
    const tunnels = Object.fromEntries(names.map((name, i) => [name, tunnel(i, ports[i]!)]));
    const startedAt = performance.now();
    const node = await runTunnelNode(cleanup, {
      id: 'near',
      nodePort: nodePort!,
      apiPort: apiPort!,
      tunnels,
    });
    const watch = watchTunnels(cleanup, apiPort!);
    const health = watchHealth(cleanup, ports, { everyMs: 200, timeoutMs: inTime(1_000) });
    await watch.allUp(names, TIMEOUT_MS);
    t.diagnostic(
      `${count} tunnels up ${(performance.now() - startedAt).toFixed(0)} ms after the start of the node`,
    );
    await Promise.all(ports.slice(0, count).map((port) => health.recoveredMs(port, Date.now(), TIMEOUT_MS)));

    const identity = ({ name, pid, restarts, up_since_at_ms }: SeenTunnel) =>
      `${name} ${pid} ${restarts} ${up_since_at_ms}`;
    for (const [i, driver] of DRIVERS.entries()) {
      const name = `t${i}`;
      const others = () =>
        watch
          .all()
          .filter((each) => each.name !== name)
          .map(identity);
      const before = others();
      assert.equal(before.length, count - 1);
      const reloadedAtMs = Date.now();
      const port = ports[count + i]!;
      tunnels[name] = tunnel(i, port);
      writePeers(node.peersFile, { tunnels });
      const tookMs = await health.recoveredMs(port, reloadedAtMs, TIMEOUT_MS);
      await watch.until(name, ({ state }) => state === 'up', TIMEOUT_MS);
      assert.deepEqual(others(), before);
      await health.fails(ports[i]!, Date.now(), TIMEOUT_MS);
      for (const other of ports.slice(DRIVERS.length, count)) {
        assert.deepEqual(
          health.outages(other).filter(({ fromMs }) => fromMs >= reloadedAtMs),
          [],
        );
      }
      promise(
        t,
        'T9',
        `${driver}: ${count - 1} of ${count} untouched; the new port answers ${tookMs} ms after the file was changed`,
      );
    }
  }),
);
