/** The ssh2 driver against a real sshd: forwards, host keys, logins, faults. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TunnelDriver } from '../../src/tunnels/index.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/ports.js';
import { Child, Cleanup } from '../support/processes.js';
import { openSilentPort } from '../support/silent-port.js';
import { makeKeyPair, type Sshd, sshdUnavailable, startSshd } from '../support/sshd.js';
import { exchange, type FarEnd, openEcho, openFarEnd } from './far-end.js';
import { end, ended, forward, makeDriver, opened, refused, SESSION, specFor } from './ssh2-fixtures.js';
import '../support/leaks.js';

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

  it('carries -L and -R on ports it chooses, and tells them, the cipher and the server', async () => {
    const session = driver.open(
      specFor(sshd, {
        forward: [forward(end(0), end(echo.port, 'localhost')), forward(end(0, 'localhost'), end(echo.port))],
        reverse: [forward(end(0, 'localhost'), end(echo.port)), forward(end(0), end(echo.port))],
      }),
      SESSION,
    );
    const facts = await opened(session);
    assert.match(facts.cipher ?? '', /^aes(?:128|256)-gcm@openssh\.com$/);
    assert.match(facts.serverVersion ?? '', /^OpenSSH_/);
    assert.equal(facts.pty, 'not-asked');
    for (const port of [...facts.forwardPorts, ...facts.reversePorts]) {
      const data = randomBytes(4 * 1024 * 1024);
      assert.equal(sha256(await exchange({ port: port! }, data)), sha256(data));
    }
    const bytes = session.bytes();
    assert.deepEqual(bytes, { in: 4 * 4 * 1024 * 1024, out: 4 * 4 * 1024 * 1024 });
    await session.close();
    assert.equal(await session.closed, 'stopped');
    for (const port of facts.forwardPorts)
      await assert.rejects(exchange({ port: port! }, ''), /ECONNREFUSED/);
  });

  it('carries unix sockets both ways, for their owner only, and leaves no file', async () => {
    const folder = cleanup.folder();
    const file = (name: string) => path.join(folder, name);
    const far = await openEcho({ path: file('echo') });
    // What a node that was killed has left behind.
    writeStaleSocket(file('near'));
    const session = driver.open(
      specFor(sshd, {
        forward: [forward(end(file('near')), end(file('echo')))],
        reverse: [forward(end(file('far')), end(file('echo')))],
      }),
      SESSION,
    );
    const facts = await opened(session);
    assert.deepEqual([facts.forwardPorts, facts.reversePorts], [[undefined], [undefined]]);
    assert.equal(statSync(file('near')).mode & 0o777, 0o600);
    assert.equal(String(await exchange({ path: file('near') }, 'L')), 'L');
    assert.equal(String(await exchange({ path: file('far') }, 'R')), 'R');
    await session.close();
    assert.ok(!existsSync(file('near')));
    await eventually({ timeoutMs: TIMEOUT_MS, everyMs: 10, what: 'the far socket goes' }, () => {
      return !existsSync(file('far'));
    });
    await far.stop();
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

  it('connects from the far machine, and says when nothing listens there', async () => {
    const session = driver.open(specFor(sshd), SESSION);
    await opened(session);
    const stream = await session.connectFar(end(echo.port), AbortSignal.timeout(TIMEOUT_MS));
    const heard = new Promise<string>((resolve) => stream.once('data', (part) => resolve(String(part))));
    stream.write('far');
    assert.equal(await heard, 'far');
    stream.destroy();
    const closedPort = await freePort();
    await assert.rejects(session.connectFar(end(closedPort), AbortSignal.timeout(TIMEOUT_MS)), {
      code: 'connect-failed',
    });
    await assert.rejects(
      session.connectFar(end(echo.port), AbortSignal.abort(new Error('given up'))),
      /given up/,
    );
    await session.close();
    await assert.rejects(session.connectFar(end(echo.port), AbortSignal.timeout(TIMEOUT_MS)), {
      code: 'connection-closed',
    });
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
    gateway.killSessions();
    assert.equal((await ending).code, 'server-closed');
    await gateway.stop();
    const refusal = await refused(driver.open(spec, SESSION));
    assert.equal(refusal.code, 'connect-refused');
  });

  it('holds a pty where the server allows it, says where it does not, and learns the pid of the far sshd', async () => {
    const session = driver.open(specFor(sshd), { ...SESSION, pty: true });
    const facts = await opened(session);
    assert.equal(facts.pty, 'held');
    assert.ok(sshd.pidsOfSessions().includes(facts.farPid!));
    await session.close();
    const strict = await startSshd(cleanup, { config: { PermitTTY: 'no' } });
    const plain = driver.open(specFor(strict), { ...SESSION, pty: true });
    const without = await opened(plain);
    assert.equal(without.pty, 'refused');
    assert.ok(strict.pidsOfSessions().includes(without.farPid!));
    await plain.close();
    const mute = await startSshd(cleanup, { config: { MaxSessions: 0 } });
    const silent = driver.open(specFor(mute), { ...SESSION, pty: true });
    assert.deepEqual([(await opened(silent)).pty, (await opened(silent)).farPid], ['refused', undefined]);
    await silent.close();
  });

  it('evicts a stale session of its own, and nothing else', async () => {
    const spec = specFor(sshd, { reverse: [forward(end(0), end(echo.port))] });
    const session = driver.open(spec, SESSION);
    const { farPid } = await opened(session);
    const other = makeDriver();
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    assert.equal(await other.evict(spec, sshd.pid, SESSION, signal), false);
    assert.equal(await other.evict({ ...spec, name: 'another' }, farPid!, SESSION, signal), false);
    assert.ok(sshd.pidsOfSessions().includes(farPid!));
    assert.equal(await other.evict(spec, farPid!, SESSION, signal), true);
    assert.equal((await ended(session)).code, 'server-closed');
    await other.stop();
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

    it('hashed names', async () => {
      const session = driver.open(specFor(sshd, { knownHosts: sshd.knownHostsHashed }), SESSION);
      await opened(session);
      await session.close();
    });

    it('unknown: with the line to add', async () => {
      const failure = await attempt(knownHosts(''));
      assert.equal(failure.code, 'host-key-unknown');
      assert.ok(failure.message.endsWith(sshd.knownHostsLine.trim()));
    });

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

    it('revoked', async () => {
      const file = knownHosts(`${sshd.knownHostsLine}@revoked * ${sshd.hostKey}\n`);
      assert.equal((await attempt(file)).code, 'host-key-revoked');
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
    it('and says when no key is accepted, when a file is missing, when others may read it', async () => {
      const key = path.join(cleanup.folder(), 'key');
      makeKeyPair(key);
      const attempt = (identity: string) =>
        refused(driver.open(specFor(sshd, { identity: [identity] }), SESSION));
      assert.equal((await attempt(key)).code, 'auth-failed');
      const missing = await attempt(`${key}-missing`);
      assert.equal(missing.code, 'identity-unreadable');
      assert.match(missing.message, /no such file/);
      chmodSync(key, 0o644);
      assert.match((await attempt(key)).message, /chmod 600/);
      writeFileSync(key, 'no key');
      assert.equal((await attempt(key)).code, 'identity-unreadable');
    });

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

  describe('names what is wrong with the server', () => {
    const at = (port: number) => specFor({ ...sshdLike(), port });
    const sshdLike = () => ({
      user: sshd.user,
      address: '127.0.0.1',
      identity: sshd.identity,
      knownHosts: sshd.knownHosts,
      port: 0,
    });
    const quick = { ...SESSION, connectTimeoutMs: 300 };

    it('nothing listens', async () => {
      assert.equal((await refused(driver.open(at(await freePort()), SESSION))).code, 'connect-refused');
    });

    it('no answer', async () => {
      const silent = await openSilentPort();
      assert.equal((await refused(driver.open(at(silent.port), quick))).code, 'connect-timeout');
      await silent.stop();
    });

    it('a name that leads nowhere', async () => {
      const spec = specFor({ ...sshdLike(), address: 'nowhere.invalid', port: 22 });
      assert.equal((await refused(driver.open(spec, SESSION))).code, 'resolve-failed');
    });

    it('accepts and says nothing', async () => {
      const mute = await openFarEnd(() => undefined);
      assert.equal((await refused(driver.open(at(mute.port), quick))).code, 'server-silent');
      await mute.stop();
    });

    it('stops in the middle of the handshake', async () => {
      const half = await openFarEnd((socket) => socket.write('SSH-2.0-half\r\n'));
      assert.equal((await refused(driver.open(at(half.port), quick))).code, 'server-silent');
      await half.stop();
    });

    it('speaks HTTP', async () => {
      const web = await openFarEnd((socket) =>
        socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      );
      const failure = await refused(driver.open(at(web.port), SESSION));
      assert.equal(failure.code, 'not-ssh');
      assert.match(failure.message, /HTTP\/1\.1 400/);
      await web.stop();
    });

    it('closes at once, with and without a word', async () => {
      const closing = await openFarEnd((socket) => socket.end());
      assert.equal((await refused(driver.open(at(closing.port), SESSION))).code, 'server-closed');
      await closing.stop();
      const busy = await openFarEnd((socket) => socket.end('Exceeded MaxStartups\r\n'));
      const failure = await refused(driver.open(at(busy.port), SESSION));
      assert.equal(failure.code, 'server-closed');
      assert.match(failure.message, /Exceeded MaxStartups/);
      await busy.stop();
    });

    it('sends garbage in the place of a handshake', async () => {
      const garbage = await openFarEnd((socket) =>
        socket.write(Buffer.concat([Buffer.from('SSH-2.0-x\r\n'), randomBytes(5_000)])),
      );
      const failure = await refused(driver.open(at(garbage.port), quick));
      assert.ok(
        ['driver-fault', 'server-silent', 'no-common-algorithm'].includes(failure.code),
        failure.code,
      );
      await garbage.stop();
    });

    it('has no cipher in common: ChaCha20 and CTR are never offered', async () => {
      const other = await startSshd(cleanup, {
        config: { Ciphers: 'chacha20-poly1305@openssh.com,aes256-ctr' },
      });
      const failure = await refused(driver.open(specFor(other), SESSION));
      assert.equal(failure.code, 'no-common-algorithm');
    });
  });

  describe('names what is wrong with a forward', () => {
    it('a -L port that is taken', async () => {
      const busy = forward(end(echo.port), end(1));
      const failure = await refused(driver.open(specFor(sshd, { forward: [busy] }), SESSION));
      assert.deepEqual([failure.code, failure.forwards], ['local-port-busy', [busy.text]]);
    });

    it('a -R port that is taken', async () => {
      const busy = forward(end(echo.port), end(1));
      const failure = await refused(driver.open(specFor(sshd, { reverse: [busy] }), SESSION));
      assert.deepEqual([failure.code, failure.forwards], ['remote-port-busy', [busy.text]]);
    });

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
      assert.equal((await refused(driver.open(spec, SESSION))).code, 'local-port-busy');
    });

    it('a policy that forbids -R, and one that forbids -L', async () => {
      const strict = await startSshd(cleanup, { config: { AllowTcpForwarding: 'no' } });
      const reverse = await refused(
        driver.open(specFor(strict, { reverse: [forward(end(await freePort()), end(1))] }), SESSION),
      );
      assert.equal(reverse.code, 'forward-refused');
      const session = driver.open(specFor(strict, { forward: [forward(end(0), end(echo.port))] }), SESSION);
      const facts = await opened(session);
      await exchange({ port: facts.forwardPorts[0]! }, '').catch(() => undefined);
      assert.equal((await ended(session)).code, 'forward-refused');
    });

    it('a target that does not listen costs its own connection only', async () => {
      const nothing = await freePort();
      const session = driver.open(
        specFor(sshd, {
          forward: [forward(end(0), end(nothing)), forward(end(0), end(echo.port))],
          reverse: [forward(end(0), end(nothing))],
        }),
        SESSION,
      );
      const facts = await opened(session);
      for (const port of [facts.forwardPorts[0]!, facts.reversePorts[0]!]) {
        await exchange({ port }, '').catch(() => undefined);
      }
      assert.equal(String(await exchange({ port: facts.forwardPorts[1]! }, 'x')), 'x');
      await session.close();
    });
  });

  describe('names how a session ended', () => {
    it('killed, frozen, and with its server', async () => {
      const own = await startSshd(cleanup);
      const keepalive = { ...SESSION, keepaliveIntervalMs: 100, keepaliveCountMax: 2 };
      const first = driver.open(specFor(own), SESSION);
      await opened(first);
      own.killSessions();
      assert.equal((await ended(first)).code, 'server-closed');

      const second = driver.open(specFor(own, { forward: [forward(end(0), end(echo.port))] }), keepalive);
      const facts = await opened(second);
      const held = net.connect(facts.forwardPorts[0]!, '127.0.0.1').on('error', () => undefined);
      await new Promise((resolve) => held.once('connect', resolve));
      const cut = new Promise((resolve) => held.once('close', resolve));
      own.freezeSessions();
      assert.equal((await ended(second)).code, 'keepalive-timeout');
      await cut;
      own.thaw();

      const third = driver.open(specFor(own), SESSION);
      await opened(third);
      await own.stop();
      assert.equal((await ended(third)).code, 'server-closed');
    });

    it('stopped, at any moment', async () => {
      for (const delayMs of [0, 1, 5, 20, 40, 80]) {
        const session = driver.open(
          specFor(sshd, {
            forward: [forward(end(0), end(echo.port))],
            reverse: [forward(end(0), end(echo.port))],
          }),
          { ...SESSION, pty: true },
        );
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        await session.close();
        assert.equal(await session.closed, 'stopped');
      }
    });
  });
});

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** A unix socket whose program is gone. */
function writeStaleSocket(file: string): void {
  const program = `require('net').createServer().listen(${JSON.stringify(file)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', program]);
  assert.ok(existsSync(file));
}
