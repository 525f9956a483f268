/** Forwards that stand: what they carry, what is told about them, and the way to the far machine. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { isErrorCode } from '../../src/shared/index.js';
import { freePort } from '../support/ports.js';
import type { Sshd } from '../support/sshd.js';
import { exchange, openEcho } from '../tunnels/far-end.js';
import { OPTIONS, sha256, type TunnelLab } from './tunnel-lab.js';
import { end, forward, specFor } from './tunnel-specs.js';

const LARGE_BYTES = 100 * 1024 * 1024;
const SMALL_BYTES = 64 * 1024;

export function tunnelOpensSuite(theLab: () => TunnelLab): void {
  describe('opens', () => {
    it('one -L and one -R, and 100 MiB come back the same through each, half-closed', async (t) => {
      const lab = theLab();
      const { facts } = await lab.up(t, {
        forward: [forward(end(0, 'localhost'), end(lab.echo.port))],
        reverse: [forward(end(0, 'localhost'), end(lab.echo.port))],
      });
      const data = randomBytes(LARGE_BYTES);
      for (const port of [facts.forwardPorts[0], facts.reversePorts[0]]) {
        assert.equal(sha256(await exchange({ port: port! }, data)), sha256(data));
      }
    });

    it('several forwards, and tells their real ports in their order', async (t) => {
      const lab = theLab();
      const [local, remote] = [await freePort(), await freePort()];
      const target = end(lab.echo.port);
      const { facts } = await lab.up(t, {
        forward: [forward(end(local), target), forward(end(0), target), forward(end(0), target)],
        reverse: [
          forward(end(0), target),
          forward(end(remote), target),
          forward(end(0, 'localhost'), end(lab.echo.port, 'localhost')),
        ],
      });
      assert.equal(facts.forwardPorts.length, 3);
      assert.equal(facts.reversePorts.length, 3);
      assert.equal(facts.forwardPorts[0], local);
      assert.equal(facts.reversePorts[1], remote);
      const ports = [...facts.forwardPorts, ...facts.reversePorts];
      assert.equal(new Set(ports).size, 6);
      const data = randomBytes(SMALL_BYTES);
      for (const port of ports) assert.deepEqual(await exchange({ port: port! }, data), data);
    });

    it('no forward at all', async (t) => {
      const { facts } = await theLab().up(t);
      assert.deepEqual([facts.forwardPorts, facts.reversePorts], [[], []]);
    });

    it('unix sockets at every end, and leaves no file of -L', async (t) => {
      const lab = theLab();
      const folder = lab.folder();
      const echo = await openEcho({ path: path.join(folder, 'echo') });
      t.after(() => echo.stop());
      const [local, remote] = [path.join(folder, 'local'), path.join(folder, 'remote')];
      const { session, facts } = await lab.up(t, {
        forward: [forward(end(local), end(echo.path!))],
        reverse: [forward(end(remote), end(echo.path!))],
      });
      assert.deepEqual([facts.forwardPorts, facts.reversePorts], [[undefined], [undefined]]);
      const data = randomBytes(SMALL_BYTES);
      assert.deepEqual(await exchange({ path: local }, data), data);
      assert.deepEqual(await exchange({ path: remote }, data), data);
      assert.deepEqual(
        await talk(await session.connectFar(end(remote), AbortSignal.timeout(5_000)), data),
        data,
      );
      await session.close();
      assert.ok(!existsSync(local));
    });

    it('a target that does not listen costs its own connection only', async (t) => {
      const lab = theLab();
      const { facts } = await lab.up(t, {
        forward: [forward(end(0), end(await freePort())), forward(end(0), end(lab.echo.port))],
      });
      const [dead, alive] = facts.forwardPorts;
      const nothing = await exchange({ port: dead! }, 'x').catch(() => Buffer.alloc(0));
      assert.equal(nothing.length, 0);
      assert.equal((await exchange({ port: alive! }, 'x')).toString(), 'x');
    });

    it('and says which server answers, with which cipher', async (t) => {
      const { facts } = await theLab().up(t);
      assert.match(facts.serverVersion ?? '', /^OpenSSH_/);
      assert.match(facts.cipher ?? '', /^[a-z0-9@.-]+$/);
    });
  });

  describe('connects from the far machine', () => {
    it('to the listener of a -R, which proves it from its far end', async (t) => {
      const lab = theLab();
      const { session, facts } = await lab.up(t, {
        reverse: [forward(end(0, 'localhost'), end(lab.echo.port))],
      });
      const data = randomBytes(4 * 1024 * 1024);
      for (let round = 0; round < 3; round += 1) {
        const target = end(facts.reversePorts[0]!, 'localhost');
        assert.deepEqual(
          await talk(await session.connectFar(target, AbortSignal.timeout(5_000)), data),
          data,
        );
      }
    });

    it('and fails with a code where nobody listens, again and again, at no cost to the session', async (t) => {
      const { session } = await theLab().up(t);
      for (let round = 0; round < 5; round += 1) {
        assert.equal(
          await codeOf(session.connectFar(end(await freePort()), AbortSignal.timeout(5_000))),
          'connect-failed',
        );
      }
      const echo = end(theLab().echo.port);
      assert.equal(
        (await talk(await session.connectFar(echo, AbortSignal.timeout(5_000)), 'x')).toString(),
        'x',
      );
    });

    it('and sees it when the -R behind it leads to nobody', async (t) => {
      const { session, facts } = await theLab().up(t, { reverse: [forward(end(0), end(await freePort()))] });
      const stream = await session.connectFar(end(facts.reversePorts[0]!), AbortSignal.timeout(5_000));
      assert.equal((await talk(stream, 'x').catch(() => Buffer.alloc(0))).length, 0);
    });

    it('not where its policy forbids it, nor when aborted, nor when the session is gone', async (t) => {
      const lab = theLab();
      const strict = await lab.server(t, { AllowTcpForwarding: 'remote' });
      const { session } = await lab.up(t, {}, {}, strict);
      const target = end(lab.echo.port);
      assert.equal(
        await codeOf(session.connectFar(target, AbortSignal.timeout(5_000))),
        'request-unsupported',
      );
      const reason = new Error('enough');
      await assert.rejects(session.connectFar(target, AbortSignal.abort(reason)), reason);
      await session.close();
      assert.equal(await codeOf(session.connectFar(target, AbortSignal.timeout(5_000))), 'connection-closed');
    });
  });

  describe('holds a session on the far machine', () => {
    it('with a pty where it is asked for and allowed', async (t) => {
      const lab = theLab();
      assert.equal((await lab.up(t)).facts.pty, 'not-asked');
      assert.equal((await lab.up(t, { name: 'with-pty' }, { pty: true })).facts.pty, 'held');
      const strict = await lab.server(t, { PermitTTY: 'no' });
      const changes = { name: 'no-pty', forward: [forward(end(0), end(lab.echo.port))] };
      const { session, facts } = await lab.up(t, changes, { pty: true }, strict);
      assert.equal(facts.pty, 'refused');
      assert.ok((await session.named) !== undefined);
      assert.equal((await exchange({ port: facts.forwardPorts[0]! }, 'x')).toString(), 'x');
    });

    it('and learns the pid of the sshd that serves it', async (t) => {
      const { session } = await theLab().up(t);
      assert.ok(
        theLab()
          .sshd.pidsOfSessions()
          .includes((await session.named)!),
      );
    });

    it('and learns it later where the far shell takes its time, at every session', async (t) => {
      const lab = theLab();
      const slow = await lab.server(t, { ForceCommand: 'sleep 4; eval "$SSH_ORIGINAL_COMMAND"' });
      const changes = { name: 'slow-shell', forward: [forward(end(0), end(lab.echo.port))] };
      for (let round = 0; round < 2; round++) {
        const { session, facts } = await lab.up(t, changes, {}, slow);
        assert.equal(facts.farPid, undefined, 'the tunnel does not wait for it');
        assert.equal((await exchange({ port: facts.forwardPorts[0]! }, 'x')).toString(), 'x');
        assert.ok(slow.pidsOfSessions().includes((await session.named)!));
        await session.close();
      }
    });

    for (const [what, config] of [
      ['whose command is forced to end', { ForceCommand: '/bin/false' }],
      ['that has no session at all', { MaxSessions: 0 }],
    ] as const) {
      it(`and works without one for an account ${what}`, async (t) => {
        const lab = theLab();
        const strict = await lab.server(t, config);
        const changes = {
          name: what,
          forward: [forward(end(0), end(lab.echo.port))],
          reverse: [forward(end(0), end(lab.echo.port))],
        };
        for (const pty of [true, false]) {
          const { session, facts } = await lab.up(t, changes, { pty }, strict);
          assert.equal(facts.farPid, undefined);
          for (const port of [facts.forwardPorts[0], facts.reversePorts[0]]) {
            assert.equal((await exchange({ port: port! }, 'x')).toString(), 'x');
          }
          await session.close();
        }
      });
    }
  });

  describe('goes through a jump host', () => {
    it('which is the first that is dialled', async () => {
      const { driver, sshd } = theLab();
      const signal = AbortSignal.timeout(5_000);
      assert.deepEqual(await driver.firstHop(specFor(sshd), signal), { host: '127.0.0.1', port: sshd.port });
      const jump = ['127.0.0.3', '127.0.0.4'].map((host) => ({ host, port: 2022, text: `${host}:2022` }));
      const first = await driver.firstHop(specFor(sshd, { jump }), signal);
      assert.deepEqual(first, { host: '127.0.0.3', port: 2022 });
    });

    it('and carries everything', async (t) => {
      const lab = theLab();
      const jump = await lab.server(t, {}, '127.0.0.2');
      appendFileSync(jump.authorizedKeys, readFileSync(`${lab.sshd.identity}.pub`));
      const knownHosts = path.join(lab.folder(), 'known_hosts');
      writeFileSync(knownHosts, lab.sshd.knownHostsLine + jump.knownHostsLine);
      const { facts } = await lab.up(t, {
        knownHosts,
        jump: [specFor(jump).destination],
        forward: [forward(end(0), end(lab.echo.port))],
        reverse: [forward(end(0), end(lab.echo.port))],
      });
      assert.equal(jump.connections(), 1);
      for (const port of [facts.forwardPorts[0], facts.reversePorts[0]]) {
        assert.equal((await exchange({ port: port! }, 'x')).toString(), 'x');
      }
    });

    it('and tells a jump host that is not there from a host that is not there', async (t) => {
      const lab = theLab();
      const jump = await lab.server(t, {}, '127.0.0.2');
      appendFileSync(jump.authorizedKeys, readFileSync(`${lab.sshd.identity}.pub`));
      const knownHosts = path.join(lab.folder(), 'known_hosts');
      writeFileSync(knownHosts, lab.sshd.knownHostsLine + jump.knownHostsLine);
      const { destination } = specFor({ ...specOf(lab.sshd), port: await freePort() });
      const changes = { knownHosts, jump: [specFor(jump).destination] };
      assert.equal((await lab.fails({ ...changes, destination })).code, 'connect-refused');
      await jump.stop();
      assert.equal((await lab.fails(changes)).code, 'connect-refused');
    });
  });

  it('is there, and says its version', async () => {
    const found = await theLab().driver.available();
    assert.match('version' in found ? found.version : found.missing, /^(?:OpenSSH|ssh2)_\d/);
    assert.ok(OPTIONS.connectTimeoutMs > 0);
  });
}

function specOf({ user, address, port, identity, knownHosts }: Sshd) {
  return { user, address, port, identity, knownHosts };
}

/** Sends, ends its own direction and reads to the end. */
function talk(stream: Duplex, data: Buffer | string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.once('end', () => resolve(Buffer.concat(parts)));
    stream.once('error', reject);
    stream.once('close', () => reject(new Error('closed before its end')));
    stream.end(data);
  });
}

/** The code with which a connection is refused: at once, or by its stream before it has said a byte. */
async function codeOf(connecting: Promise<Duplex>): Promise<string> {
  try {
    await talk(await connecting, 'x');
  } catch (error) {
    const { code } = error as { code?: unknown };
    assert.ok(isErrorCode(code), `an error of ours: ${error}`);
    return code;
  }
  return 'none';
}
