/** The end of sessions: why, and that nothing is left. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/ports.js';
import { exchange } from '../tunnels/far-end.js';
import { OPTIONS, type TunnelLab } from './tunnel-lab.js';
import { end, ended, forward, opened, specFor } from './tunnel-specs.js';

const KEEPALIVE = { keepaliveIntervalMs: 1_000, keepaliveCountMax: 2 };
/** Two keepalives, and a busy machine. */
const DEAD_AFTER_MS = 8_000;

export function tunnelEndsSuite(theLab: () => TunnelLab): void {
  const both = () => {
    const target = end(theLab().echo.port);
    return { forward: [forward(end(0), target)], reverse: [forward(end(0), target)] };
  };

  describe('ends', () => {
    it('when it is closed, and leaves nothing', async (t) => {
      const lab = theLab();
      const target = end(lab.echo.port);
      const { session, facts } = await lab.up(t, {
        forward: [forward(end(await freePort()), target)],
        reverse: [forward(end(await freePort()), target)],
      });
      const stream = await session.connectFar(end(lab.echo.port), AbortSignal.timeout(5_000));
      stream.on('error', () => undefined);
      await Promise.all([session.close(), session.close()]);
      assert.equal(await session.closed, 'stopped');
      assert.ok(stream.destroyed);
      await lab.untilNothingIsLeft();
      for (const port of [facts.forwardPorts[0], facts.reversePorts[0]]) {
        await assert.rejects(exchange({ port: port! }, 'x'), /ECONNREFUSED/);
      }
    });

    it('when it is closed on its way, at any moment', async () => {
      const lab = theLab();
      for (let delayMs = 0; delayMs <= 400; delayMs += 80) {
        const session = lab.driver.open(specFor(lab.sshd, both()), OPTIONS);
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        await session.close();
        assert.equal(await session.closed, 'stopped');
      }
      await lab.untilNothingIsLeft();
    });

    it('with keepalive-timeout when the server has frozen', async (t) => {
      const lab = theLab();
      const { session } = await lab.up(t, both(), KEEPALIVE);
      lab.sshd.freezeSessions();
      t.after(() => lab.sshd.thaw());
      const startedMs = performance.now();
      assert.equal((await ended(session)).code, 'keepalive-timeout');
      assert.ok(performance.now() - startedMs < DEAD_AFTER_MS);
    });

    it('when the far session is killed', async (t) => {
      const lab = theLab();
      const { session } = await lab.up(t, both());
      lab.sshd.killSessions();
      const { code } = await ended(session);
      assert.ok(code === 'server-closed' || code === 'connection-lost', code);
      await lab.untilNothingIsLeft();
    });

    it('when the server goes, and opens again when it is back', async (t) => {
      const lab = theLab();
      const { session } = await lab.up(t, both());
      await lab.sshd.stop();
      const { code } = await ended(session);
      assert.ok(code === 'server-closed' || code === 'connection-lost', code);
      assert.equal((await lab.fails(both())).code, 'connect-refused');
      await lab.sshd.start();
      const { facts } = await lab.up(t, both());
      assert.equal((await exchange({ port: facts.reversePorts[0]! }, 'x')).toString(), 'x');
    });
  });

  describe('evicts', () => {
    it('a frozen session of the same tunnel, so that its -R port is free again', async (t) => {
      const lab = theLab();
      const first = await lab.up(t, { name: 'evicted', ...both() });
      const reverse = [forward(end(first.facts.reversePorts[0]!), end(lab.echo.port))];
      const spec = specFor(lab.sshd, { name: 'evicted', reverse });
      assert.equal((await lab.fails({ name: 'evicted', reverse })).code, 'remote-port-busy');
      const farPid = (await first.session.named)!;
      lab.sshd.freezeSessions();
      const signal = AbortSignal.timeout(20_000);
      assert.equal(await lab.driver.evict(spec, farPid, OPTIONS, signal), true);
      await first.session.closed;
      // Also the session of the refused one, where the frost met it on its way out.
      lab.sshd.thaw();
      await lab.up(t, { name: 'evicted', reverse });
      assert.equal(await lab.driver.evict(spec, farPid, OPTIONS, signal), false);
    });

    it('no session of another tunnel, nor the server, nor a process of another kind', async (t) => {
      const lab = theLab();
      const { session, facts } = await lab.up(t, { name: 'other', ...both() });
      const farPid = (await session.named)!;
      const signal = AbortSignal.timeout(20_000);
      for (const pid of [farPid, lab.sshd.pid, process.pid]) {
        assert.equal(
          await lab.driver.evict(specFor(lab.sshd, { name: 'mine' }), pid, OPTIONS, signal),
          false,
        );
      }
      assert.equal((await exchange({ port: facts.reversePorts[0]! }, 'x')).toString(), 'x');
      await session.close();
      await lab.untilNothingIsLeft();
    });

    it('rejects where it could not be tried: the old session may still be there', async () => {
      const lab = theLab();
      const evict = (signal: AbortSignal) =>
        lab.driver.evict(specFor(lab.sshd, { name: 'mine' }), process.pid, OPTIONS, signal);
      const reason = new Error('given up');
      await assert.rejects(evict(AbortSignal.abort(reason)), reason);
      await lab.sshd.stop();
      await assert.rejects(evict(AbortSignal.timeout(20_000)), { code: 'tunnel-failed' });
      await lab.sshd.start();
    });
  });

  it('twenty at once open and close', async (t) => {
    const lab = theLab();
    const sessions = Array.from({ length: 20 }, (_, index) =>
      lab.start(t, { name: `many-${index}`, ...both() }, { connectTimeoutMs: 30_000 }),
    );
    await Promise.all(sessions.map(opened));
    await eventually(
      { timeoutMs: 5_000, what: 'twenty far sessions' },
      () => lab.sshd.pidsOfSessions().length >= 20,
    );
    await Promise.all(sessions.map((session) => session.close()));
    await lab.untilNothingIsLeft();
  });
}
