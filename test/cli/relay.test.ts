/** The demo's relay, which stands for ssh -L. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, test } from 'node:test';
import { Relay } from '../../src/cli/demo/relay.js';
import { ExoError } from '../../src/shared/index.js';
import { freePort } from '../support/ports.js';

const LOOPBACK = '127.0.0.1';
const servers: net.Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

/** Answers with what it got, once the other side has said everything. */
async function echoServer(): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  servers.push(server);
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

async function relayTo(port: number): Promise<Relay> {
  const relay = new Relay({ listen: { host: LOOPBACK, port: 0 }, target: { host: LOOPBACK, port } });
  await relay.start();
  return relay;
}

test('the relay carries bytes both ways, and a half-close', async () => {
  const relay = await relayTo(await echoServer());
  const socket = net.connect({ ...relay.address, allowHalfOpen: true });
  const sent = Buffer.alloc(300_000, 7);
  socket.end(sent);
  const got: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) got.push(chunk);
  assert.ok(Buffer.concat(got).equals(sent));
  await relay.stop();
});

test('with the target down the relay accepts and closes, as ssh does', async () => {
  const relay = await relayTo(await freePort());
  const socket = net.connect(relay.address);
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  await once(socket, 'close');
  await relay.stop();
});

test('stop cuts connections, frees the port and may be called twice', async () => {
  const relay = await relayTo(await echoServer());
  const { port } = relay.address;
  const socket = net.connect(relay.address);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  await relay.stop();
  await relay.stop();
  await closed;
  const again = new Relay({ listen: { host: LOOPBACK, port }, target: { host: LOOPBACK, port: 1 } });
  await again.start();
  await again.stop();
});

test('a busy port is named', async () => {
  const port = await echoServer();
  const relay = new Relay({ listen: { host: LOOPBACK, port }, target: { host: LOOPBACK, port: 1 } });
  await assert.rejects(
    relay.start(),
    (error: unknown) =>
      error instanceof ExoError && error.code === 'port-in-use' && error.message.includes(String(port)),
  );
  await relay.stop();
});
