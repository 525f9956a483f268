import '../support/leaks.js';
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createTcpTransport, createTlsTransport } from '../../src/protocol/index.js';
import { ExoError, systemClock } from '../../src/shared/index.js';
import { StreamEnd } from '../compliance/stream-end.js';
import { inTime } from '../support/eventually.js';
import { tlsCredentials } from '../support/tls-credentials.js';
import { type TlsEnds, tlsOverTcp } from '../support/tls-ends.js';

const KIB = 1024;
const MIB = 1024 * KIB;

describe('an encrypted stream', () => {
  let ends: TlsEnds;
  before(async () => {
    ends = await tlsOverTcp();
  });
  after(() => ends.stop());

  it('has proven both keys, and one binding for both ends that no other stream has', async () => {
    const [nearMade, farMade] = await Promise.all([tlsCredentials(), tlsCredentials()]);
    const tcp = createTcpTransport({ clock: systemClock });
    let far: StreamEnd | undefined;
    const listener = createTlsTransport(tcp, { clock: systemClock, credentials: farMade }).listen(
      { host: '127.0.0.1', port: 0 },
      (stream) => {
        far = new StreamEnd(stream);
        far.onFirstData = () => assert.ok(stream.secured !== undefined, 'data came before it was secured');
      },
    );
    await listener.start();
    const dialler = createTlsTransport(tcp, { clock: systemClock, credentials: nearMade });
    const bindings = new Set<string>();
    for (let round = 0; round < 5; round += 1) {
      const stream = await dialler.dial(listener.address, { timeoutMs: 5_000, secure: true });
      const near = new StreamEnd(stream);
      stream.write([Buffer.from('first')]);
      await far!.received(5);
      const [ours, theirs] = [stream.secured!, far!.stream.secured!];
      assert.equal(ours.binding.length, 32);
      assert.deepEqual(ours.binding, theirs.binding);
      assert.deepEqual(ours.peerKey, rawKeyOf(farMade.certificatePem));
      assert.deepEqual(theirs.peerKey, rawKeyOf(nearMade.certificatePem));
      bindings.add(ours.binding.toString('hex'));
      stream.destroy();
      await over(near, far!);
    }
    assert.equal(bindings.size, 5);
    await listener.stop();
  });

  it('is plain where nobody asked for more, with bytes untouched', async () => {
    const { near, far } = await ends.pair(false);
    const chunks: string[] = [];
    far.stream.onData = (chunk) => chunks.push(chunk.toString('latin1'));
    near.stream.write([Buffer.from('EXO\x01 and so on')]);
    near.stream.end();
    await far.ended;
    assert.deepEqual(chunks, ['EXO\x01 and so on']);
    assert.equal(near.stream.secured, undefined);
    assert.equal(far.stream.secured, undefined);
    far.stream.end();
    await near.closed;
  });

  for (const side of ['near', 'far'] as const) {
    it(`loses nothing when the ${side} end ends while it is being sent to`, async () => {
      const pair = await ends.pair();
      const [ending, sending] = side === 'near' ? [pair.near, pair.far] : [pair.far, pair.near];
      ending.onFirstData = () => ending.stream.end();
      for (let part = 0; part < 64; part += 1) sending.stream.write([Buffer.alloc(128 * KIB, part)]);
      await sending.ended;
      sending.stream.write([Buffer.from('and more')]);
      sending.stream.end();
      await ending.ended;
      assert.equal(ending.receivedBytes, 8 * MIB + 8);
      assert.equal(await ending.closed, undefined);
      assert.equal(await sending.closed, undefined);
    });
  }

  it('carries 256 MiB in level memory', async () => {
    const { near, far } = await ends.pair();
    const piece = Buffer.alloc(256 * KIB, 7);
    let rssBytes = 0;
    let mostBytes = 0;
    for (let sentBytes = 0; sentBytes < 256 * MIB; sentBytes += piece.length) {
      near.stream.write([piece]);
      await near.drained();
      const nowBytes = process.memoryUsage.rss();
      if (sentBytes < 64 * MIB) rssBytes = Math.max(rssBytes, nowBytes);
      else mostBytes = Math.max(mostBytes, nowBytes);
    }
    near.stream.end();
    await far.ended;
    assert.equal(far.receivedBytes, 256 * MIB);
    assert.ok(mostBytes - rssBytes < 32 * MIB, `grew by ${(mostBytes - rssBytes) / MIB} MiB`);
    far.stream.end();
    await Promise.all([near.closed, far.closed]);
  });

  it('leaves nothing behind: 1,000 of them, closed in every way', async () => {
    const sockets = () =>
      process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Timeout/.test(name)).length;
    const before = sockets();
    for (let round = 0; round < 40; round += 1) {
      await Promise.all(
        Array.from({ length: 25 }, async (_, index) => {
          const { near, far } = await ends.pair();
          near.stream.write([Buffer.alloc(1_000)]);
          if (index % 5 === 0) near.stream.destroy();
          else if (index % 5 === 1) far.stream.destroy();
          else if (index % 5 === 2) {
            await far.received(1_000);
            far.stream.destroy();
          } else {
            near.stream.end();
            await far.ended;
            far.stream.end();
          }
          await over(near, far);
        }),
      );
    }
    // A closed handle is gone a turn of the loop later.
    for (let turn = 0; turn < 100 && sockets() > before; turn += 1) await new Promise((r) => setImmediate(r));
    assert.ok(
      sockets() <= before,
      `${sockets() - before} left: ${process.getActiveResourcesInfo().join(' ')}`,
    );
  });
});

describe('an encrypted dial', () => {
  const codeOf = (code: string, words: RegExp) => (error: unknown) => {
    assert.ok(error instanceof ExoError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  };

  /** A plain server that does with each connection as it is told. */
  async function withServer(
    serve: (socket: net.Socket) => void,
    test: (dial: (timeoutMs?: number, signal?: AbortSignal) => Promise<unknown>) => Promise<void>,
  ): Promise<void> {
    const sockets: net.Socket[] = [];
    const server = net.createServer((socket) => {
      sockets.push(socket.on('error', () => undefined));
      serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const transport = createTlsTransport(createTcpTransport({ clock: systemClock }), {
      clock: systemClock,
      credentials: await tlsCredentials(),
    });
    try {
      await test((timeoutMs = 5_000, signal) =>
        transport.dial(
          { host: '127.0.0.1', port },
          { timeoutMs, secure: true, ...(signal === undefined ? {} : { signal }) },
        ),
      );
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  it('to one who closes at the first byte that is not EXO: says so', () =>
    withServer(
      (socket) => socket.once('data', () => socket.end()),
      (dial) =>
        assert.rejects(dial(), codeOf('connection-closed', /closed the connection during the TLS handshake/)),
    ));

  it('to one who resets: says so', () =>
    withServer(
      (socket) => socket.once('data', () => socket.resetAndDestroy()),
      (dial) => assert.rejects(dial(), codeOf('connection-closed', /reset the connection during the TLS/)),
    ));

  it('to one who answers in plain: says so', () =>
    withServer(
      (socket) => socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')),
      (dial) => assert.rejects(dial(), codeOf('tls-failed', /it does not speak TLS/)),
    ));

  it('to one who never answers: gives up within its deadline', () =>
    withServer(
      () => undefined,
      async (dial) => {
        const startedMs = performance.now();
        await assert.rejects(dial(200), codeOf('handshake-timeout', /TLS handshake within 0\.2 s/));
        assert.ok(performance.now() - startedMs < inTime(2_000));
      },
    ));

  it('until it is aborted', () =>
    withServer(
      () => undefined,
      async (dial) => {
        const controller = new AbortController();
        const dialling = dial(60_000, controller.signal);
        setImmediate(() => controller.abort(new Error('no longer wanted')));
        await assert.rejects(dialling, codeOf('connect-failed', /given up/));
      },
    ));
});

/** Closed at both ends. A reset may look like FIN where the system told another call of it: then it is over once this end ends. */
async function over(...ends: readonly StreamEnd[]): Promise<void> {
  for (const end of ends) {
    end.ended.then(
      () => end.stream.end(),
      () => undefined,
    );
  }
  await Promise.all(ends.map((end) => end.closed));
}

function rawKeyOf(certificatePem: string): Buffer {
  const { x } = new X509Certificate(certificatePem).publicKey.export({ format: 'jwk' });
  return Buffer.from(x!, 'base64url');
}
