/** The embedded ssh server, with the system's own ssh as its client. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { LIMITS, silentLogger, VirtualClock } from '../../src/shared/index.js';
import { createEmbeddedServer, type EmbeddedServer } from '../../src/tunnels/ssh2/embedded-server.js';
import { generateKeyPair, type KeyPair } from '../../src/tunnels/ssh2/key-pair.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/ports.js';
import { Child } from '../support/processes.js';
import { exchange, type FarEnd, openEcho } from './far-end.js';
import '../support/leaks.js';

const noSsh = spawnSync('ssh', ['-V']).status === 0 ? false : 'openssh-client is not installed';
const TIMEOUT_MS = 10_000;

describe('the embedded ssh server with the ssh of the system', { skip: noSsh }, () => {
  let folder: string;
  let keys: KeyPair;
  let identity: string;
  let echo: FarEnd;
  let server: EmbeddedServer;

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'exo-embedded-'));
    keys = await generateKeyPair();
    identity = path.join(folder, 'id');
    writeFileSync(identity, keys.privateKey, { mode: 0o600 });
    echo = await openEcho();
    server = createEmbeddedServer({ authorizedKeys: [keys.publicKey] }, { logger: silentLogger });
    await server.start();
  });
  after(async () => {
    await server.stop();
    await echo.stop();
    rmSync(folder, { recursive: true });
  });

  function ssh(args: readonly string[], target: EmbeddedServer = server, key = identity): Child {
    const known = path.join(folder, `known_hosts-${target.address.port}`);
    writeFileSync(known, `${target.knownHostsLine}\n`);
    const options = ['BatchMode=yes', 'IdentitiesOnly=yes', 'ExitOnForwardFailure=yes', 'IdentityAgent=none'];
    return new Child('ssh', [
      ...['-F', 'none', '-v', '-i', key, '-p', String(target.address.port)],
      ...[...options, 'StrictHostKeyChecking=yes', `UserKnownHostsFile=${known}`].flatMap((o) => ['-o', o]),
      ...args,
      'anybody@127.0.0.1',
    ]);
  }

  async function withSsh(args: readonly string[], use: () => Promise<void>, target?: EmbeddedServer) {
    const child = ssh(args, target);
    try {
      await child.sees(/Entering interactive session/, TIMEOUT_MS);
      await use();
    } finally {
      await child.stop();
    }
  }

  it('carries -L, half-closed and 8 MiB unharmed', async () => {
    const port = await freePort();
    await withSsh(['-N', '-L', `127.0.0.1:${port}:localhost:${echo.port}`], async () => {
      assert.equal(String(await exchange({ port }, 'hello')), 'hello');
      const data = randomBytes(8 * 1024 * 1024);
      const back = await exchange({ port }, data);
      assert.equal(sha256(back), sha256(data));
    });
  });

  it('carries -R, half-closed and 8 MiB unharmed, and closes the listener with the session', async () => {
    const port = await freePort();
    await withSsh(['-N', '-R', `${port}:localhost:${echo.port}`], async () => {
      await eventually({ timeoutMs: TIMEOUT_MS, everyMs: 10, what: '-R stands' }, () =>
        exchange({ port }, 'x'),
      );
      const data = randomBytes(8 * 1024 * 1024);
      assert.equal(sha256(await exchange({ port }, data)), sha256(data));
    });
    await eventually({ timeoutMs: TIMEOUT_MS, everyMs: 10, what: 'the listener goes' }, async () =>
      exchange({ port }, 'x').then(
        () => false,
        () => true,
      ),
    );
  });

  it('tells the port of -R 0', async () => {
    const child = ssh(['-N', '-R', `0:localhost:${echo.port}`]);
    try {
      const [, port] = await child.sees(/Allocated port (\d+)/, TIMEOUT_MS);
      assert.equal(String(await exchange({ port: Number(port) }, 'hello')), 'hello');
    } finally {
      await child.stop();
    }
  });

  it('carries unix sockets both ways and leaves no file', async () => {
    const [near, far] = [path.join(folder, 'near.sock'), path.join(folder, 'far.sock')];
    const target = path.join(folder, 'echo.sock');
    const unixEcho = await openEcho({ path: target });
    await withSsh(['-N', '-L', `${near}:${target}`, '-R', `${far}:${target}`], async () => {
      assert.equal(String(await exchange({ path: near }, 'L')), 'L');
      await eventually({ timeoutMs: TIMEOUT_MS, everyMs: 10, what: '-R stands' }, () => existsSync(far));
      assert.equal(String(await exchange({ path: far }, 'R')), 'R');
    });
    await eventually({ timeoutMs: TIMEOUT_MS, everyMs: 10, what: 'the far socket goes' }, () => {
      return !existsSync(far);
    });
    await unixEcho.stop();
  });

  it('refuses a busy -R port, so that ssh exits', async () => {
    const child = ssh(['-N', '-R', `127.0.0.1:${echo.port}:localhost:1`]);
    assert.equal(await child.closed, 255);
    assert.match(child.stderr, /remote port forwarding failed/);
  });

  it('refuses a key that is not on the list', async () => {
    const other = path.join(folder, 'other');
    writeFileSync(other, (await generateKeyPair()).privateKey, { mode: 0o600 });
    const child = ssh(['-N'], server, other);
    assert.equal(await child.closed, 255);
    assert.match(child.stderr, /Permission denied \(publickey\)/);
  });

  it('reaches loopback only: neither -L nor -R leads further', async () => {
    const [near, far] = [await freePort(), await freePort()];
    await withSsh(
      ['-N', '-L', `127.0.0.1:${near}:192.0.2.1:80`, '-R', `0.0.0.0:${far}:localhost:${echo.port}`],
      async () => {
        assert.equal((await exchange({ port: near }, '').catch(() => 'cut')).length > 0, false);
        await eventually({ timeoutMs: TIMEOUT_MS, everyMs: 10, what: '-R stands' }, () =>
          exchange({ port: far }, 'x'),
        );
        // 127.0.0.2 is of this machine too, and only a listener on all addresses would answer there.
        await assert.rejects(exchange({ host: '127.0.0.2', port: far }, 'x'), /ECONNREFUSED/);
      },
    );
  });

  it('runs nothing: a command is refused', async () => {
    const child = ssh(['-T']);
    assert.notEqual(await child.closed, 0);
    assert.match(child.stderr, /request failed on channel 0/);
  });

  it('with exec allowed holds the session until its input ends, runs nothing and exits with 0', async () => {
    const held = createEmbeddedServer(
      { authorizedKeys: [keys.publicKey], allow: { exec: true, pty: true } },
      { logger: silentLogger },
    );
    await held.start();
    // The input of the child is empty: it ends at once.
    const child = ssh(['-T'], held);
    assert.equal(await child.closed, 0, child.output);
    assert.equal(child.stdout, '');
    await held.stop();
  });

  it('without the right answers -L and -R as a policy does', async () => {
    const strict = createEmbeddedServer(
      { authorizedKeys: [keys.publicKey], allow: { forward: false, reverse: false } },
      { logger: silentLogger },
    );
    await strict.start();
    const child = ssh(['-W', `localhost:${echo.port}`], strict);
    assert.notEqual(await child.closed, 0);
    assert.match(child.stderr, /administratively prohibited/);
    const reverse = ssh(['-N', '-R', `0:localhost:${echo.port}`], strict);
    assert.equal(await reverse.closed, 255);
    await strict.stop();
  });

  it('killSessions cuts every client and goes on', async () => {
    const child = ssh(['-N', '-R', `0:localhost:${echo.port}`]);
    await child.sees(/Allocated port/, TIMEOUT_MS);
    assert.equal(server.sessions, 1);
    server.killSessions();
    assert.equal(await child.closed, 255);
    await withSsh(['-N'], async () => assert.equal(server.sessions, 1));
  });

  it('listens again on the same port after a stop', async () => {
    const { port } = server.address;
    await server.stop();
    await assert.rejects(exchange({ port }, ''), /ECONNREFUSED/);
    await server.start();
    assert.equal(server.address.port, port);
    await withSsh(['-N'], async () => undefined);
  });
});

describe('the embedded ssh server with bad clients', () => {
  it('gives a client that says nothing its time, and no more', async () => {
    const clock = new VirtualClock();
    const server = createEmbeddedServer({ authorizedKeys: [] }, { logger: silentLogger, clock });
    await server.start();
    const socket = net.connect(server.address.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('data', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    assert.equal(server.sessions, 1);
    clock.advance(LIMITS.embeddedAuthTimeoutMs);
    await closed;
    await eventually(
      { timeoutMs: TIMEOUT_MS, everyMs: 5, what: 'it is forgotten' },
      () => server.sessions === 0,
    );
    await server.stop();
  });

  it('takes so many connections and no more', async () => {
    const server = createEmbeddedServer({ authorizedKeys: [] }, { logger: silentLogger });
    await server.start();
    const open = () => net.connect(server.address.port, '127.0.0.1').on('error', () => undefined);
    const sockets = Array.from({ length: LIMITS.embeddedSessionsMax }, open);
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('data', resolve))));
    const extra = open();
    const said = new Promise((resolve) => {
      extra.once('data', () => resolve('spoke'));
      extra.once('close', () => resolve('closed'));
    });
    assert.equal(await said, 'closed');
    for (const socket of sockets) socket.destroy();
    await server.stop();
  });

  it('outlives garbage', async () => {
    const server = createEmbeddedServer({ authorizedKeys: [] }, { logger: silentLogger });
    await server.start();
    for (const bytes of [
      'GET / HTTP/1.1\r\n\r\n',
      randomBytes(100_000),
      'SSH-2.0-x\r\n',
      'SSH-2.0-x\r\n\0\0\0\x0c',
    ]) {
      const socket = net.connect(server.address.port, '127.0.0.1').on('error', () => undefined);
      socket.end(bytes);
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    await eventually(
      { timeoutMs: TIMEOUT_MS, everyMs: 5, what: 'all are gone' },
      () => server.sessions === 0,
    );
    await server.stop();
  });

  it('says what is wrong with its options', async () => {
    const components = { logger: silentLogger };
    await assert.rejects(createEmbeddedServer({ authorizedKeys: ['nonsense'] }, components).start(), {
      code: 'option-invalid',
    });
    await assert.rejects(createEmbeddedServer({ authorizedKeys: [], hostKey: 'x' }, components).start(), {
      code: 'option-invalid',
    });
    const taken = await openEcho();
    await assert.rejects(createEmbeddedServer({ authorizedKeys: [], port: taken.port }, components).start(), {
      code: 'port-in-use',
    });
    await taken.stop();
  });
});

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
