import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Candidate } from '../../src/discovery/index.js';
import { Dialer, type DialOutcome } from '../../src/node/dialer.js';
import type { Target } from '../../src/node/target.js';
import { ExoError, LIMITS, seededRandom, silentLogger, VirtualClock } from '../../src/shared/index.js';

const candidate = (over: Partial<Candidate> = {}): Candidate => ({
  key: 'manual:mac2',
  module: 'manual',
  address: { host: '127.0.0.1', port: 50052 },
  claimedId: 'mac2',
  description: 'MAN',
  priority: 4,
  configured: true,
  ...over,
});

/** A dialer whose dials are answered by `answer`, on virtual time. */
function setUp(answer: (target: Target, nth: number) => Promise<DialOutcome>, seed = 1) {
  const clock = new VirtualClock();
  const up = new Set<string>();
  const dials: Array<{ atMs: number; port: number }> = [];
  const dialer = new Dialer({
    clock,
    random: seededRandom(seed),
    logger: silentLogger,
    introduce: (target) => {
      dials.push({ atMs: clock.now(), port: target.address.port });
      return answer(target, dials.length);
    },
    isUp: (id) => up.has(id),
    onOutcome: () => undefined,
  });
  return { clock, dialer, dials, up };
}

const refused = () =>
  new ExoError('connect-failed', '127.0.0.1:50052 refused the connection', { retryable: true });

describe('Dialer', () => {
  test('dials a new candidate at once', async () => {
    const { clock, dialer, dials } = setUp(async () => ({ peerId: 'x', inUse: true, rttMs: 1 }));
    dialer.offer(candidate());
    await clock.advance(0);
    assert.deepEqual(dials, [{ atMs: 0, port: 50052 }]);
    await dialer.stop();
  });

  test('an address that never answers is tried at least every 10 s and at most 400 times an hour', async () => {
    const { clock, dialer, dials } = setUp(async () => Promise.reject(refused()));
    dialer.offer(candidate());
    await clock.advance(3_600_000);
    const gaps = dials.slice(1).map((dial, index) => dial.atMs - dials[index]!.atMs);
    assert.ok(Math.max(...gaps) <= LIMITS.redialCeilingMsMax);
    assert.ok(dials.length > 360 && dials.length < 900, `${dials.length} dials`);
    await dialer.stop();
  });

  test('is back within 3 s after an outage of 10 s, for 100 seeds', async () => {
    for (let seed = 1; seed <= 100; seed++) {
      let open = true;
      const { clock, dialer, dials, up } = setUp(async () => {
        if (!open) throw refused();
        up.add('x');
        return { peerId: 'x', inUse: true, rttMs: 1 };
      }, seed);
      dialer.offer(candidate());
      await clock.advance(5_000);
      open = false;
      up.delete('x');
      dialer.peerDown('x');
      await clock.advance(10_000);
      open = true;
      const before = dials.length;
      await clock.advance(3_000);
      assert.ok(dials.length > before, `seed ${seed}: no dial within 3 s of the path's return`);
      assert.ok(up.has('x'), `seed ${seed}`);
      await dialer.stop();
    }
  });

  test('dials at once when the peer dials in or is heard of', async () => {
    const { clock, dialer, dials } = setUp(async () => Promise.reject(refused()));
    dialer.offer(candidate());
    await clock.advance(60_000);
    const calm = () => clock.now() - dials.at(-1)!.atMs >= 1_000;
    for (const heard of [{ peerId: 'mac2' }, { host: '127.0.0.1' }]) {
      while (!calm()) await clock.advance(100);
      const before = dials.length;
      dialer.hint(heard);
      await clock.advance(0);
      assert.equal(dials.length, before + 1, JSON.stringify(heard));
      dialer.hint(heard);
      await clock.advance(0);
      assert.equal(dials.length, before + 1, 'again at once');
    }
    while (!calm()) await clock.advance(100);
    const before = dials.length;
    dialer.hint({ peerId: 'someone else', host: '10.0.0.1' });
    await clock.advance(0);
    assert.equal(dials.length, before);
    await dialer.stop();
  });

  test('a connection that breaks at once counts as a failed try', async () => {
    const { clock, dialer, dials } = setUp(async () => ({ peerId: 'x', inUse: true, rttMs: 1 }));
    dialer.offer(candidate());
    await clock.advance(60_000);
    assert.ok(dials.length < 60, `${dials.length} dials in a minute`);
    await dialer.stop();
  });

  test('takes a new address of the same candidate at once', async () => {
    const { clock, dialer, dials, up } = setUp(async () => {
      up.add('x');
      return { peerId: 'x', inUse: true, rttMs: 1 };
    });
    dialer.offer(candidate());
    await clock.advance(1_000);
    dialer.offer(candidate({ address: { host: '127.0.0.1', port: 50099 } }));
    await clock.advance(0);
    assert.deepEqual(
      dials.map((dial) => dial.port),
      [50052, 50099],
    );
    await dialer.stop();
  });

  test('an address that leads back to the node is asked again only every 30 s', async () => {
    const { clock, dialer, dials } = setUp(async () =>
      Promise.reject(new ExoError('self-address', 'leads back')),
    );
    dialer.offer(candidate());
    await clock.advance(300_000);
    assert.equal(dials.length, 11);
    await dialer.stop();
  });

  test('a withdrawn candidate is not dialled again', async () => {
    const { clock, dialer, dials } = setUp(async () => Promise.reject(refused()));
    dialer.offer(candidate());
    await clock.advance(1_000);
    const before = dials.length;
    dialer.withdraw('manual:mac2');
    await clock.advance(60_000);
    assert.equal(dials.length, before);
    assert.equal(clock.pending, 0);
    await dialer.stop();
  });

  test('never runs more dials at once than the limit', async () => {
    let running = 0;
    let most = 0;
    const { clock, dialer } = setUp(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => clock.after(100, resolve));
      running -= 1;
      throw refused();
    });
    for (let n = 0; n < 200; n++) dialer.offer(candidate({ key: `manual:${n}`, claimedId: `${n}` }));
    await clock.advance(5_000);
    assert.ok(most <= LIMITS.dialsInFlight && most > 1, `${most}`);
    const stopped = dialer.stop();
    await clock.advance(200);
    await stopped;
  });
});
