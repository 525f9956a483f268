/** The probe of a tunnel against real sockets: what answers, and what else may be there. */
import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createNode, type Node } from '../../src/node/index.js';
import { createTunnelProbe } from '../../src/node/tunnel-probe.js';
import { ExoError, LIMITS, systemClock } from '../../src/shared/index.js';

const open: Socket[] = [];
const servers: Server[] = [];
let node: Node;

before(async () => {
  node = createNode({
    nodeId: 'probed',
    instance: '00000000000000aa',
    epoch: 1,
    version: 'test',
    nodeHost: '127.0.0.1',
    nodePort: 0,
    discovery: { modules: [], discoveryTimeoutMs: 30_000, listenPort: 5678, broadcastPort: 5678 },
    engine: 'dummy',
    responseTimeoutMs: 1_000,
    maxGenerateTokens: 1,
    defaultTemperature: 0,
  });
  await node.start();
});

after(async () => {
  for (const socket of open) socket.destroy();
  for (const server of servers) server.close();
  await node.stop();
});

/** A server that does this with every connection. */
async function serve(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    open.push(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

function dial(port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port });
  open.push(socket);
  return socket;
}

const probe = createTunnelProbe(systemClock);
const never = new AbortController().signal;

async function refusal(port: number): Promise<ExoError> {
  return await probe(dial(port), never).then(
    () => assert.fail('it was taken for a node'),
    (error: ExoError) => error,
  );
}

describe('the probe of a tunnel', () => {
  test('resolves with the round trip when a node has answered, and leaves the stream open', async () => {
    const socket = dial(node.mesh.self().nodePort);
    for (const padBytes of [0, 8 * 1024]) {
      const writtenBefore = socket.bytesWritten;
      const { rttMs } = await probe(socket, never, { padBytes });
      assert.ok(rttMs > 0 && rttMs < 5_000, `${rttMs} ms`);
      assert.ok(socket.bytesWritten - writtenBefore > padBytes, `${padBytes} bytes were asked for`);
      assert.equal(socket.destroyed, false);
    }
  });

  test('tells what the tunnel itself says of the stream, until the first byte', async () => {
    const socket = dial(node.mesh.self().nodePort);
    const failed = assert.rejects(probe(socket, never), { code: 'request-unsupported' });
    socket.destroy(new ExoError('request-unsupported', 'the policy of the server'));
    await failed;
  });

  test('makes no peer of either side', async () => {
    await probe(dial(node.mesh.self().nodePort), never);
    assert.deepEqual(node.mesh.peers(), []);
  });

  test('fails with connection-closed when the stream ends before a byte came', async () => {
    const port = await serve((socket) => socket.end());
    assert.equal((await refusal(port)).code, 'connection-closed');
  });

  test('fails with a frame code when something else answers', async () => {
    for (const said of ['HTTP/1.1 400 Bad Request\r\n\r\n', 'SSH-2.0-OpenSSH_9.2\r\n', 'EXO', '-']) {
      const port = await serve((socket) => socket.end(said));
      assert.match((await refusal(port)).code, /^frame-/, said);
    }
  });

  test('fails with a frame code for an exo frame that is no health answer, and for one that is too long', async () => {
    for (const hex of [
      '45584f011000000000',
      '45584f0102ffffffff',
      '45584f01020000000278 78'.replace(' ', ''),
    ]) {
      const port = await serve((socket) => socket.write(Buffer.from(hex, 'hex')));
      assert.match((await refusal(port)).code, /^frame-/, hex);
    }
  });

  test('takes an answer that comes byte by byte', async () => {
    const body = Buffer.from('{"is_healthy": true}');
    const answer = Buffer.concat([Buffer.from('45584f0102000000', 'hex'), Buffer.from([body.length]), body]);
    const port = await serve((socket) => {
      socket.setNoDelay(true);
      const next = (at: number) => {
        if (at < answer.length) socket.write(answer.subarray(at, at + 1), () => setImmediate(next, at + 1));
      };
      socket.once('data', () => next(0));
    });
    assert.ok((await probe(dial(port), never)).rttMs > 0);
  });

  test('ends with the reason of the signal, also of one that was aborted before', async () => {
    const port = await serve(() => undefined);
    const abort = new AbortController();
    const failed = assert.rejects(probe(dial(port), abort.signal), /too late/);
    abort.abort(new Error('too late'));
    await failed;
    await assert.rejects(probe(dial(port), abort.signal), /too late/);
  });

  test('is never longer than a node takes', async () => {
    await assert.rejects(
      probe(dial(node.mesh.self().nodePort), never, { padBytes: LIMITS.helloBytesMax }),
      /would be refused/,
    );
  });
});
