/** Sessions that cannot be opened: each has its own reason, and nothing is offered to a host before its key is checked. */
import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { inTime } from '../support/eventually.js';
import { freePort } from '../support/ports.js';
import { openSilentPort } from '../support/silent-port.js';
import { makeKeyPair } from '../support/sshd.js';
import { exchange, openFarEnd } from '../tunnels/far-end.js';
import type { TunnelLab } from './tunnel-lab.js';
import { end, forward } from './tunnel-specs.js';

/** Where nothing is to be waited for but the answer. */
const SHORT = { connectTimeoutMs: inTime(1_000) };

export function tunnelRefusalsSuite(theLab: () => TunnelLab): void {
  const at = (port: number) => ({
    destination: { user: theLab().sshd.user, host: '127.0.0.1', port, text: `127.0.0.1:${port}` },
  });

  describe('checks the host key before anything is offered:', () => {
    const noKeyOffered = async (knownHosts: string) => {
      const { sshd } = theLab();
      sshd.clearLog();
      const failure = await theLab().fails({ knownHosts });
      assert.equal(sshd.keysOffered(), 0);
      return failure;
    };
    const otherKey = (): string => {
      const file = path.join(theLab().folder(), 'other');
      makeKeyPair(file);
      return readFileSync(`${file}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
    };
    const fileOf = (text: string): string => {
      const file = path.join(theLab().folder(), 'known_hosts');
      writeFileSync(file, text);
      return file;
    };

    it('unknown, with the command that adds it', async () => {
      const failure = await noKeyOffered(fileOf(''));
      assert.equal(failure.code, 'host-key-unknown');
      assert.match(failure.message, new RegExp(`ssh-keyscan.* -p ${theLab().sshd.port} .*127\\.0\\.0\\.1`));
    });

    it('changed, with the command that mends it', async () => {
      const name = `[127.0.0.1]:${theLab().sshd.port}`;
      const file = fileOf(`${name} ${otherKey()}\n`);
      const failure = await noKeyOffered(file);
      assert.equal(failure.code, 'host-key-changed');
      assert.ok(failure.message.includes('ssh-keygen'), failure.message);
      assert.ok(failure.message.includes('-R') && failure.message.includes(name), failure.message);
      assert.ok(failure.message.includes(file), failure.message);
    });

    it('revoked', async () => {
      const file = fileOf(theLab().sshd.knownHostsLine);
      appendFileSync(file, `@revoked * ${theLab().sshd.hostKey}\n`);
      assert.equal((await noKeyOffered(file)).code, 'host-key-revoked');
    });

    it('in a file that is not there', async () => {
      const failure = await noKeyOffered('/nowhere/known_hosts');
      assert.equal(failure.code, 'host-key-unreadable');
      assert.match(failure.message, /\/nowhere\/known_hosts/);
    });

    it('known under a hashed name', async (t) => {
      await theLab().up(t, { knownHosts: theLab().sshd.knownHostsHashed });
    });
  });

  describe('logs in by key only:', () => {
    it('a key that the server does not know', async () => {
      const identity = path.join(theLab().folder(), 'stranger');
      makeKeyPair(identity);
      assert.equal((await theLab().fails({ identity: [identity] })).code, 'auth-failed');
    });

    it('a key that is not there, that others may read, that is no key, that needs a passphrase', async () => {
      const lab = theLab();
      const folder = lab.folder();
      const file = (name: string) => path.join(folder, name);
      copyFileSync(lab.sshd.identity, file('open'));
      chmodSync(file('open'), 0o644);
      writeFileSync(file('garbage'), 'garbage\n', { mode: 0o600 });
      makeKeyPair(file('locked'), { passphrase: 'a secret of the test' });
      appendFileSync(lab.sshd.authorizedKeys, readFileSync(`${file('locked')}.pub`));
      for (const name of ['missing', 'open', 'garbage', 'locked']) {
        const failure = await lab.fails({ identity: [file(name)] });
        assert.equal(failure.code, 'identity-unreadable', `${name}: ${failure.message}`);
        assert.ok(failure.message.includes(file(name)), failure.message);
      }
    });
  });

  describe('says what is on the way:', () => {
    it('nothing that listens', async () => {
      assert.equal((await theLab().fails(at(await freePort()))).code, 'connect-refused');
    });

    it('no answer', async (t) => {
      const silent = await openSilentPort();
      t.after(() => silent.stop());
      assert.equal((await theLab().fails(at(silent.port), SHORT)).code, 'connect-timeout');
    });

    it('a name that leads nowhere', async () => {
      const destination = { host: 'no-such-host.invalid', text: 'no-such-host.invalid' };
      assert.equal((await theLab().fails({ destination })).code, 'resolve-failed');
    });

    for (const [what, code, serve] of [
      ['a server that accepts and says nothing', 'server-silent', () => undefined],
      [
        'one that stops in the middle of the handshake',
        'server-silent',
        (socket: net.Socket) => void socket.write('SSH-2.0-test\r\n'),
      ],
      [
        'one that speaks HTTP',
        'not-ssh',
        (socket: net.Socket) =>
          void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')),
      ],
      ['one that ends at once', 'server-closed', (socket: net.Socket) => void socket.end()],
      [
        'one that is full',
        'server-closed',
        (socket: net.Socket) => void socket.end('Exceeded MaxStartups\r\n'),
      ],
    ] as const) {
      it(what, async (t) => {
        const server = await openFarEnd(serve);
        t.after(() => server.stop());
        const failure = await theLab().fails(at(server.port), SHORT);
        assert.equal(failure.code, code, failure.message);
      });
    }

    it('no algorithm in common', async (t) => {
      const strict = await theLab().server(t, { Ciphers: 'aes128-gcm@openssh.com' });
      const options = { IdentityAgent: 'none', Ciphers: 'aes256-gcm@openssh.com' };
      const failure = await theLab().fails({ options }, {}, strict);
      assert.equal(failure.code, 'no-common-algorithm', failure.message);
    });
  });

  describe('opens all forwards or none:', () => {
    const taken = async (t: TestContext) => {
      const server = await openFarEnd(() => undefined);
      t.after(() => server.stop());
      return server;
    };

    it('a port of -L that is taken', async (t) => {
      const lab = theLab();
      const { port } = await taken(t);
      const free = await freePort();
      const target = end(lab.echo.port);
      const busy = forward(end(port, 'localhost'), target);
      const failure = await lab.fails({ forward: [forward(end(free), target), busy] });
      assert.equal(failure.code, 'local-port-busy');
      assert.deepEqual(failure.forwards, [busy.text]);
      await assert.rejects(exchange({ port: free }, 'x'), /ECONNREFUSED/);
      await lab.untilNothingIsLeft();
    });

    it('a port of -R that is taken, also one of 127.0.0.1 alone', async (t) => {
      const lab = theLab();
      const { port } = await taken(t);
      const free = await freePort();
      const target = end(lab.echo.port);
      const busy = forward(end(port, 'localhost'), target);
      const failure = await lab.fails({ reverse: [busy, forward(end(free), target)] });
      assert.equal(failure.code, 'remote-port-busy');
      assert.deepEqual(failure.forwards, [busy.text]);
      await lab.untilNothingIsLeft();
      await assert.rejects(exchange({ port: free }, 'x'), /ECONNREFUSED/);
    });

    it('a socket of -L on which somebody listens; one that was left behind is replaced', async (t) => {
      const lab = theLab();
      const socket = path.join(lab.folder(), 'socket');
      const server = await openFarEnd(() => undefined, { path: socket });
      const changes = { forward: [forward(end(socket), end(lab.echo.port))] };
      assert.equal((await lab.fails(changes)).code, 'local-port-busy');
      await server.stop();
      await lab.up(t, changes);
      assert.equal((await exchange({ path: socket }, 'x')).toString(), 'x');
    });

    for (const [what, config] of [
      ['forbids forwards', { AllowTcpForwarding: 'no' }],
      ['forbids -R', { AllowTcpForwarding: 'local' }],
      ['names the ports that it allows', { PermitListen: '1' }],
    ] as const) {
      it(`a -R under a policy that ${what}`, async (t) => {
        const strict = await theLab().server(t, config);
        const reverse = [forward(end(await freePort(), 'localhost'), end(theLab().echo.port))];
        const failure = await theLab().fails({ reverse }, {}, strict);
        assert.equal(failure.code, 'forward-refused', failure.message);
        assert.deepEqual(failure.forwards, [reverse[0]!.text]);
      });
    }

    for (const [what, config] of [
      ['forbids forwards', { AllowTcpForwarding: 'remote' }],
      ['names the addresses that it allows', { PermitOpen: '127.0.0.1:1' }],
    ] as const) {
      it(`a -L under a policy that ${what}, at its first connection`, async (t) => {
        const strict = await theLab().server(t, config);
        const plan = { forward: [forward(end(0), end(theLab().echo.port))] };
        const { session, facts } = await theLab().up(t, plan, {}, strict);
        const [port] = facts.forwardPorts;
        const socket = net.connect(port!, '127.0.0.1').on('error', () => undefined);
        const failure = await session.closed;
        socket.destroy();
        assert.ok(failure !== 'stopped' && failure.code === 'forward-refused', JSON.stringify(failure));
        assert.deepEqual(failure.forwards, [plan.forward[0]!.text]);
      });
    }

    it('a -R under a policy that allows it by the name "localhost"', async (t) => {
      const port = await freePort();
      const strict = await theLab().server(t, { PermitListen: `localhost:${port}` });
      await theLab().up(
        t,
        { reverse: [forward(end(port, 'localhost'), end(theLab().echo.port))] },
        {},
        strict,
      );
      assert.equal((await exchange({ port }, 'x')).toString(), 'x');
    });
  });
}
