/** How streams end: in one direction, in both, or at once. Part of the transport suite. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ExoError } from '../../src/shared/index.js';
import type { TransportLab } from './transport-lab.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Registers these tests. */
export function endsSuite(lab: TransportLab): void {
  describe('ends', () => {
    it('after what was written', async () => {
      const { near, far } = await lab.pair();
      far.stream.pause();
      near.stream.write([Buffer.alloc(2 * MIB, 'x')]);
      near.stream.end();
      far.stream.resume();
      await far.ended;
      assert.equal(far.receivedBytes, 2 * MIB);
    });

    it('one direction only: the dialler, and still receives', async () => {
      const { near, far } = await lab.pair();
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
      const { near, far } = await lab.pair();
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
      const { near, far } = await lab.pair();
      near.stream.end();
      assert.equal(near.stream.write([Buffer.from('late')]), false);
      near.stream.end();
      await far.ended;
      assert.equal(far.receivedBytes, 0);
    });
  });

  describe('destroys', () => {
    it('at once, and the other side sees a reset', async () => {
      const { near, far } = await lab.pair();
      near.stream.destroy();
      assert.equal(await near.closed, undefined);
      const error = await far.closed;
      assert.ok(error instanceof ExoError);
      assert.equal(error.code, 'connection-closed');
      assert.match(error.message, /reset the connection/);
      await assert.rejects(far.ended, /closed before its end/);
    });

    it('after its own end, too', async () => {
      const { near, far } = await lab.pair();
      near.stream.end();
      await far.ended;
      near.stream.destroy();
      assert.equal(await near.closed, undefined);
      far.stream.write([Buffer.alloc(1)]);
      far.stream.end();
      await far.closed;
    });

    it('with bytes unsent, which are dropped', async () => {
      const { near, far } = await lab.pair();
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
      const { near, far } = await lab.pair();
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
      const { near, far } = await lab.pair();
      near.onFirstData = () => near.stream.destroy();
      far.stream.write([Buffer.alloc(MIB)]);
      await Promise.all([near.closed, far.closed]);
      assert.equal(near.chunks, 1);
    });
  });
}
