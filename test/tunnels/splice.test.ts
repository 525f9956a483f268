/** A socket and an ssh channel that are joined: what was said arrives, whatever closes first. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { Channel } from 'ssh2';
import { splice } from '../../src/tunnels/ssh2/splice.js';
import '../support/leaks.js';

/** As far as `splice` needs one. What is written waits for `window` to open. */
class HeldChannel extends Duplex {
  readonly said: string[] = [];
  #open: () => void = () => undefined;
  readonly window = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  openWindow(): void {
    this.#open();
  }

  eof(): void {
    this.said.push('eof');
  }

  close(): void {
    this.said.push('close');
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    void this.window.then(() => {
      if (chunk.length > 0) this.said.push(chunk.toString());
      done();
    });
  }
}

/** Both ends of a connection over loopback. */
async function pair(t: TestContext): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  const [near] = (await once(server, 'connection')) as [Socket];
  t.after(() => {
    client.destroy();
    near.destroy();
    server.close();
  });
  return [client, near];
}

const carrier = { full: () => false, onRoom: () => undefined };

test('a socket that has said all and closed leaves its bytes to the channel', async (t) => {
  const [client, near] = await pair(t);
  const channel = new HeldChannel();
  splice(near, channel as unknown as Channel, { carrier });
  client.resume().end('all of it');
  channel.push(null);
  await once(near, 'close');
  assert.deepEqual(channel.said, []);
  channel.openWindow();
  await channel.window;
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(channel.said.slice(0, 3), ['all of it', 'eof', 'close']);
});

test('a socket that breaks closes the channel at once', async (t) => {
  const [client, near] = await pair(t);
  const channel = new HeldChannel();
  splice(near, channel as unknown as Channel, { carrier });
  const closed = new Promise((resolve) => near.once('close', resolve));
  client.resetAndDestroy();
  await closed;
  assert.ok(channel.said.includes('close') && !channel.said.includes('eof'));
});
