/** How addresses are reached and listened at, and why not. Part of the transport suite. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { ExoError } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { DIAL, type TransportLab } from './transport-lab.js';

/** Registers these tests. */
export function reachSuite(lab: TransportLab): void {
  describe('dials', () => {
    it('a port where nothing listens: refused, in words', async () => {
      const listener = await lab.listen(() => undefined);
      const address = lab.network.reach(listener.address.port);
      await listener.stop();
      await assert.rejects(lab.network.client.dial(address, DIAL), (error) => {
        assert.ok(error instanceof ExoError);
        assert.equal(error.code, 'connect-failed');
        assert.match(error.message, /refused the connection: nothing listens there/);
        return true;
      });
    });

    it('an address that never answers: gives up at its deadline', async () => {
      const address = await lab.network.silentAddress();
      const startedMs = performance.now();
      await assert.rejects(lab.network.client.dial(address, { timeoutMs: 150 }), {
        code: 'connect-failed',
        message: /no answer from .* within 0\.15 s/,
      });
      assert.ok(performance.now() - startedMs < inTime(2_000));
    });

    it('until it is aborted', async () => {
      const address = await lab.network.silentAddress();
      const controller = new AbortController();
      const reason = new Error('no longer wanted');
      const dialling = lab.network.client.dial(address, { timeoutMs: 60_000, signal: controller.signal });
      controller.abort(reason);
      await assert.rejects(dialling, { code: 'connect-failed', cause: reason });
    });

    it('not at all with a signal that is aborted already', async () => {
      const listener = await lab.listen(() => assert.fail('a connection was made'));
      const signal = AbortSignal.abort();
      await assert.rejects(
        lab.network.client.dial(lab.network.reach(listener.address.port), { timeoutMs: 60_000, signal }),
        { code: 'connect-failed' },
      );
    });

    it('a name that nobody has: unknown, in words', async () => {
      await assert.rejects(
        lab.network.client.dial({ host: 'nobody.invalid', port: 50_051 }, DIAL),
        (error) => {
          assert.ok(error instanceof ExoError);
          assert.equal(error.code, 'connect-failed');
          assert.match(error.message, /nobody\.invalid/);
          return true;
        },
      );
    });

    it('200 connections at once', async () => {
      const listener = await lab.listen((end) => end.echo());
      const near = await Promise.all(Array.from({ length: 200 }, () => lab.dial(listener.address.port)));
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
      const listener = await lab.listen(() => undefined);
      assert.ok(listener.address.port > 0);
    });

    it('not twice at one port: the second start names it', async () => {
      const first = await lab.listen(() => undefined);
      const second = lab.network.server.listen(
        { ...lab.network.listenAt, port: first.address.port },
        () => undefined,
      );
      lab.keep(second);
      await assert.rejects(second.start(), {
        code: 'port-in-use',
        message: new RegExp(`port ${first.address.port} is taken`),
      });
      await first.stop();
      await second.start();
      assert.equal(second.address.port, first.address.port);
    });

    it('not at an address of another machine', async () => {
      const listener = lab.network.server.listen({ host: '192.0.2.1', port: 0 }, () => undefined);
      await assert.rejects(listener.start(), {
        code: 'option-invalid',
        message: /192\.0\.2\.1 is not an address of this machine/,
      });
      await listener.stop();
    });

    it('until stopped, which leaves its streams open', async () => {
      const { near, far, listener } = await lab.pair();
      await listener.stop();
      await assert.rejects(lab.network.client.dial(lab.network.reach(listener.address.port), DIAL), {
        code: 'connect-failed',
      });
      near.stream.write([Buffer.from('still here')]);
      near.stream.end();
      await far.ended;
      assert.equal(far.receivedBytes, 10);
    });

    it('start and stop are idempotent', async () => {
      const listener = await lab.listen(() => undefined);
      await Promise.all([listener.start(), listener.start()]);
      await Promise.all([listener.stop(), listener.stop()]);
      await listener.stop();
      await listener.start();
      await lab.dial(listener.address.port);
    });

    it('stop without start does nothing', async () => {
      await lab.network.server.listen(lab.network.listenAt, () => undefined).stop();
    });
  });
}
