/** The ssh2 driver against a real sshd: what any driver must do, and then what is its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../src/shared/index.js';
import type { TunnelDriver } from '../../src/tunnels/index.js';
import { createSsh2Driver } from '../../src/tunnels/ssh2/index.js';
import { tunnelDriverSuite } from '../compliance/tunnel-driver.js';
import { eventually } from '../support/eventually.js';
import { Child, Cleanup } from '../support/processes.js';
import { makeKeyPair, type Sshd, sshdUnavailable, startSshd } from '../support/sshd.js';
import { exchange, type FarEnd, openEcho, openFarEnd } from './far-end.js';
import {
  end,
  ended,
  forward,
  makeDriver,
  opened,
  refused,
  SESSION,
  specFor,
  untilRead,
} from './ssh2-fixtures.js';
import '../support/leaks.js';

tunnelDriverSuite({
  name: 'ssh2',
  make: (stateFolder) => createSsh2Driver({ stateFolder }, { clock: systemClock, env: {} }),
});

const TIMEOUT_MS = 10_000;
const unavailable = sshdUnavailable();

describe('the ssh2 driver', { skip: unavailable ?? false }, () => {
  const cleanup = new Cleanup();
  let sshd: Sshd;
  let echo: FarEnd;
  let driver: TunnelDriver;

  before(async () => {
    sshd = await startSshd(cleanup);
    echo = await openEcho();
    cleanup.add(() => echo.stop());
    driver = makeDriver();
    cleanup.add(() => driver.stop());
  });
  after(() => cleanup.dispose());

  it('speaks AES-GCM and counts the bytes of both directions', async () => {
    const session = driver.open(
      specFor(sshd, {
        forward: [forward(end(0), end(echo.port))],
        reverse: [forward(end(0), end(echo.port))],
      }),
      SESSION,
    );
    const facts = await opened(session);
    assert.match(facts.cipher ?? '', /^aes(?:128|256)-gcm@openssh\.com$/);
    assert.deepEqual(session.bytes(), { in: 0, out: 0 });
    const bytes = 4 * 1024 * 1024;
    for (const port of [facts.forwardPorts[0]!, facts.reversePorts[0]!])
      await exchange({ port }, randomBytes(bytes));
    assert.deepEqual(session.bytes(), { in: 2 * bytes, out: 2 * bytes });
    await session.close();
  });

  it('listens on a unix socket for its owner only', async () => {
    const file = path.join(cleanup.folder(), 'near');
    const session = driver.open(specFor(sshd, { forward: [forward(end(file), end(echo.port))] }), SESSION);
    await opened(session);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await session.close();
    assert.ok(!existsSync(file));
  });

  it('keeps each half of a connection open until its own end', async () => {
    // Ends its own direction at once and answers with what it then gets, on another connection.
    let got = '';
    let whole: (text: string) => void = () => undefined;
    const received = new Promise<string>((resolve) => {
      whole = resolve;
    });
    const talker = await openFarEnd((socket) => {
      socket.end('bye');
      socket.on('data', (part) => {
        got += String(part);
      });
      socket.on('end', () => whole(got));
    });
    for (const kind of ['forward', 'reverse'] as const) {
      const session = driver.open(specFor(sshd, { [kind]: [forward(end(0), end(talker.port))] }), SESSION);
      const facts = await opened(session);
      const port = (kind === 'forward' ? facts.forwardPorts : facts.reversePorts)[0]!;
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const heard = await new Promise((resolve) => {
        let text = '';
        socket.on('data', (part) => {
          text += String(part);
        });
        socket.on('end', () => resolve(text));
      });
      assert.equal(heard, 'bye');
      socket.write('still ');
      socket.end('here');
      assert.equal(await received, 'still here', kind);
      await session.close();
    }
    await talker.stop();
  });

  it('a reader that does not read holds the writer and nothing else', async () => {
    let reader: net.Socket | undefined;
    const slow = await openFarEnd((socket) => {
      socket.pause();
      reader = socket;
    });
    const session = driver.open(
      specFor(sshd, { forward: [forward(end(0), end(slow.port)), forward(end(0), end(echo.port))] }),
      SESSION,
    );
    const facts = await opened(session);
    const [slowPort, echoPort] = facts.forwardPorts;
    const total = 64 * 1024 * 1024;
    const writer = net.connect(slowPort!, '127.0.0.1');
    const block = Buffer.alloc(1024 * 1024, 7);
    let written = 0;
    const write = (): void => {
      while (written < total) {
        written += block.length;
        if (!writer.write(block)) return;
      }
      writer.end();
    };
    writer.on('drain', write);
    write();
    // It has come to rest when nothing more went into the session for a while.
    let last = -1;
    await eventually({ timeoutMs: TIMEOUT_MS, everyMs: 200, what: 'the writer is held' }, () => {
      const now = session.bytes()!.out;
      const rests = now === last && now > 0;
      last = now;
      return rests;
    });
    assert.ok(last < 16 * 1024 * 1024, `${last} bytes were taken from the writer`);
    assert.equal(String(await exchange({ port: echoPort! }, 'through')), 'through');
    const read = new Promise<number>((resolve) => {
      let bytes = 0;
      reader!.on('data', (part) => {
        bytes += part.length;
      });
      reader!.on('end', () => resolve(bytes));
    });
    reader!.resume();
    assert.equal(await read, total);
    await session.close();
    await slow.stop();
  });

  it('goes through jump hosts, each with its own check of the host key', async () => {
    const gateway = await startSshd(cleanup);
    const jump = [{ user: gateway.user, host: gateway.address, port: gateway.port, text: 'gateway' }];
    const both = path.join(cleanup.folder(), 'known_hosts');
    writeFileSync(both, sshd.knownHostsLine);
    appendFileSync(gateway.authorizedKeys, readFileSync(`${sshd.identity}.pub`));
    const spec = specFor(sshd, {
      jump,
      knownHosts: both,
      forward: [forward(end(0), end(echo.port))],
      reverse: [forward(end(0), end(echo.port))],
    });
    gateway.clearLog();
    const unknown = await refused(driver.open(spec, SESSION));
    assert.equal(unknown.code, 'host-key-unknown');
    assert.match(unknown.message, /^jump host: /);
    assert.equal(gateway.keysOffered(), 0);

    appendFileSync(both, gateway.knownHostsLine);
    assert.deepEqual(await driver.firstHop(spec, AbortSignal.timeout(TIMEOUT_MS)), {
      host: gateway.address,
      port: gateway.port,
    });
    const session = driver.open(spec, SESSION);
    const facts = await opened(session);
    for (const port of [facts.forwardPorts[0]!, facts.reversePorts[0]!]) {
      assert.equal(String(await exchange({ port }, 'jumped')), 'jumped');
    }
    const ending = ended(session);
    await untilRead(session);
    gateway.killSessions();
    assert.equal((await ending).code, 'server-closed');
    await gateway.stop();
    const refusal = await refused(driver.open(spec, SESSION));
    assert.equal(refusal.code, 'connect-refused');
  });

  describe('checks the host key before anything is offered', () => {
    const knownHosts = (text: string): string => {
      const file = path.join(cleanup.folder(), 'known_hosts');
      writeFileSync(file, text);
      return file;
    };
    const attempt = async (file: string) => {
      sshd.clearLog();
      const failure = await refused(driver.open(specFor(sshd, { knownHosts: file }), SESSION));
      assert.equal(sshd.keysOffered(), 0);
      return failure;
    };

    it('changed: with the command that mends it', async () => {
      const other = path.join(cleanup.folder(), 'key');
      makeKeyPair(other);
      const key = readFileSync(`${other}.pub`, 'utf8');
      const file = knownHosts(`[${sshd.address}]:${sshd.port} ${key}`);
      const failure = await attempt(file);
      assert.equal(failure.code, 'host-key-changed');
      const command = /run: (ssh-keygen .*) - otherwise/.exec(failure.message)?.[1];
      assert.equal(spawnSync('sh', ['-c', command!]).status, 0);
      assert.equal((await attempt(file)).code, 'host-key-unknown');
    });

    it('certificate authorities, which it cannot check', async () => {
      const failure = await attempt(knownHosts(`@cert-authority * ${sshd.hostKey}\n`));
      assert.equal(failure.code, 'host-key-unreadable');
      assert.match(failure.message, /use the driver openssh/);
    });

    it('a file that cannot be read', async () => {
      const folder = cleanup.folder();
      const failure = await attempt(folder);
      assert.equal(failure.code, 'host-key-unreadable');
      assert.ok(failure.message.includes(folder));
    });
  });

  describe('logs in', () => {
    it('with a locked key through the agent only', async () => {
      const folder = cleanup.folder();
      const key = path.join(folder, 'key');
      const socket = path.join(folder, 'agent');
      makeKeyPair(key, { passphrase: 'secret' });
      appendFileSync(sshd.authorizedKeys, readFileSync(`${key}.pub`));
      const spec = specFor(sshd, { identity: [key], options: { IdentityAgent: socket } });
      const locked = await refused(driver.open(spec, SESSION));
      assert.equal(locked.code, 'identity-unreadable');
      assert.match(locked.message, /passphrase.*ssh-add/);

      const agent = new Child('ssh-agent', ['-D', '-a', socket]);
      cleanup.add(() => agent.stop());
      await eventually({ timeoutMs: TIMEOUT_MS, everyMs: 10, what: 'the agent listens' }, () =>
        existsSync(socket),
      );
      const askpass = path.join(folder, 'askpass');
      writeFileSync(askpass, '#!/bin/sh\necho secret\n', { mode: 0o700 });
      const added = spawnSync('ssh-add', [key], {
        env: { ...process.env, SSH_AUTH_SOCK: socket, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' },
      });
      assert.equal(added.status, 0, String(added.stderr));
      const session = driver.open(spec, SESSION);
      await opened(session);
      await session.close();
      // The agent alone, without a file.
      const fromAgent = driver.open({ ...spec, identity: [] }, SESSION);
      await opened(fromAgent);
      await fromAgent.close();
    });

    for (const type of ['rsa', 'ecdsa']) {
      it(`with a key of type ${type}`, async () => {
        const key = path.join(cleanup.folder(), 'key');
        makeKeyPair(key, { type });
        appendFileSync(sshd.authorizedKeys, readFileSync(`${key}.pub`));
        const session = driver.open(specFor(sshd, { identity: [key] }), SESSION);
        await opened(session);
        await session.close();
      });
    }

    it('and is refused after too many keys', async () => {
      const strict = await startSshd(cleanup, { config: { MaxAuthTries: 2 } });
      const keys = Array.from({ length: 3 }, () => path.join(cleanup.folder(), 'key'));
      for (const key of keys) makeKeyPair(key);
      const failure = await refused(driver.open(specFor(strict, { identity: keys }), SESSION));
      assert.equal(failure.code, 'auth-failed');
    });
  });

  it('names a server that sends garbage in the place of a handshake', async () => {
    const bytes = Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), randomBytes(5_000)]);
    const garbage = await openFarEnd((socket) => socket.write(bytes));
    const spec = specFor({ ...access(sshd), port: garbage.port });
    const failure = await refused(driver.open(spec, { ...SESSION, connectTimeoutMs: 500 }));
    assert.ok(['driver-fault', 'server-silent', 'no-common-algorithm'].includes(failure.code), failure.code);
    await garbage.stop();
  });

  it('offers neither ChaCha20 nor CTR: a server without AES-GCM is named', async () => {
    const other = await startSshd(cleanup, {
      config: { Ciphers: 'chacha20-poly1305@openssh.com,aes256-ctr' },
    });
    const failure = await refused(driver.open(specFor(other), SESSION));
    assert.equal(failure.code, 'no-common-algorithm');
    assert.match(failure.message, /use the driver openssh/);
    const options = { IdentityAgent: 'none', Ciphers: 'aes256-ctr' };
    assert.equal(
      (await refused(driver.open(specFor(sshd, { options }), SESSION))).code,
      'no-common-algorithm',
    );
  });

  describe('names what is wrong with a forward', () => {
    it('all of them together', async () => {
      const [one, two] = [forward(end(echo.port), end(1)), forward(end(echo.port, 'localhost'), end(2))];
      const spec = specFor(sshd, { forward: [forward(end(0), end(1))], reverse: [one, two] });
      const failure = await refused(driver.open(spec, SESSION));
      assert.deepEqual([failure.code, failure.forwards], ['remote-port-busy', [one.text, two.text]]);
    });

    it('a -R socket that is taken', async () => {
      const file = path.join(cleanup.folder(), 'taken');
      writeFileSync(file, '');
      const failure = await refused(
        driver.open(specFor(sshd, { reverse: [forward(end(file), end(1))] }), SESSION),
      );
      assert.equal(failure.code, 'remote-port-busy');
    });

    it('an address that this machine has not', async () => {
      const spec = specFor(sshd, { forward: [forward(end(0, '192.0.2.7'), end(1))] });
      assert.equal((await refused(driver.open(spec, SESSION))).code, 'local-address-missing');
    });

    it('a policy that forbids -L, with the first connection', async () => {
      const strict = await startSshd(cleanup, { config: { AllowTcpForwarding: 'no' } });
      const session = driver.open(specFor(strict, { forward: [forward(end(0), end(echo.port))] }), SESSION);
      const facts = await opened(session);
      await exchange({ port: facts.forwardPorts[0]! }, '').catch(() => undefined);
      assert.equal((await ended(session)).code, 'forward-refused');
    });
  });

  it('lets go of the connections of a session whose server has frozen', async () => {
    const own = await startSshd(cleanup);
    const keepalive = { ...SESSION, keepaliveIntervalMs: 500, keepaliveCountMax: 2 };
    const session = driver.open(specFor(own, { forward: [forward(end(0), end(echo.port))] }), keepalive);
    const facts = await opened(session);
    const held = net.connect(facts.forwardPorts[0]!, '127.0.0.1').on('error', () => undefined);
    await once(held, 'connect');
    const cut = new Promise((resolve) => held.once('close', resolve));
    own.freezeSessions();
    assert.equal((await ended(session)).code, 'keepalive-timeout');
    await cut;
    own.thaw();
  });
});

/** Without its getters: those of a class are not spread. */
function access({ user, address, port, identity, knownHosts }: Sshd) {
  return { user, address, port, identity, knownHosts };
}
