/** How bytes travel: whole, in order, at once, and no faster than they are read. Part of the transport suite. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { LIMITS, randomInt, seededRandom } from '../../src/shared/index.js';
import type { TransportLab } from './transport-lab.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Registers these tests. */
export function bytesSuite(lab: TransportLab): void {
  describe('carries bytes', () => {
    for (const bytes of [0, 1, 9, 1_447, 8 * KIB, 64 * KIB, 64 * KIB + 1, MIB, 20 * MIB]) {
      it(`echoes ${bytes} bytes unchanged`, async () => {
        const listener = await lab.listen((end) => end.echo());
        const near = await lab.dial(listener.address.port);
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
      const { near, far } = await lab.pair();
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
      const { near, far } = await lab.pair();
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
      const { near, far } = await lab.pair();
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
      const listener = await lab.listen((end) => end.answerEvery(64));
      const near = await lab.dial(listener.address.port);
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
      const { near, far, listener } = await lab.pair();
      assert.match(near.stream.remote, new RegExp(`:${listener.address.port}$`));
      assert.match(far.stream.remote, /:\d+$/);
      assert.notEqual(far.stream.remoteHost, '');
    });
  });

  describe('holds back', () => {
    it('a writer whose reader pauses, and delivers everything after resume', async () => {
      const { near, far } = await lab.pair();
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
      const { near, far } = await lab.pair();
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
      const { near, far } = await lab.pair();
      near.stream.write([Buffer.alloc(16 * MIB)]);
      assert.equal(near.stream.unsentBytes, 16 * MIB);
      near.stream.end();
      await far.ended;
      assert.ok(near.drains >= 16, `progress was seen ${near.drains} times`);
      assert.equal(near.stream.unsentBytes, 0);
    });
  });
}
