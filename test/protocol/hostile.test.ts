import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { FLAG_MORE, FLAG_TOTAL, type Message } from '../../src/protocol/index.js';
import { LIMITS } from '../../src/shared/index.js';
import { connectionPair, DUMMY_SHARD, helloOf, type Pair } from '../support/connection-pair.js';
import { inTime } from '../support/eventually.js';
import { baseFrame, rawFrame } from '../support/frames.js';
import { GOLDEN_FRAMES } from '../support/golden-frames.js';
import { program } from '../support/program.js';

const MIB = 1024 * 1024;

/** A header that announces a body. */
function announce(type: number, length: number): Buffer {
  const header = rawFrame(type, Buffer.alloc(0));
  header.writeUInt32BE(length, 5);
  return header;
}

interface Report {
  readonly rssBytes: number;
  readonly open: number;
  readonly warnings: number;
  /** Received since the start. */
  readonly bytesIn: number;
}

describe('a listener under attack', () => {
  let child: ChildProcess;
  let port = 0;

  before(async () => {
    const acceptor = program(new URL('../support/acceptor-process.ts', import.meta.url));
    child = fork(acceptor.file, {
      // a small young generation, or its growth hides what a connection costs
      execArgv: ['--expose-gc', '--max-semi-space-size=4', ...acceptor.execArgv],
    });
    port = ((await once(child, 'message')) as [{ port: number }])[0].port;
  });

  after(async () => {
    const exit = once(child, 'exit');
    child.disconnect();
    await exit;
  });

  async function report(): Promise<Report> {
    child.send('report');
    return ((await once(child, 'message')) as [Report])[0];
  }

  /** Sends bytes to a new connection; resolves to what came back and how long the close took. */
  function strike(bytes: Buffer): Promise<{ readonly answer: Buffer; readonly closedAfterMs: number }> {
    return new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      const answer: Buffer[] = [];
      let start = 0;
      socket.on('connect', () => {
        start = performance.now();
        socket.write(bytes);
      });
      socket.on('data', (chunk) => answer.push(chunk));
      socket.on('error', () => undefined);
      socket.on('close', () =>
        resolve({ answer: Buffer.concat(answer), closedAfterMs: performance.now() - start }),
      );
    });
  }

  it('holds no memory for what is announced and has not come, with 100 connections of 5 MiB', async () => {
    const count = 100;
    const first = Buffer.concat([announce(0x12, 5 * MIB), Buffer.alloc(1)]);
    const open = async (): Promise<net.Socket[]> => {
      const sockets = Array.from({ length: count }, () => net.connect(port, '127.0.0.1'));
      await Promise.all(sockets.map((socket) => once(socket, 'connect')));
      for (const socket of sockets) socket.write(first);
      return sockets;
    };
    const close = async (sockets: readonly net.Socket[]): Promise<Report> => {
      for (const socket of sockets) socket.destroy();
      let now = await report();
      while (now.open > 0) now = await report();
      return now;
    };
    // what the first ones made room for, later ones use again
    const before = await close(await open());
    const sockets = await open();
    let during = await report();
    while (during.bytesIn < before.bytesIn + count * first.length) during = await report();
    assert.equal(during.open, count);
    const grownBytes = during.rssBytes - before.rssBytes;
    await close(sockets);
    assert.ok(grownBytes <= count * (first.length + 64 * 1024), `${grownBytes} bytes more`);
  });

  it('closes 10,000 connections that announce 4 GiB within the header, and grows by 8 MiB at most', async () => {
    const header = announce(0x12, 0xffff_ffff);
    const volley = (count: number) => Promise.all(Array.from({ length: count }, () => strike(header)));
    // the first ones make room that any number of later ones uses again
    for (let round = 0; round < 50; round++) await volley(50);
    const before = await report();
    for (let round = 0; round < 200; round++) await volley(50);
    const afterwards = await report();
    assert.equal(afterwards.open, 0);
    const grownBytes = afterwards.rssBytes - before.rssBytes;
    assert.ok(grownBytes <= 8 * MIB, `${grownBytes} bytes more`);
  });

  it('closes on HTTP, TLS, ssh and noise within 100 ms, without a byte back, in one line of the log', async () => {
    const before = await report();
    const strangers = [
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.from('160301020001000001fc0303', 'hex'),
      Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'),
      Buffer.from('00'.repeat(64), 'hex'),
    ];
    for (const bytes of strangers) {
      const { answer, closedAfterMs } = await strike(bytes);
      assert.equal(answer.length, 0);
      assert.ok(closedAfterMs <= inTime(100), `${closedAfterMs} ms`);
    }
    assert.ok((await report()).warnings - before.warnings <= 1);
  });

  it('says nothing about a port check', async () => {
    const before = await report();
    for (let index = 0; index < 20; index++) {
      const socket = net.connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.destroy();
      await once(socket, 'close');
    }
    assert.equal((await report()).warnings, before.warnings);
  });
});

describe('a slow or silent connection', () => {
  const feed = (pair: Pair, bytes: Buffer) => pair.acceptorStream.onData(bytes);

  /** One byte a second until the connection closes; returns the seconds. */
  async function drip(pair: Pair): Promise<number> {
    for (let second = 0; second < 120; second++) {
      if (pair.acceptor.state === 'closed') return second;
      feed(pair, Buffer.from([0]));
      await pair.clock.advance(1_000);
    }
    return 120;
  }

  it('that announces the largest legal body and sends a byte a second is cut within 31 s, its memory untouched', async () => {
    const before = process.memoryUsage().rss;
    const pairs = [connectionPair(), connectionPair()];
    for (const pair of pairs) {
      pair.diallerStream.onData = () => undefined;
      feed(pair, Buffer.from(GOLDEN_FRAMES.healthRequest, 'hex'));
      feed(pair, announce(0x12, LIMITS.legacyFrameBytesMax));
    }
    const [seconds] = await Promise.all(pairs.map(drip));
    assert.ok(seconds! <= 31, `${seconds} s`);
    for (const pair of pairs) {
      assert.equal((await pair.acceptor.closed).error?.code, 'frame-too-slow');
      assert.equal(pair.shared.budget.usedBytes, 0);
      await pair.dialler.closed;
    }
    const grownBytes = process.memoryUsage().rss - before;
    assert.ok(grownBytes < 32 * MIB, `${grownBytes} bytes for two announcements of 256 MiB`);
  });

  it('that begins a fragmented message and never goes on is cut within 31 s', async () => {
    const pair = connectionPair();
    pair.diallerStream.onData = () => undefined;
    feed(pair, baseFrame({ kind: 'health-request', hello: helloOf('slow') }));
    feed(pair, rawFrame(0x12, Buffer.alloc(10), 1, FLAG_MORE | FLAG_TOTAL, 100 * MIB));
    assert.equal(pair.acceptor.state, 'established');
    await pair.clock.advance(31_000);
    assert.equal((await pair.acceptor.closed).error?.code, 'frame-too-slow');
    assert.equal(pair.shared.budget.usedBytes, 0);
    await pair.dialler.closed;
  });

  it('that says half a frame is closed after the handshake deadline', async () => {
    const pair = connectionPair();
    feed(pair, Buffer.from('EXO\x01', 'latin1'));
    await pair.clock.advance(LIMITS.handshakeTimeoutMs - 100);
    assert.equal(pair.acceptor.state, 'fresh');
    await pair.clock.advance(200);
    assert.equal((await pair.acceptor.closed).error?.code, 'handshake-timeout');
    await pair.dialler.closed;
  });

  it('that says nothing is closed after a minute, without a warning', async () => {
    const pair = connectionPair();
    await pair.clock.advance(LIMITS.silentConnectionTimeoutMs + 100);
    assert.equal((await pair.acceptor.closed).error?.code, 'handshake-timeout');
    assert.deepEqual(pair.log.warnings, []);
    await pair.dialler.closed;
  });

  it('that takes no byte for 10 s while some wait is closed', async () => {
    const pair = connectionPair();
    pair.acceptorStream.allowance = 0;
    feed(pair, Buffer.from(GOLDEN_FRAMES.healthRequest, 'hex'));
    await pair.clock.advance(LIMITS.stalledWriteMs - 500);
    assert.equal(pair.acceptor.state, 'legacy');
    await pair.clock.advance(1_000);
    assert.equal((await pair.acceptor.closed).error?.code, 'connection-closed');
    await pair.dialler.closed;
  });
});

describe('the limit of a state', () => {
  const health = Buffer.from(GOLDEN_FRAMES.healthRequest, 'hex');
  const cases: ReadonlyArray<[string, boolean, Buffer[], number, number]> = [
    ['fresh, stranger', false, [], 0x12, LIMITS.freshFrameBytesMax],
    ['fresh, trusted, no work', true, [], 0x30, LIMITS.freshFrameBytesMax],
    // an old peer that has reconnected
    ['fresh, trusted, a tensor', true, [], 0x12, LIMITS.legacyFrameBytesMax],
    ['fresh, trusted, a prompt', true, [], 0x10, LIMITS.promptBytesMax],
    ['legacy, stranger', false, [health], 0x12, LIMITS.legacyStrangerFrameBytesMax],
    ['legacy, trusted', true, [health], 0x12, LIMITS.legacyFrameBytesMax],
  ];
  for (const [state, trusted, first, type, limit] of cases) {
    it(`holds to the byte: ${state}`, async () => {
      for (const [length, code] of [
        [limit, undefined],
        [limit + 1, 'frame-too-large'],
      ] as const) {
        const pair = connectionPair({ trusted });
        pair.diallerStream.onData = () => undefined;
        for (const frame of first) pair.acceptorStream.onData(frame);
        pair.acceptorStream.onData(announce(type, length));
        assert.equal(pair.acceptor.state === 'closed', code !== undefined);
        await Promise.all([pair.acceptor.close(), pair.dialler.close()]);
        assert.equal((await pair.acceptor.closed).error?.code, code);
      }
    });
  }

  it('takes the first tensor of an old peer that has reconnected, larger than a fresh frame', async () => {
    const seen: Message[] = [];
    const pair = connectionPair({
      acceptor: {
        onMessage: (_connection, message) => {
          seen.push(message);
          return { kind: 'tensor-response', tensor: null };
        },
      },
    });
    const data = Buffer.alloc(4 * LIMITS.freshFrameBytesMax, 9);
    const frame = baseFrame({
      kind: 'tensor-request',
      shard: DUMMY_SHARD,
      tensor: { shape: [data.length], dtype: 'uint8', data },
      requestId: 'r',
      inferenceState: null,
    });
    pair.diallerStream.onData = () => undefined;
    pair.acceptorStream.onData(frame);
    assert.equal(pair.acceptor.state, 'legacy');
    const [message] = seen;
    assert.ok(message?.kind === 'tensor-request' && message.tensor.data.equals(data));
    await Promise.all([pair.acceptor.close(), pair.dialler.close()]);
  });

  it('refuses correlated frames before a hello, and types that only they have', async () => {
    const cases = [
      [rawFrame(0x50, Buffer.alloc(0), 1), 'protocol-violation'],
      [rawFrame(0x50, Buffer.alloc(0)), 'frame-unknown-type'],
      [rawFrame(0x7f, Buffer.alloc(0)), 'frame-unknown-type'],
    ] as const;
    for (const [frame, code] of cases) {
      const pair = connectionPair();
      pair.acceptorStream.onData(frame);
      assert.equal((await pair.acceptor.closed).error?.code, code);
      await pair.dialler.closed;
    }
  });
});
