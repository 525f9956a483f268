/** Tunnels and dialling of one node: who tells whom what. Machines, sshds and time are in memory. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Candidate, PeerEntry } from '../../src/discovery/index.js';
import { Dialer } from '../../src/node/dialer.js';
import { NodeTunnels } from '../../src/node/node-tunnels.js';
import { type Link, Peer } from '../../src/node/peer.js';
import { Warnings } from '../../src/node/warnings.js';
import { ExoError, parseAddress, seededRandom, silentLogger, VirtualClock } from '../../src/shared/index.js';
import { createTunnels } from '../../src/tunnels/index.js';
import { candidateFor } from '../support/memory-mesh.js';
import { MemoryTunnelDriver } from '../support/memory-tunnel-driver.js';
import { MemoryTunnelWorld, memoryProbe } from '../support/memory-tunnel-world.js';

const TUNNEL = { ssh: 'me@gate', forward: ['50052:localhost:50051'] };

function entry(id: string, address: string, tunnel?: unknown): PeerEntry {
  return { id, address: parseAddress(address), ...(tunnel === undefined ? {} : { tunnel }) };
}

/** A node's tunnels beside a dialer whose dials all fail until `answers` says otherwise. */
async function lab(t: TestContext) {
  const clock = new VirtualClock();
  const random = seededRandom(1);
  const world = new MemoryTunnelWorld(clock);
  const driver = new MemoryTunnelDriver(world);
  const warnings = new Warnings(clock);
  // Tunnels with -R write who holds their far listeners.
  const stateFolder = mkdtempSync(path.join(tmpdir(), 'exo-tunnels-'));
  const peers: Peer[] = [];
  const dials: Array<{ to: string; atMs: number }> = [];
  const dialer = new Dialer({
    clock,
    random,
    logger: silentLogger,
    introduce: async (target) => {
      dials.push({ to: target.candidate.claimedId, atMs: clock.now() });
      throw new ExoError('connect-failed', 'nothing listens there');
    },
    isUp: () => false,
    onOutcome: () => undefined,
  });
  const tunnels = new NodeTunnels(
    { stateFolder },
    {
      clock,
      random,
      logger: silentLogger,
      warnings,
      ownPorts: () => [{ port: 50060, what: 'this node (--node-port)' }],
      create: (options, components) =>
        createTunnels(options, {
          ...components,
          probe: memoryProbe(clock),
          drivers: [driver],
          sockets: world.sockets,
          interfaces: () => '',
        }),
      baseFolder: '/etc',
      dialer: () => dialer,
      peers: () => peers,
      onChange: () => undefined,
    },
  );
  await tunnels.start();
  t.after(async () => {
    let isOver = false;
    const stopped = Promise.all([tunnels.stop(), dialer.stop()]).then(() => {
      isOver = true;
    });
    while (!isOver) await clock.advance(10);
    await stopped;
    rmSync(stateFolder, { recursive: true, force: true });
  });
  const gate = world.host('gate');
  gate.programs.set('localhost:50051', 'exo');
  world.localPrograms.set('localhost:50060', 'exo');
  const until = async (state: string, name = 'mac2') => {
    for (let waitedMs = 0; tunnels.view.get(name).state !== state; waitedMs += 10) {
      assert.ok(waitedMs < 60_000, `${name} is ${tunnels.view.get(name).state}, not ${state}`);
      await clock.advance(10);
    }
  };
  return { clock, driver, warnings, dials, dialer, tunnels, gate, until, peers };
}

const MAC2: Candidate = candidateFor('127.0.0.1', {
  key: 'manual:mac2',
  claimedId: 'mac2',
  address: { host: '127.0.0.1', port: 50052 },
  tunnel: TUNNEL,
});

describe('the tunnels of a node', () => {
  test('are dialled through at once when they are up, however long the dialer meant to wait', async (t) => {
    const { clock, dials, dialer, tunnels, gate, until } = await lab(t);
    gate.sshdDown = true;
    dialer.offer(MAC2);
    tunnels.apply({}, [entry('mac2', '127.0.0.1:50052', TUNNEL)]);
    await clock.advance(120_000);
    gate.sshdDown = false;
    await until('up');
    await clock.advance(1);
    assert.ok(clock.now() - dials.at(-1)!.atMs <= 11, 'dialled when it came up');
  });

  test('at the top level are dialled through by address, and only what they lead to', async (t) => {
    const { clock, dials, dialer, tunnels, until } = await lab(t);
    const through = candidateFor('localhost', {
      claimedId: 'a',
      address: { host: 'localhost', port: 50052 },
    });
    const beside = candidateFor('127.0.0.1', { claimedId: 'b', address: { host: '127.0.0.1', port: 50053 } });
    tunnels.apply({ gw1: TUNNEL }, []);
    dialer.offer(through);
    dialer.offer(beside);
    await until('gate', 'gw1');
    dials.length = 0;
    const seen = dialer.get(beside.key)?.nextDialAtMs ?? 0;
    await until('up', 'gw1');
    await clock.advance(1);
    assert.equal(dials.filter(({ to }) => to === 'a').length >= 1, true);
    assert.ok(
      dials.every(({ to, atMs }) => to === 'a' || atMs >= seen - 1),
      'the other one kept its own time',
    );
  });

  test('say why an address cannot be reached yet, and nothing once they are up', async (t) => {
    const { tunnels, gate, until } = await lab(t);
    gate.loginFails = { code: 'auth-failed', message: 'none of the keys is accepted' };
    tunnels.apply({}, [entry('mac2', '127.0.0.1:50052', TUNNEL)]);
    await until('failed');
    assert.match(tunnels.waitsFor(MAC2) ?? '', /^its tunnel "mac2" is not up \(failed\): none of the keys/);
    assert.equal(tunnels.waitsFor(candidateFor('10.0.0.9')), undefined);
    gate.loginFails = undefined;
    tunnels.view.retry('mac2');
    await until('up');
    assert.equal(tunnels.waitsFor(MAC2), undefined);
  });

  test('that wait are tried again when their peer dials in, under the name of the file too', async (t) => {
    const { clock, driver, dialer, tunnels, gate, until } = await lab(t);
    dialer.offer(MAC2);
    dialer.get(MAC2.key)!.peerId = 'id-of-mac2';
    tunnels.apply({}, [entry('mac2', '127.0.0.1:50052', TUNNEL)]);
    await until('up');
    driver.blind = true;
    gate.sshdDown = true;
    driver.sessionOf('mac2')?.kill();
    await clock.advance(600_000);
    gate.sshdDown = false;
    const starts = driver.startsOf('mac2');
    tunnels.heard('somebody-else');
    await clock.advance(1);
    assert.equal(driver.startsOf('mac2'), starts);
    tunnels.heard('id-of-mac2');
    await clock.advance(1);
    assert.equal(driver.startsOf('mac2'), starts + 1);
  });

  test('are touched by a reload only where they changed', async (t) => {
    const { driver, tunnels, until } = await lab(t);
    const other = { ssh: 'me@gate', forward: ['50053:localhost:50051'] };
    tunnels.apply({ gw1: TUNNEL, gw2: other }, []);
    await until('up', 'gw1');
    await until('up', 'gw2');
    tunnels.apply({ gw2: { ...other, forward: ['50054:localhost:50051'] }, gw1: { ...TUNNEL } }, []);
    await until('up', 'gw2');
    assert.deepEqual([driver.startsOf('gw1'), driver.startsOf('gw2')], [1, 2]);
    tunnels.apply({ gw1: TUNNEL }, []);
    assert.deepEqual(
      tunnels.view.list().map(({ name }) => name),
      ['gw1'],
    );
  });

  test('keep a session that a peer uses, whoever dialled, also where it could be faster', async (t) => {
    const elsewhere = { ...MAC2, key: 'manual:lan', address: { host: '192.168.2.9', port: 50051 } };
    const dialled = { outgoing: true, targetKey: MAC2.key, remoteHost: '127.0.0.1' };
    const accepted = { outgoing: false, targetKey: undefined, remoteHost: '127.0.0.1' };
    const both = { ...TUNNEL, reverse: ['50062:localhost:50060'] };
    for (const [what, id, tunnel, link, starts] of [
      ['dialled through -L', 'mac2', TUNNEL, dialled, 1],
      ['dialled past it', 'mac2', TUNNEL, { ...dialled, targetKey: elsewhere.key }, 2],
      ['came through -R', 'mac2', both, accepted, 1],
      ['came over the LAN', 'mac2', both, { ...accepted, remoteHost: '192.168.2.9' }, 2],
      ['came, and there is no -R', 'mac2', TUNNEL, accepted, 2],
      ['is another peer', 'mac3', both, accepted, 2],
    ] as const) {
      const { driver, dialer, tunnels, gate, until, peers } = await lab(t);
      gate.stalls = true;
      dialer.offer(MAC2);
      dialer.offer(elsewhere);
      const peer = new Peer(id, 'exo');
      const { remoteHost, ...rest } = link;
      peer.links.push({ ...rest, connection: { remoteHost } } as unknown as Link);
      peers.push(peer);
      tunnels.apply({}, [entry('mac2', '127.0.0.1:50052', tunnel)]);
      await until('up');
      assert.equal(driver.startsOf('mac2'), starts, what);
    }
  });

  test('have what is wrong with the file among the warnings until it is mended, however long that takes', async (t) => {
    const { clock, warnings, tunnels } = await lab(t);
    const peers = [entry('mac2', '192.168.2.1:50051', TUNNEL)];
    tunnels.apply({ bad: { ssh: 'host' }, own: { ssh: 'h', forward: ['50060:localhost:1'] } }, peers);
    const texts = () => warnings.list().map(({ code, message }) => `${code}: ${message}`);
    await clock.advance(3_600_000);
    assert.match(texts().join('\n'), /^tunnel-spec-invalid: the tunnel "bad" under "tunnels" is not opened/m);
    assert.match(texts().join('\n'), /^tunnel-clash: .*50060.*this node \(--node-port\)/m);
    assert.match(
      texts().join('\n'),
      /^tunnel-clash: peer "mac2" is at 192\.168\.2\.1:50051, which passes by/m,
    );
    tunnels.apply({}, [entry('mac2', '127.0.0.1:50052', TUNNEL)]);
    assert.deepEqual(texts(), []);
  });

  test('are none where there is no folder for them, and a file that describes some is answered', () => {
    const clock = new VirtualClock();
    const warnings = new Warnings(clock);
    const tunnels = new NodeTunnels(undefined, {
      clock,
      random: seededRandom(1),
      logger: silentLogger,
      warnings,
      ownPorts: () => [],
      create: () => assert.fail('nothing is made'),
      baseFolder: '/etc',
      dialer: () => assert.fail('nobody is asked'),
      peers: () => [],
      onChange: () => undefined,
    });
    tunnels.apply({ gw1: TUNNEL }, []);
    tunnels.heard('mac2');
    assert.deepEqual(tunnels.view.list(), []);
    assert.throws(() => tunnels.view.get('gw1'), { code: 'tunnel-unknown' });
    assert.match(warnings.list()[0]?.message ?? '', /not opened.*without a folder/);
  });
});
