/** The ssh2 driver with the embedded server: no ssh program at either end. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { silentLogger } from '../../src/shared/index.js';
import type { TunnelDriver, TunnelSession } from '../../src/tunnels/index.js';
import {
  createEmbeddedServer,
  type EmbeddedRights,
  type EmbeddedServer,
  generateKeyPair,
} from '../../src/tunnels/ssh2/index.js';
import { querySubset } from '../../src/tunnels/ssh2/ssh-config-reader.js';
import { Cleanup } from '../support/processes.js';
import { exchange, type FarEnd, openEcho, openFarEnd } from './far-end.js';
import {
  end,
  ended,
  forward,
  makeDriver,
  opened,
  type Reachable,
  refused,
  SESSION,
  specFor,
  untilRead,
} from './ssh2-fixtures.js';
import '../support/leaks.js';

describe('the ssh2 driver with the embedded server', () => {
  const cleanup = new Cleanup();
  let folder: string;
  let publicKey: string;
  let echo: FarEnd;
  let driver: TunnelDriver;
  let server: EmbeddedServer;

  before(async () => {
    folder = cleanup.folder();
    const keys = await generateKeyPair();
    publicKey = keys.publicKey;
    writeFileSync(path.join(folder, 'id'), keys.privateKey, { mode: 0o600 });
    echo = await openEcho();
    cleanup.add(() => echo.stop());
    // As on a machine that has no ssh.
    driver = makeDriver({ query: querySubset });
    cleanup.add(() => driver.stop());
    server = await start({});
  });
  after(() => cleanup.dispose());

  async function start(allow: EmbeddedRights): Promise<EmbeddedServer> {
    const made = createEmbeddedServer({ authorizedKeys: [publicKey], allow }, { logger: silentLogger });
    await made.start();
    cleanup.add(() => made.stop());
    return made;
  }

  function reach(target: EmbeddedServer, identity = path.join(folder, 'id')): Reachable {
    const knownHosts = path.join(folder, `known_hosts-${target.address.port}`);
    writeFileSync(knownHosts, `${target.knownHostsLine}\n`);
    return { user: 'anybody', address: target.address.host, port: target.address.port, identity, knownHosts };
  }

  const both = () => ({
    forward: [forward(end(0, 'localhost'), end(echo.port, 'localhost'))],
    reverse: [forward(end(0, 'localhost'), end(echo.port, 'localhost'))],
  });

  it('carries -L and -R, TCP and unix, half-closed', async () => {
    const [near, far] = [path.join(folder, 'near'), path.join(folder, 'far')];
    const { forward: local, reverse } = both();
    const session = driver.open(
      specFor(reach(server), {
        forward: [...local, forward(end(near), end(echo.port))],
        reverse: [...reverse, forward(end(far), end(echo.port))],
      }),
      SESSION,
    );
    const facts = await opened(session);
    assert.match(facts.serverVersion ?? '', /^ssh2js/);
    const data = randomBytes(8 * 1024 * 1024);
    for (const port of [facts.forwardPorts[0]!, facts.reversePorts[0]!]) {
      assert.ok(data.equals(await exchange({ port }, data)));
    }
    for (const file of [near, far]) assert.equal(String(await exchange({ path: file }, 'x')), 'x');
    await session.close();
  });

  it('keeps each half of a connection open until its own end', async () => {
    let told: (bytes: number) => void = () => undefined;
    const talker = await openFarEnd((socket) => {
      let bytes = 0;
      socket.end('bye');
      socket.on('data', (part) => {
        bytes += part.length;
      });
      socket.on('end', () => told(bytes));
    });
    const session = driver.open(
      specFor(reach(server), {
        forward: [forward(end(0), end(talker.port))],
        reverse: [forward(end(0), end(talker.port))],
      }),
      SESSION,
    );
    const facts = await opened(session);
    for (const port of [facts.forwardPorts[0]!, facts.reversePorts[0]!]) {
      const received = new Promise<number>((resolve) => {
        told = resolve;
      });
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      await new Promise((resolve) => socket.resume().once('end', resolve));
      // The other direction still takes data after its own end came.
      socket.end(randomBytes(100_000));
      assert.equal(await received, 100_000);
    }
    await session.close();
    await talker.stop();
  });

  it('works where the server runs nothing, and where it holds a pty without running anything', async () => {
    const plain = driver.open(specFor(reach(server), both()), { ...SESSION, pty: true });
    assert.deepEqual([(await opened(plain)).pty, (await opened(plain)).farPid], ['refused', undefined]);
    await plain.close();
    const holding = await start({ exec: true, pty: true });
    const held = driver.open(specFor(reach(holding), both()), { ...SESSION, pty: true });
    assert.deepEqual([(await opened(held)).pty, (await opened(held)).farPid], ['held', undefined]);
    await held.close();
  });

  it('is told the policy of the server', async () => {
    const strict = await start({ forward: false, reverse: false });
    const failure = await refused(driver.open(specFor(reach(strict), { reverse: both().reverse }), SESSION));
    assert.equal(failure.code, 'forward-refused');
    const session: TunnelSession = driver.open(specFor(reach(strict), { forward: both().forward }), SESSION);
    const facts = await opened(session);
    await exchange({ port: facts.forwardPorts[0]! }, '').catch(() => undefined);
    assert.equal((await ended(session)).code, 'forward-refused');
  });

  it('checks its host key, and is refused with a strange key', async () => {
    const stranger = path.join(folder, 'stranger');
    writeFileSync(stranger, (await generateKeyPair()).privateKey, { mode: 0o600 });
    assert.equal((await refused(driver.open(specFor(reach(server, stranger)), SESSION))).code, 'auth-failed');
    const other = await start({});
    const wrong = { ...reach(server), knownHosts: path.join(folder, 'wrong') };
    const key = other.hostKey;
    writeFileSync(wrong.knownHosts, `[127.0.0.1]:${server.address.port} ${key}\n`);
    assert.equal((await refused(driver.open(specFor(wrong), SESSION))).code, 'host-key-changed');
  });

  it('sees at once that it was cut, and opens again', async () => {
    const first = driver.open(specFor(reach(server), both()), SESSION);
    await opened(first);
    await untilRead(first);
    server.killSessions();
    assert.equal((await ended(first)).code, 'server-closed');
    const second = driver.open(specFor(reach(server), both()), SESSION);
    const facts = await opened(second);
    assert.equal(String(await exchange({ port: facts.reversePorts[0]! }, 'x')), 'x');
    await second.close();
  });
});
