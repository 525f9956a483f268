/** Looking at ports: free, taken by a program that listens, or only the near end of a connection. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import test from 'node:test';
import { portHolder, tryListen } from '../../src/shared/index.js';

const noTable = process.platform === 'linux' ? false : 'only Linux says who has a port';

test('a port that somebody listens at is a program’s, on every address, also beside its connections', async () => {
  const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ host: '127.0.0.1', port });
  await once(client, 'connect');
  try {
    assert.equal((await tryListen({ host: '127.0.0.1', port }))?.code, 'EADDRINUSE');
    assert.equal(await portHolder({ host: '127.0.0.1', port }), 'program');
    assert.equal((await tryListen({ host: '0.0.0.0', port }))?.code, 'EADDRINUSE');
    assert.equal(await portHolder({ host: '0.0.0.0', port }), 'program');
  } finally {
    client.destroy();
    server.close();
  }
});

test('a port that only a connection has is told apart, while it stands and in the minute after it', {
  skip: noTable,
}, async () => {
  const accepted: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => accepted.push(socket.resume()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  await once(client, 'connect');
  const near = client.localPort!;
  try {
    assert.equal((await tryListen({ host: '127.0.0.1', port: near }))?.code, 'EADDRINUSE');
    assert.equal(await portHolder({ host: '127.0.0.1', port: near }), 'connection');
    // Who closes first has the minute.
    client.end();
    await once(accepted[0]!, 'end');
    accepted[0]!.end();
    await once(client.resume(), 'close');
    assert.equal((await tryListen({ host: '127.0.0.1', port: near }))?.code, 'EADDRINUSE');
    assert.equal(await portHolder({ host: '127.0.0.1', port: near }), 'connection');
  } finally {
    client.destroy();
    for (const socket of accepted) socket.destroy();
    server.close();
  }
});

test('a port that nobody has any more is nobody’s', { skip: noTable }, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  assert.equal(await portHolder({ host: '127.0.0.1', port }), 'nobody');
});
