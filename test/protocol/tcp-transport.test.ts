import '../support/leaks.js';
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { type ByteStream, createTcpTransport, type TcpTransportOptions } from '../../src/protocol/index.js';
import { probeOnread } from '../../src/protocol/transports/tcp-receive.js';
import {
  dialError,
  isSelfConnected,
  listenError,
  plainHost,
} from '../../src/protocol/transports/tcp-words.js';
import { LIMITS, systemClock } from '../../src/shared/index.js';
import { type TestNetwork, transportSuite } from '../compliance/transport-suite.js';
import { openSilentPort, type SilentPort } from '../support/silent-port.js';

async function loopback(receive: NonNullable<TcpTransportOptions['receive']>): Promise<TestNetwork> {
  const transport = createTcpTransport({ clock: systemClock }, { receive });
  let silent: SilentPort | undefined;
  return {
    client: transport,
    server: transport,
    listenAt: { host: '127.0.0.1', port: 0 },
    reach: (port) => ({ host: '127.0.0.1', port }),
    async silentAddress() {
      silent ??= await openSilentPort();
      return { host: '127.0.0.1', port: silent.port };
    },
    stop: async () => silent?.stop(),
  };
}

transportSuite('TCP transport that reads by onread', () => loopback('onread'));
transportSuite("TCP transport that reads by 'data' events", () => loopback('data'));

describe('TCP transport', () => {
  it('can read accepted sockets by onread on this Node', async () => {
    assert.equal(await probeOnread(systemClock), true);
  });

  it('finds its way of reading by itself', async () => {
    const transport = createTcpTransport({ clock: systemClock });
    let tell: (text: string) => void = () => undefined;
    const received = new Promise<string>((resolve) => {
      tell = resolve;
    });
    const listener = transport.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
      stream.onData = (chunk) => tell(chunk.toString());
      stream.onEnd = () => stream.end();
    });
    await listener.start();
    const stream = await transport.dial(listener.address, { timeoutMs: 5_000 });
    const closed = new Promise<void>((resolve) => {
      stream.onClose = () => resolve();
    });
    stream.write([Buffer.from('hello')]);
    stream.end();
    assert.equal(await received, 'hello');
    await closed;
    await listener.stop();
  });

  it('makes one attempt where the answer was there and only this process was late', async () => {
    const transport = createTcpTransport({ clock: systemClock });
    const accepted: ByteStream[] = [];
    let tell: () => void = () => undefined;
    const heard = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const listener = transport.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
      accepted.push(stream);
      stream.onData = () => tell();
    });
    await listener.start();
    const dialling = transport.dial(listener.address, { timeoutMs: 5_000 });
    // The system connects meanwhile.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LIMITS.dialAttemptMs + 100);
    const first = await dialling;
    // Connections are accepted in the order in which they were made.
    const second = await transport.dial(listener.address, { timeoutMs: 5_000 });
    second.write([Buffer.from('the last')]);
    await heard;
    assert.equal(accepted.length, 2);
    for (const stream of [first, second, ...accepted]) stream.destroy();
    await listener.stop();
  });

  it('sends what is written in one tick as one segment', async () => {
    const chunks: number[] = [];
    let ended: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const server = net.createServer((socket) => {
      socket.on('data', (chunk) => chunks.push(chunk.length)).on('end', ended);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const transport = createTcpTransport({ clock: systemClock });
    const stream = await transport.dial({ host: '127.0.0.1', port }, { timeoutMs: 5_000 });
    for (let frame = 0; frame < 20; frame += 1) stream.write([Buffer.alloc(9), Buffer.alloc(91)]);
    stream.end();
    await done;
    stream.destroy();
    await new Promise((resolve) => server.close(resolve));
    assert.deepEqual(chunks, [2_000]);
  });

  it('survives port checks that connect and leave at once', async () => {
    const transport = createTcpTransport({ clock: systemClock });
    let closes = 0;
    const listener = transport.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
      stream.onClose = () => {
        closes += 1;
      };
    });
    await listener.start();
    for (let check = 0; check < 20; check += 1) {
      await new Promise<void>((resolve) => {
        const socket = net.connect(listener.address.port, '127.0.0.1', () => socket.resetAndDestroy());
        socket.on('close', () => resolve());
      });
    }
    const stream = await transport.dial(listener.address, { timeoutMs: 5_000 });
    const closed = new Promise<void>((resolve) => {
      stream.onClose = () => resolve();
    });
    stream.destroy();
    await closed;
    await listener.stop();
    assert.ok(closes <= 21);
  });

  it('reaches a listener on all addresses by name, and shows IPv4 as IPv4', async () => {
    const transport = createTcpTransport({ clock: systemClock });
    const remotes: string[] = [];
    const listener = transport.listen({ host: '::', port: 0 }, (stream) => {
      remotes.push(stream.remoteHost);
      stream.onEnd = () => stream.end();
    });
    await listener.start();
    for (const host of ['localhost', '127.0.0.1']) {
      const stream = await transport.dial({ host, port: listener.address.port }, { timeoutMs: 5_000 });
      const closed = new Promise<void>((resolve) => {
        stream.onClose = () => resolve();
      });
      stream.end();
      await closed;
    }
    await listener.stop();
    assert.equal(remotes.at(-1), '127.0.0.1');
  });

  it('refuses an impossible port in words', async () => {
    const transport = createTcpTransport({ clock: systemClock });
    await assert.rejects(transport.dial({ host: '127.0.0.1', port: 70_000 }, { timeoutMs: 1_000 }), {
      code: 'connect-failed',
    });
    const listener = transport.listen({ host: '127.0.0.1', port: 70_000 }, () => undefined);
    await assert.rejects(listener.start(), { code: 'option-invalid' });
  });
});

describe('TCP words', () => {
  const address = { host: '10.0.0.7', port: 50_052 };
  const failed = (code: string) => dialError(address, Object.assign(new Error(code), { code })).message;

  it('say why a dial failed', () => {
    assert.equal(failed('ECONNREFUSED'), '10.0.0.7:50052 refused the connection: nothing listens there');
    assert.match(failed('EHOSTUNREACH'), /unreachable: no machine answers/);
    assert.match(failed('ENETUNREACH'), /unreachable: this machine has no route/);
    assert.match(failed('ETIMEDOUT'), /no answer from 10\.0\.0\.7:50052/);
    assert.match(failed('EAI_AGAIN'), /name server does not answer/);
    assert.match(failed('EMFILE'), /no file descriptors left/);
    assert.match(failed('EWHATEVER'), /no connection to 10\.0\.0\.7:50052: EWHATEVER/);
  });

  it('take the first failure when several addresses of a name were tried', () => {
    const first = Object.assign(new Error('first'), { code: 'ECONNREFUSED' });
    const all = new AggregateError([first, new Error('second')]);
    assert.match(dialError(address, all).message, /refused the connection/);
  });

  it('say why listening failed', () => {
    const denied = listenError({ host: '0.0.0.0', port: 80 }, Object.assign(new Error(), { code: 'EACCES' }));
    assert.equal(denied.code, 'option-invalid');
    assert.match(denied.message, /may not listen at port 80; choose a port from 1024 up/);
  });

  it('know a socket that was connected to itself', () => {
    const ends = { localAddress: '127.0.0.1', remoteAddress: '127.0.0.1', remotePort: 40_000 };
    assert.equal(isSelfConnected({ ...ends, localPort: 40_000 }), true);
    assert.equal(isSelfConnected({ ...ends, localPort: 40_001 }), false);
  });

  it('show IPv4 in IPv6 as IPv4', () => {
    assert.equal(plainHost('::ffff:192.168.0.4'), '192.168.0.4');
    assert.equal(plainHost('fe80::1'), 'fe80::1');
  });
});
