/** What every `Transport` must do. Run over TCP (both ways of receiving) and over the in-memory network. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { ByteStream, Listener, Transport } from '../../src/protocol/index.js';
import { type Address, ExoError, LIMITS, randomInt, seededRandom } from '../../src/shared/index.js';
import { StreamEnd } from './stream-end.js';

/** Two machines, or one that plays both. */
export interface TestNetwork {
  readonly client: Transport;
  readonly server: Transport;
  /** Where the server may listen; port 0. */
  readonly listenAt: Address;
  /** The address at which the client reaches a port of the server. */
  reach(port: number): Address;
  /** An address that never answers. */
  silentAddress(): Promise<Address>;
  stop(): Promise<void>;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const DIAL = { timeoutMs: 5_000 };

/** Registers the suite. `makeNetwork` is called before each test. */
export function transportSuite(name: string, makeNetwork: () => Promise<TestNetwork>): void {
  describe(name, () => {
    let network: TestNetwork;
    let listeners: Listener[];
    let ends: StreamEnd[];

    beforeEach(async () => {
      network = await makeNetwork();
      listeners = [];
      ends = [];
    });

    afterEach(async () => {
      for (const end of ends) end.stream.destroy();
      await Promise.all(ends.map((end) => end.closed));
      await Promise.all(listeners.map((listener) => listener.stop()));
      await network.stop();
    });

    function hold(stream: ByteStream): StreamEnd {
      const end = new StreamEnd(stream);
      ends.push(end);
      return end;
    }

    async function listen(onEnd: (end: StreamEnd) => void): Promise<Listener> {
      const listener = network.server.listen(network.listenAt, (stream) => onEnd(hold(stream)));
      listeners.push(listener);
      await listener.start();
      return listener;
    }

    const dial = async (port: number): Promise<StreamEnd> =>
      hold(await network.client.dial(network.reach(port), DIAL));

    /** A connection: the dialling end, the accepted end and the listener between them. */
    async function pair(): Promise<{ near: StreamEnd; far: StreamEnd; listener: Listener }> {
      let accepted: (end: StreamEnd) => void = () => undefined;
      const far = new Promise<StreamEnd>((resolve) => {
        accepted = resolve;
      });
      const listener = await listen((end) => accepted(end));
      return { near: await dial(listener.address.port), far: await far, listener };
    }

    describe('carries bytes', () => {
      for (const bytes of [0, 1, 9, 1_447, 8 * KIB, 64 * KIB, 64 * KIB + 1, MIB, 20 * MIB]) {
        it(`echoes ${bytes} bytes unchanged`, async () => {
          const listener = await listen((end) => end.echo());
          const near = await dial(listener.address.port);
          const sent = seededRandom(bytes).bytes(Math.min(bytes, 256 * KIB));
          const body = Buffer.alloc(bytes, sent.length === 0 ? undefined : sent);
          near.stream.write([body]);
          near.stream.end();
          await near.ended;
          assert.equal(near.receivedBytes, bytes);
          assert.equal(near.digest(), createHash('sha256').update(body).digest('hex'));
        });
      }

      it('keeps the order of many small writes in many chunks', async () => {
        const { near, far } = await pair();
        const random = seededRandom(7);
        const expected = createHash('sha256');
        for (let count = 0; count < 500; count += 1) {
          const chunks = Array.from({ length: randomInt(random, 0, 5) }, () =>
            random.bytes(randomInt(random, 0, 300)),
          );
          for (const chunk of chunks) expected.update(chunk);
          near.stream.write(chunks);
          if (count % 50 === 0) await near.drained();
        }
        near.stream.end();
        await far.ended;
        assert.equal(far.digest(), expected.digest('hex'));
      });

      it('carries both directions at once', async () => {
        const { near, far } = await pair();
        const [there, back] = [Buffer.alloc(3 * MIB, 'there'), Buffer.alloc(3 * MIB, 'back')];
        near.stream.write([there]);
        far.stream.write([back]);
        near.stream.end();
        far.stream.end();
        await Promise.all([near.ended, far.ended]);
        assert.equal(far.digest(), createHash('sha256').update(there).digest('hex'));
        assert.equal(near.digest(), createHash('sha256').update(back).digest('hex'));
      });

      it('lets the sender reuse its memory once it is sent', async () => {
        const { near, far } = await pair();
        const memory = Buffer.alloc(32 * KIB, 'a');
        const expected = createHash('sha256').update(memory);
        near.stream.write([memory]);
        await near.drained();
        memory.fill('b');
        expected.update(memory);
        near.stream.write([memory]);
        near.stream.end();
        await far.ended;
        assert.equal(far.digest(), expected.digest('hex'));
      });

      it('does not wait with small writes for the answer to earlier ones', async () => {
        // Nagle's algorithm would hold each second half back for the other side's delayed acknowledgement: 40 ms.
        const listener = await listen((end) => end.answerEvery(64));
        const near = await dial(listener.address.port);
        const rounds = 25;
        const startedMs = performance.now();
        for (let round = 1; round <= rounds; round += 1) {
          near.stream.write([Buffer.alloc(32)]);
          await near.drained();
          near.stream.write([Buffer.alloc(32)]);
          await near.received(round);
        }
        const tookMs = performance.now() - startedMs;
        assert.ok(tookMs < rounds * 20, `${rounds} round trips took ${tookMs} ms`);
      });

      it('names the other end', async () => {
        const { near, far, listener } = await pair();
        assert.match(near.stream.remote, new RegExp(`:${listener.address.port}$`));
        assert.match(far.stream.remote, /:\d+$/);
        assert.notEqual(far.stream.remoteHost, '');
      });
    });

    describe('holds back', () => {
      it('a writer whose reader pauses, and delivers everything after resume', async () => {
        const { near, far } = await pair();
        far.stream.pause();
        const piece = Buffer.alloc(256 * KIB, 'p');
        let written = 0;
        // A writer that respects `false` comes to a halt when the buffers on the way are full.
        while (written < 64 * MIB) {
          written += piece.length;
          if (!near.stream.write([piece]) && !(await near.drainedWithin(200))) break;
        }
        assert.ok(written < 64 * MIB, 'the writer was never held back');
        assert.ok(near.stream.unsentBytes > 0);
        assert.ok(
          near.stream.unsentBytes <= LIMITS.streamHighWaterBytes + piece.length,
          `unsent: ${near.stream.unsentBytes}`,
        );
        assert.equal(far.receivedBytes, 0);
        far.stream.resume();
        near.stream.end();
        await far.ended;
        assert.equal(far.receivedBytes, written);
      });

      it('a reader that pauses in the middle gets nothing until it resumes', async () => {
        const { near, far } = await pair();
        near.stream.write([Buffer.alloc(4 * MIB)]);
        await far.received(1);
        far.stream.pause();
        const before = far.receivedBytes;
        await near.quiet(50);
        assert.equal(far.receivedBytes, before);
        far.stream.resume();
        near.stream.end();
        await far.ended;
        assert.equal(far.receivedBytes, 4 * MIB);
      });

      it('and tells about progress while a large chunk is being taken', async () => {
        const { near, far } = await pair();
        near.stream.write([Buffer.alloc(16 * MIB)]);
        assert.equal(near.stream.unsentBytes, 16 * MIB);
        near.stream.end();
        await far.ended;
        assert.ok(near.drains >= 16, `progress was seen ${near.drains} times`);
        assert.equal(near.stream.unsentBytes, 0);
      });
    });

    describe('ends', () => {
      it('after what was written', async () => {
        const { near, far } = await pair();
        far.stream.pause();
        near.stream.write([Buffer.alloc(2 * MIB, 'x')]);
        near.stream.end();
        far.stream.resume();
        await far.ended;
        assert.equal(far.receivedBytes, 2 * MIB);
      });

      it('one direction only: the dialler, and still receives', async () => {
        const { near, far } = await pair();
        near.stream.end();
        await far.ended;
        far.stream.write([Buffer.alloc(MIB, 'y')]);
        far.stream.end();
        await near.ended;
        assert.equal(near.receivedBytes, MIB);
        assert.equal(await near.closed, undefined);
        assert.equal(await far.closed, undefined);
      });

      it('one direction only: the acceptor, and still receives', async () => {
        const { near, far } = await pair();
        far.stream.end();
        await near.ended;
        near.stream.write([Buffer.alloc(MIB, 'z')]);
        near.stream.end();
        await far.ended;
        assert.equal(far.receivedBytes, MIB);
        assert.equal(await near.closed, undefined);
        assert.equal(await far.closed, undefined);
      });

      it('and takes no bytes afterwards', async () => {
        const { near, far } = await pair();
        near.stream.end();
        assert.equal(near.stream.write([Buffer.from('late')]), false);
        near.stream.end();
        await far.ended;
        assert.equal(far.receivedBytes, 0);
      });
    });

    describe('destroys', () => {
      it('at once, and the other side sees a reset', async () => {
        const { near, far } = await pair();
        near.stream.destroy();
        assert.equal(await near.closed, undefined);
        const error = await far.closed;
        assert.ok(error instanceof ExoError);
        assert.equal(error.code, 'connection-closed');
        assert.match(error.message, /reset the connection/);
        await assert.rejects(far.ended, /closed before its end/);
      });

      it('after its own end, too', async () => {
        const { near, far } = await pair();
        near.stream.end();
        await far.ended;
        near.stream.destroy();
        assert.equal(await near.closed, undefined);
        far.stream.write([Buffer.alloc(1)]);
        far.stream.end();
        await far.closed;
      });

      it('with bytes unsent, which are dropped', async () => {
        const { near, far } = await pair();
        far.stream.pause();
        near.stream.write([Buffer.alloc(32 * MIB)]);
        await near.progressed();
        near.stream.destroy();
        assert.equal(near.stream.unsentBytes, 0);
        far.stream.resume();
        await near.closed;
        // With bytes before it unread, a reset may look like FIN (libuv); the stream is over once this end ends, too.
        await Promise.race([far.ended, far.closed]).catch(() => undefined);
        far.stream.end();
        await far.closed;
        assert.ok(far.receivedBytes < 32 * MIB);
      });

      it('and calls nothing but onClose afterwards, once', async () => {
        const { near, far } = await pair();
        far.stream.write([Buffer.alloc(8 * MIB)]);
        await near.received(1);
        const before = near.receivedBytes;
        near.stream.destroy();
        near.stream.destroy();
        near.stream.end();
        near.stream.resume();
        assert.equal(near.stream.write([Buffer.from('late')]), false);
        await Promise.all([near.closed, far.closed]);
        await near.quiet(20);
        assert.equal(near.receivedBytes, before);
        assert.equal(near.closes, 1);
        assert.equal(far.closes, 1);
        assert.deepEqual(near.callsAfterClose, []);
        assert.deepEqual(far.callsAfterClose, []);
      });

      it('inside onData', async () => {
        const { near, far } = await pair();
        near.onFirstData = () => near.stream.destroy();
        far.stream.write([Buffer.alloc(MIB)]);
        await Promise.all([near.closed, far.closed]);
        assert.equal(near.chunks, 1);
      });
    });

    describe('dials', () => {
      it('a port where nothing listens: refused, in words', async () => {
        const listener = await listen(() => undefined);
        const address = network.reach(listener.address.port);
        await listener.stop();
        await assert.rejects(network.client.dial(address, DIAL), (error) => {
          assert.ok(error instanceof ExoError);
          assert.equal(error.code, 'connect-failed');
          assert.match(error.message, /refused the connection: nothing listens there/);
          return true;
        });
      });

      it('an address that never answers: gives up at its deadline', async () => {
        const address = await network.silentAddress();
        const startedMs = performance.now();
        await assert.rejects(network.client.dial(address, { timeoutMs: 150 }), {
          code: 'connect-failed',
          message: /no answer from .* within 0\.15 s/,
        });
        assert.ok(performance.now() - startedMs < 2_000);
      });

      it('until it is aborted', async () => {
        const address = await network.silentAddress();
        const controller = new AbortController();
        const reason = new Error('no longer wanted');
        const dialling = network.client.dial(address, { timeoutMs: 60_000, signal: controller.signal });
        controller.abort(reason);
        await assert.rejects(dialling, { code: 'connect-failed', cause: reason });
      });

      it('not at all with a signal that is aborted already', async () => {
        const listener = await listen(() => assert.fail('a connection was made'));
        const signal = AbortSignal.abort();
        await assert.rejects(
          network.client.dial(network.reach(listener.address.port), { timeoutMs: 60_000, signal }),
          { code: 'connect-failed' },
        );
      });

      it('a name that nobody has: unknown, in words', async () => {
        await assert.rejects(network.client.dial({ host: 'nobody.invalid', port: 50_051 }, DIAL), (error) => {
          assert.ok(error instanceof ExoError);
          assert.equal(error.code, 'connect-failed');
          assert.match(error.message, /nobody\.invalid/);
          return true;
        });
      });

      it('200 connections at once', async () => {
        const listener = await listen((end) => end.echo());
        const near = await Promise.all(Array.from({ length: 200 }, () => dial(listener.address.port)));
        for (const [index, end] of near.entries()) {
          end.stream.write([Buffer.from(`connection ${index}`)]);
          end.stream.end();
        }
        await Promise.all(near.map((end) => end.closed));
        for (const [index, end] of near.entries()) {
          const sent = createHash('sha256').update(`connection ${index}`).digest('hex');
          assert.equal(end.digest(), sent);
          assert.equal(end.closes, 1);
        }
      });
    });

    describe('listens', () => {
      it('at a real port where 0 was asked for', async () => {
        const listener = await listen(() => undefined);
        assert.ok(listener.address.port > 0);
      });

      it('not twice at one port: the second start names it', async () => {
        const first = await listen(() => undefined);
        const second = network.server.listen(
          { ...network.listenAt, port: first.address.port },
          () => undefined,
        );
        listeners.push(second);
        await assert.rejects(second.start(), {
          code: 'port-in-use',
          message: new RegExp(`port ${first.address.port} is taken`),
        });
        await first.stop();
        await second.start();
        assert.equal(second.address.port, first.address.port);
      });

      it('not at an address of another machine', async () => {
        const listener = network.server.listen({ host: '192.0.2.1', port: 0 }, () => undefined);
        await assert.rejects(listener.start(), {
          code: 'option-invalid',
          message: /192\.0\.2\.1 is not an address of this machine/,
        });
        await listener.stop();
      });

      it('until stopped, which leaves its streams open', async () => {
        const { near, far, listener } = await pair();
        await listener.stop();
        await assert.rejects(network.client.dial(network.reach(listener.address.port), DIAL), {
          code: 'connect-failed',
        });
        near.stream.write([Buffer.from('still here')]);
        near.stream.end();
        await far.ended;
        assert.equal(far.receivedBytes, 10);
      });

      it('start and stop are idempotent', async () => {
        const listener = await listen(() => undefined);
        await Promise.all([listener.start(), listener.start()]);
        await Promise.all([listener.stop(), listener.stop()]);
        await listener.stop();
        await listener.start();
        await dial(listener.address.port);
      });

      it('stop without start does nothing', async () => {
        await network.server.listen(network.listenAt, () => undefined).stop();
      });
    });
  });
}
