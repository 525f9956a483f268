import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { ExoError, LIMITS, VirtualClock } from '../../src/shared/index.js';
import { StreamEnd } from '../compliance/stream-end.js';
import { inTime } from '../support/eventually.js';
import { repeats } from '../support/repeats.js';
import { tlsCredentials } from '../support/tls-credentials.js';
import { type TlsEnds, tlsOverTcp } from '../support/tls-ends.js';

const MIB = 1024 * 1024;
/** TLS 1.3 record types in their outer form: what a stranger may be sent. */
const HANDSHAKE = 0x16;
const ALERT = 0x15;

describe('a listener that takes TLS', () => {
  let ends: TlsEnds;
  let folder: string;
  const clock = new VirtualClock();
  before(async () => {
    ends = await tlsOverTcp(clock);
    folder = mkdtempSync(path.join(os.tmpdir(), 'exo-tls-'));
  });
  after(async () => {
    await ends.stop();
    rmSync(folder, { recursive: true });
  });

  /** A certificate of another kind of key. */
  function otherCredentials(...newKey: string[]): { readonly key: Buffer; readonly cert: Buffer } {
    const [key, cert] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', ...newKey, '-nodes', '-keyout', key, '-out', cert, '-subj', '/CN=x'],
      { stdio: 'ignore' },
    );
    return { key: readFileSync(key), cert: readFileSync(cert) };
  }

  /** A TLS client of its own; resolves with what each end was told when the connection is over. */
  async function clientWith(
    options: tls.ConnectionOptions,
  ): Promise<{ far: Error | undefined; code: string }> {
    const client = tls.connect({ ...ends.address, rejectUnauthorized: false, ...options });
    let code = '';
    client.on('error', (error: NodeJS.ErrnoException) => {
      code ||= error.code ?? '';
    });
    client.on('secureConnect', () => client.write('EXO\x01'));
    const closed = new Promise<void>((resolve) => client.on('close', () => resolve()));
    const end = await ends.accepted();
    const far = await end.closed;
    await closed;
    assert.equal(end.receivedBytes, 0, 'bytes were handed out');
    return { far, code };
  }

  const isTlsFailed = (error: Error | undefined, words: RegExp) => {
    assert.ok(error instanceof ExoError, String(error));
    assert.equal(error.code, 'tls-failed');
    assert.match(error.message, words);
  };

  it('refuses a client without a certificate', async () => {
    const { far, code } = await clientWith({});
    isTlsFailed(far, /shows no certificate/);
    assert.match(code, /CERTIFICATE_REQUIRED|ECONNRESET/);
  });

  it('refuses a certificate with an RSA key', async () => {
    const { far } = await clientWith(otherCredentials('rsa:2048'));
    isTlsFailed(far, /no certificate with an Ed25519 key|no Ed25519/);
  });

  it('refuses a certificate with a P-256 key', async () => {
    const { far } = await clientWith(otherCredentials('ec', '-pkeyopt', 'ec_paramgen_curve:P-256'));
    isTlsFailed(far, /no certificate with an Ed25519 key|no Ed25519/);
  });

  it('refuses TLS 1.2', async () => {
    const { certificatePem, privateKeyPem } = await tlsCredentials();
    const { far, code } = await clientWith({
      cert: certificatePem,
      key: privateKeyPem,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.2',
    });
    isTlsFailed(far, /does not speak TLS 1\.3/);
    assert.match(code, /PROTOCOL_VERSION/);
  });

  it('takes up no earlier session', async () => {
    const { certificatePem, privateKeyPem } = await tlsCredentials();
    const own = { ...ends.address, cert: certificatePem, key: privateKeyPem, rejectUnauthorized: false };
    let session: Buffer | undefined;
    for (let round = 0; round < 2; round += 1) {
      const client = tls.connect({ ...own, ...(session === undefined ? {} : { session }) });
      client.on('error', () => undefined);
      client.on('session', (given) => {
        session = given;
      });
      client.on('secureConnect', () => client.write('EXO\x01'));
      const end = await ends.accepted();
      await end.received(4);
      assert.equal(client.isSessionReused(), false);
      assert.ok(end.stream.secured !== undefined);
      client.destroy();
      await goneFor(end);
    }
  });

  const garbage = {
    'a byte of TLS and then text': Buffer.from('\x16GET / HTTP/1.1\r\n\r\n', 'latin1'),
    'a record that is too long': Buffer.from([HANDSHAKE, 3, 1, 0xff, 0xff, 1]),
    'an empty record': Buffer.from([HANDSHAKE, 3, 1, 0, 0]),
    'a record that is no hello': Buffer.from([HANDSHAKE, 3, 3, 0, 4, 2, 0, 0, 0]),
    'a hello of zeros': Buffer.concat([Buffer.from([HANDSHAKE, 3, 1, 1, 0, 1]), Buffer.alloc(255)]),
  };
  for (const [what, bytes] of Object.entries(garbage)) {
    it(`closes on ${what}, with nothing but an alert in reply`, async () => {
      const { socket, replies } = await raw(ends.address.port);
      const startedMs = performance.now();
      socket.write(bytes);
      const end = await ends.accepted();
      isTlsFailed(await end.closed, /./);
      await new Promise((resolve) => socket.once('close', resolve));
      assert.ok(performance.now() - startedMs < inTime(1_000));
      const answer = Buffer.concat(replies);
      assert.ok(answer.length === 0 || (answer[0] === ALERT && answer.length <= 64), answer.toString('hex'));
      assert.equal(end.receivedBytes, 0);
    });
  }

  it('closes a hello that comes a byte a second, at the deadline that began with the first', async () => {
    const hello = await recordedHello();
    const { socket } = await raw(ends.address.port);
    const dripped = ends.accepted();
    socket.write(hello.subarray(0, 1));
    const end = await dripped;
    let reason: Error | undefined | 'open' = 'open';
    void end.closed.then((error) => {
      reason = error;
    });
    for (let second = 1; second <= 10 && reason === 'open'; second += 1) {
      socket.write(hello.subarray(second, second + 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
      await clock.advance(1_000);
      assert.ok(second * 1_000 <= LIMITS.handshakeTimeoutMs + 1_000, 'it was let be');
    }
    const error = await end.closed;
    assert.ok(error instanceof ExoError);
    assert.equal(error.code, 'handshake-timeout');
    socket.destroy();
  });

  it('closes a hello that nothing follows, at the same deadline', async () => {
    const hello = await recordedHello();
    const { socket, replies } = await raw(ends.address.port);
    socket.write(hello);
    const end = await ends.accepted();
    while (replies.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    await clock.advance(LIMITS.handshakeTimeoutMs);
    const error = await end.closed;
    assert.equal((error as ExoError).code, 'handshake-timeout');
    socket.destroy();
  });

  it('keeps little for each of 400 half handshakes, and nothing afterwards', async () => {
    const hello = await recordedHello();
    const held: Array<{ socket: net.Socket; end: StreamEnd }> = [];
    const open = async (bytes: Buffer, replied: boolean) => {
      const { socket, replies } = await raw(ends.address.port);
      socket.write(bytes);
      const end = await ends.accepted();
      for (let turn = 0; turn < 500 && replied && replies.length === 0; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      held.push({ socket, end });
    };
    for (let warm = 0; warm < 20; warm += 1) await open(hello, true);
    const before = process.memoryUsage.rss();
    for (let count = 0; count < 200; count += 1) await open(hello.subarray(0, -1), false);
    for (let count = 0; count < 200; count += 1) await open(hello, true);
    const grownBytes = process.memoryUsage.rss() - before;
    assert.ok(grownBytes < 48 * MIB, `${(grownBytes / MIB).toFixed(1)} MiB`);
    await clock.advance(LIMITS.handshakeTimeoutMs);
    const errors = await Promise.all(held.map(({ end }) => end.closed));
    assert.ok(errors.every((error) => error instanceof ExoError && error.code === 'handshake-timeout'));
    for (const { socket } of held) socket.destroy();
  });

  it('costs nobody else anything: bits flipped anywhere end the connection with a reason, and no wrong byte comes out', async () => {
    const step = repeats(29, 1);
    for (const direction of ['there', 'back'] as const) {
      // The very first byte says what the connection is: another one makes it plain, for others to refuse.
      for (let at = 1; at < 1_600; at += step) {
        const relay = await flipRelay(ends.address.port, direction, at);
        const accepted = ends.accepted();
        const dialling = ends.near.dial(
          { host: '127.0.0.1', port: relay.port },
          { timeoutMs: inTime(300), secure: true },
        );
        const far = await accepted;
        const near = await dialling.then(
          (stream) => new StreamEnd(stream),
          (error: unknown) => {
            assert.ok(error instanceof ExoError, String(error));
            // A changed length makes the other end wait for what never comes.
            assert.match(error.code, /^(tls-failed|connection-closed|handshake-timeout)$/);
            return undefined;
          },
        );
        far.stream.onData = (chunk) =>
          assert.ok(
            chunk.every((byte) => byte === 0x61),
            'a wrong byte came out',
          );
        far.ended.then(
          () => far.stream.end(),
          () => undefined,
        );
        if (near !== undefined) {
          near.stream.write([Buffer.alloc(1_000, 'a')]);
          near.stream.end();
          near.ended.then(
            () => near.stream.destroy(),
            () => undefined,
          );
          await near.closed;
        }
        const error = await far.closed;
        assert.ok(error === undefined || error instanceof ExoError);
        await relay.stop();
      }
    }
  });

  it('takes the next honest one after all of that', async () => {
    const { near, far } = await ends.pair();
    near.stream.write([Buffer.from('hello')]);
    await far.received(5);
    near.stream.end();
    await far.ended;
    far.stream.end();
    await Promise.all([near.closed, far.closed]);
  });

  /** A bare connection and what came back over it. */
  async function raw(port: number): Promise<{ socket: net.Socket; replies: Buffer[] }> {
    const socket = net.connect({ port, host: '127.0.0.1' });
    const replies: Buffer[] = [];
    socket.on('data', (chunk) => replies.push(chunk)).on('error', () => undefined);
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    return { socket, replies };
  }

  /** The first record that our own dialler sends. */
  async function recordedHello(): Promise<Buffer> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const first = new Promise<Buffer>((resolve) => {
      server.once('connection', (socket) => {
        socket.on('error', () => undefined);
        socket.once('data', (chunk) => {
          resolve(chunk);
          socket.destroy();
        });
      });
    });
    const { port } = server.address() as net.AddressInfo;
    await ends.near
      .dial({ host: '127.0.0.1', port }, { timeoutMs: 5_000, secure: true })
      .catch(() => undefined);
    server.close();
    return first;
  }

  async function goneFor(end: StreamEnd): Promise<void> {
    end.ended.then(
      () => end.stream.end(),
      () => undefined,
    );
    await end.closed;
  }
});

/** A relay that flips one bit of the byte at `at` in one direction. */
async function flipRelay(target: number, direction: 'there' | 'back', at: number) {
  const sockets: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (near) => {
    const far = net.connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    sockets.push(near, far);
    join(near, far, direction === 'there');
    join(far, near, direction === 'back');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  function join(from: net.Socket, to: net.Socket, flips: boolean): void {
    let seenBytes = 0;
    from.on('data', (chunk) => {
      const index = at - seenBytes;
      if (flips && index >= 0 && index < chunk.length) chunk[index] = chunk[index]! ^ 0x10;
      seenBytes += chunk.length;
      to.write(chunk);
    });
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
  return {
    port: (server.address() as net.AddressInfo).port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
