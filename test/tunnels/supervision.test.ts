/** What a tunnel does about every kind of trouble, and how soon, in virtual time: manager, runner and supervisor as shipped. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { TunnelFailureCode } from '../../src/tunnels/index.js';
import '../support/leaks.js';
import { type LabOptions, SleepyClock, spec, type TunnelLab, tunnelLab } from '../support/memory-tunnels.js';
import { promise } from '../support/promise.js';

/** A lab with one tunnel `mac2` to an exo node behind `gate`. */
async function one(t: TestContext, more: Record<string, unknown> = {}, options: LabOptions = {}) {
  const lab = await tunnelLab(t, options);
  const gate = lab.world.host('gate');
  gate.programs.set('localhost:50051', 'exo');
  lab.world.localPrograms.set('localhost:50060', 'exo');
  lab.manager.apply([spec('mac2', more)]);
  return { lab, gate, session: () => lab.driver.sessionOf('mac2')! };
}

const TWO_WAY = { reverse: ['50060:localhost:50060'] };

function p95(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.ceil(values.length * 0.95) - 1]!;
}

async function cutUntil(lab: TunnelLab, state: 'degraded' | 'backoff'): Promise<number> {
  return lab.until('mac2', state, 60_000);
}

describe('a tunnel', () => {
  it('is up when a health check came back through it, and shows its way there', async (t) => {
    const { lab } = await one(t, TWO_WAY);
    await lab.until('mac2', 'up', 2_000);
    const status = lab.manager.get('mac2');
    assert.deepEqual(
      status.forwards.map(({ kind, listen, target, verdict, rttMs }) => [
        kind,
        listen,
        target,
        verdict,
        rttMs,
      ]),
      [
        ['L', 'localhost:50052', 'localhost:50051', 'ok', 1],
        ['R', 'localhost:50060', 'localhost:50060', 'ok', 1],
      ],
    );
    assert.equal(status.code, null);
    assert.equal(status.restarts, 0);
    assert.equal(status.upSinceAtMs, status.sinceAtMs);
    assert.deepEqual(
      lab.manager.history('mac2').map(({ from, to }) => `${from} ${to}`),
      ['stopped starting', 'starting gate', 'gate up'],
    );
    assert.deepEqual(lab.ups, ['mac2']);
  });

  it('T1: back within 3 s, twenty times over, when its ssh is killed; at once the first time', async (t) => {
    const { lab, session } = await one(t);
    await lab.until('mac2', 'up');
    const took: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      await lab.clock.advance(5_000);
      const starts = lab.driver.startsOf('mac2');
      session().kill();
      await lab.clock.advance(1);
      assert.equal(lab.state('mac2'), 'starting');
      assert.equal(lab.driver.startsOf('mac2'), starts + 1);
      took.push(await lab.until('mac2', 'up'));
    }
    assert.ok(p95(took) <= 3_000, `${took}`);
    promise(t, 'T1', `${p95(took)} ms p95 of ${took.length}, virtual time`);
    assert.equal(lab.manager.get('mac2').restarts, 20);
  });

  it('starts no flapping session more often than every two seconds, and after thirty not without a wait', async (t) => {
    const { lab, session } = await one(t);
    for (let round = 0; round < 60; round += 1) {
      await lab.until('mac2', 'up');
      session().kill();
      await lab.clock.advance(1);
    }
    const starts = lab.driver.starts.get('mac2')!;
    const gaps = starts.slice(1).map((atMs, index) => atMs - starts[index]!);
    assert.ok(Math.min(...gaps.slice(0, 29)) >= 2_000, `${gaps}`);
    assert.ok(starts.at(-1)! - starts[45]! >= 14 * 4_000, `${gaps}`);
  });

  it('T2: a black hole is seen within 14 s and the session given up within 35 s, at whatever moment it begins', async (t) => {
    for (let offsetMs = 0; offsetMs < 10_000; offsetMs += 1_700) {
      const { lab, gate } = await one(t, {}, { seed: offsetMs + 1 });
      await lab.until('mac2', 'up');
      await lab.clock.advance(offsetMs);
      gate.cut = true;
      const degradedMs = await cutUntil(lab, 'degraded');
      const backoffMs = degradedMs + (await cutUntil(lab, 'backoff'));
      assert.ok(degradedMs <= 14_000, `degraded after ${degradedMs} ms`);
      assert.ok(backoffMs <= 35_000, `given up after ${backoffMs} ms`);
      assert.equal(lab.manager.get('mac2').code, 'probe-timeout');
      await lab.clock.advance(60_000);
      gate.cut = false;
      const tookMs = await lab.until('mac2', 'up');
      assert.ok(tookMs <= 3_000, `back ${tookMs} ms after the link`);
    }
  });

  it('a cut that ends before the session was given up costs no restart', async (t) => {
    const { lab, gate } = await one(t);
    await lab.until('mac2', 'up');
    gate.cut = true;
    await cutUntil(lab, 'degraded');
    gate.cut = false;
    await lab.until('mac2', 'up', 3_000);
    assert.equal(lab.manager.get('mac2').restarts, 0);
  });

  it('T3: up within 5 s after an sshd that was down for a minute is back', async (t) => {
    const took: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      const { lab, gate, session } = await one(t, {}, { seed: round + 1 });
      await lab.until('mac2', 'up');
      gate.sshdDown = true;
      session().fail({ code: 'server-closed', message: 'the server ended the connection' });
      await lab.clock.advance(60_000);
      assert.equal(lab.manager.get('mac2').code, 'connect-refused');
      gate.sshdDown = false;
      took.push(await lab.until('mac2', 'up'));
    }
    assert.ok(p95(took) <= 5_000, `${took}`);
    promise(t, 'T3', `down 60 s, up ${p95(took)} ms p95 of ${took.length} after its return, virtual time`);
  });

  it('T4: a port of -R that is taken: never up, the reason by its name, up within 5 s after it is free', async (t) => {
    const { lab, gate } = await one(t, TWO_WAY);
    gate.ports.set(50_060, 0);
    await lab.clock.advance(30_000);
    assert.deepEqual(lab.ups, []);
    await lab.until('mac2', 'backoff', 2_000);
    const { state, code, reason } = lab.manager.get('mac2');
    assert.deepEqual([state, code], ['backoff', 'remote-port-busy']);
    assert.match(reason, /50060 is taken on the far machine; tried again/);
    assert.equal(lab.driver.evictions, 0, 'nobody is known who could be asked to go');
    gate.ports.delete(50_060);
    const tookMs = await lab.until('mac2', 'up');
    assert.ok(tookMs <= 5_000, `${tookMs} ms`);
  });

  it('looks once for an old session of its own when somebody else took the port, and then waits', async (t) => {
    const { lab, gate, session } = await one(t, TWO_WAY);
    await lab.until('mac2', 'up');
    session().kill();
    gate.ports.set(50_060, 0);
    await lab.clock.advance(60_000);
    assert.equal(lab.driver.evictions, 1);
    await lab.until('mac2', 'backoff', 2_000);
    assert.match(lab.manager.get('mac2').reason, /50060 is taken on the far machine; tried again/);
    gate.ports.delete(50_060);
    assert.ok((await lab.until('mac2', 'up')) <= 5_000);
  });

  it('ends its own stale listener after a cut, and is up within 5 s after the path is back', async (t) => {
    const { lab, gate } = await one(t, TWO_WAY);
    await lab.until('mac2', 'up');
    gate.cut = true;
    await lab.clock.advance(60_000);
    gate.cut = false;
    const tookMs = await lab.until('mac2', 'up');
    assert.ok(tookMs <= 5_000, `${tookMs} ms`);
    assert.equal(lab.driver.evictions, 1);
    assert.ok(lab.manager.history('mac2').some(({ code }) => code === 'remote-port-busy'));
  });

  it('T6: ten minutes against a host that refuses see at most 20 starts, with and without a way to knock', async (t) => {
    let most = 0;
    for (const blind of [false, true]) {
      for (let seed = 1; seed <= 10; seed += 1) {
        const lab = await tunnelLab(t, { seed });
        lab.driver.blind = blind;
        lab.world.host('gate').sshdDown = true;
        lab.manager.apply([spec('mac2')]);
        await lab.clock.advance(600_000);
        const starts = lab.driver.startsOf('mac2');
        assert.ok(starts >= 1 && starts <= 20, `${starts} starts (blind: ${blind})`);
        if (!blind) assert.equal(starts, 1);
        most = Math.max(most, starts);
      }
    }
    promise(t, 'T6', `${most} starts at most, 10 seeds each way, virtual time`);
  });

  it('a server that accepts and says nothing is tried at most 20 times in ten minutes', async (t) => {
    const { lab, gate } = await one(t);
    gate.mute = true;
    await lab.clock.advance(600_000);
    assert.ok(lab.driver.startsOf('mac2') <= 20, `${lab.driver.startsOf('mac2')} starts`);
    assert.equal(lab.manager.get('mac2').code, 'server-silent');
  });

  it('does not start ssh against a host that answers knocks only more often than its backoff says', async (t) => {
    const { lab, gate } = await one(t);
    gate.loginFails = { code: 'connect-refused', message: 'the jump host could not reach it' };
    await lab.clock.advance(600_000);
    assert.ok(lab.driver.startsOf('mac2') <= 20, `${lab.driver.startsOf('mac2')} starts`);
  });

  it('fails for good after one attempt where only a person can help, and starts anew when asked', async (t) => {
    const fatal: TunnelFailureCode[] = [
      'host-key-changed',
      'host-key-unknown',
      'auth-failed',
      'forward-refused',
    ];
    for (const code of fatal) {
      const { lab, gate } = await one(t);
      gate.loginFails = { code, message: 'what ssh said.' };
      await lab.until('mac2', 'failed');
      await lab.clock.advance(600_000);
      for (const nudge of ['192.168.3.3', '192.168.4.4']) {
        lab.interfaces = nudge;
        lab.manager.hint('mac2');
        await lab.clock.advance(5_000);
      }
      assert.equal(lab.driver.startsOf('mac2'), 1);
      const status = lab.manager.get('mac2');
      assert.deepEqual([status.state, status.code], ['failed', code]);
      assert.equal(status.reason, 'what ssh said; not tried again until something is changed');
      gate.loginFails = undefined;
      lab.manager.retry('mac2');
      await lab.until('mac2', 'up', 2_000);
    }
  });
});

describe('a session that stands', () => {
  it('without a node behind it: degraded, no restart, up soon after the node has started', async (t) => {
    const { lab, gate } = await one(t);
    gate.programs.delete('localhost:50051');
    await lab.until('mac2', 'degraded', 2_000);
    const { code, reason, forwards } = lab.manager.get('mac2');
    assert.equal(code, 'remote-node-down');
    assert.match(reason, /nothing listens at localhost:50051 .*start exo there/);
    assert.equal(forwards[0]!.verdict, 'closed');
    await lab.clock.advance(300_000);
    assert.equal(lab.driver.startsOf('mac2'), 1);
    assert.deepEqual(lab.ups, []);
    gate.programs.set('localhost:50051', 'exo');
    assert.ok((await lab.until('mac2', 'up')) <= 2_100);
  });

  it('with something else behind it: degraded as a port mismatch, no restart', async (t) => {
    const { lab, gate } = await one(t);
    gate.programs.set('localhost:50051', 'other');
    await lab.until('mac2', 'degraded', 2_000);
    await lab.clock.advance(120_000);
    const { code, reason } = lab.manager.get('mac2');
    assert.equal(code, 'port-mismatch');
    assert.match(reason, /no exo node .*correct the port/);
    assert.equal(lab.driver.startsOf('mac2'), 1);
  });

  it('with a node that never answers: degraded after three checks, no restart', async (t) => {
    const { lab, gate } = await one(t);
    gate.programs.set('localhost:50051', 'hangs');
    const tookMs = await lab.until('mac2', 'degraded');
    assert.ok(tookMs <= 13_000, `${tookMs} ms`);
    assert.equal(lab.manager.get('mac2').code, 'remote-node-down');
    await lab.clock.advance(300_000);
    assert.equal(lab.driver.startsOf('mac2'), 1);
  });

  it('with a node that freezes: one restart to tell it from a dead path, then degraded until it thaws', async (t) => {
    const { lab, gate } = await one(t);
    await lab.until('mac2', 'up');
    gate.programs.set('localhost:50051', 'hangs');
    await lab.clock.advance(300_000);
    const { state, code } = lab.manager.get('mac2');
    assert.deepEqual([state, code], ['degraded', 'remote-node-down']);
    assert.equal(lab.driver.startsOf('mac2'), 2);
    gate.programs.set('localhost:50051', 'exo');
    await lab.until('mac2', 'up', 6_000);
  });

  it('of which one forward answers and another does not: degraded, no restart, and the one is named', async (t) => {
    const { lab, gate } = await one(t, { forward: ['50052:localhost:50051', '50053:10.0.0.9:50051'] });
    gate.programs.set('10.0.0.9:50051', 'hangs');
    await lab.clock.advance(120_000);
    const { state, code, reason, forwards } = lab.manager.get('mac2');
    assert.deepEqual([state, code], ['degraded', 'remote-node-down']);
    assert.match(reason, /10\.0\.0\.9:50051/);
    assert.deepEqual(
      forwards.map(({ verdict }) => verdict),
      ['ok', 'silent'],
    );
    assert.equal(lab.driver.startsOf('mac2'), 1);
  });

  it('whose -R leads to a port of this machine where nothing listens: degraded, and says so', async (t) => {
    const { lab } = await one(t, TWO_WAY);
    lab.world.localPrograms.clear();
    await lab.until('mac2', 'degraded', 2_000);
    assert.match(lab.manager.get('mac2').reason, /nothing listens at localhost:50060 on this machine/);
  });

  it('whose far end the server lets nobody test: up by what could be tested', async (t) => {
    const { lab, gate } = await one(t, TWO_WAY);
    gate.noDirect = true;
    await lab.until('mac2', 'up', 2_000);
    assert.deepEqual(
      lab.manager.get('mac2').forwards.map(({ verdict }) => verdict),
      ['ok', 'untested'],
    );
  });

  it('that is not to be probed: up when its forwards stand', async (t) => {
    const { lab } = await one(t, { forward: ['5433:db:5432'], probe: false });
    await lab.until('mac2', 'up', 2_000);
    assert.match(lab.manager.get('mac2').reason, /not to be probed/);
  });

  it('is never up while a probe fails', async (t) => {
    const { lab, gate } = await one(t);
    await lab.until('mac2', 'up');
    for (const program of ['hangs', 'other', undefined] as const) {
      if (program === undefined) gate.programs.delete('localhost:50051');
      else gate.programs.set('localhost:50051', program);
      await lab.until('mac2', 'degraded', 14_000);
      const seen = new Set<string>();
      const unsubscribe = lab.manager.onChange(() => seen.add(lab.state('mac2')));
      await lab.clock.advance(60_000);
      assert.ok(!seen.has('up'), `${program}: ${[...seen]}`);
      unsubscribe();
      gate.programs.set('localhost:50051', 'exo');
      await lab.until('mac2', 'up');
    }
  });

  it('holds a terminal session when small messages are held back, asks once, and says so', async (t) => {
    const { lab, gate, session } = await one(t);
    gate.stalls = true;
    await lab.until('mac2', 'up', 4_000);
    assert.equal(session().facts?.pty, 'held');
    assert.equal(lab.driver.startsOf('mac2'), 2);
    assert.match(lab.manager.get('mac2').notes.join(), /a terminal session is held/);
    assert.match(
      lab.manager
        .history('mac2')
        .map(({ reason }) => reason)
        .join(),
      /held back for 40 ms: ssh connects again/,
    );
    session().kill();
    await lab.until('mac2', 'starting');
    await lab.until('mac2', 'up');
    assert.equal(session().facts?.pty, 'held');
    assert.equal(lab.driver.startsOf('mac2'), 3, 'measured once, remembered');
  });

  it('measures nothing while a peer uses the session, and does so at the next', async (t) => {
    const { lab, gate, session } = await one(t);
    gate.stalls = true;
    lab.isInUse = () => true;
    await lab.until('mac2', 'up', 4_000);
    await lab.clock.advance(60_000);
    assert.equal(lab.driver.startsOf('mac2'), 1);
    assert.deepEqual(lab.manager.get('mac2').notes, []);
    lab.isInUse = () => false;
    session().kill();
    await lab.until('mac2', 'starting');
    await lab.until('mac2', 'up', 4_000);
    assert.deepEqual([lab.driver.startsOf('mac2'), session().facts?.pty], [3, 'held']);
  });

  it('lets a session be that a peer began to use while it was measured; the next one is better', async (t) => {
    const { lab, gate, session } = await one(t);
    gate.stalls = true;
    let asked = 0;
    lab.isInUse = () => {
      asked += 1;
      return asked > 1;
    };
    await lab.until('mac2', 'up', 4_000);
    assert.equal(asked, 2, 'before and after');
    assert.equal(lab.driver.startsOf('mac2'), 1);
    assert.match(lab.manager.get('mac2').notes.join(), /is held from the next connect on/);
    session().kill();
    await lab.until('mac2', 'starting');
    await lab.until('mac2', 'up', 4_000);
    assert.deepEqual([lab.driver.startsOf('mac2'), session().facts?.pty], [2, 'held']);
    assert.match(lab.manager.get('mac2').notes.join(), /a terminal session is held, which/);
  });

  it('works without a terminal session where the server allows none, and says what it costs', async (t) => {
    const { lab, gate } = await one(t);
    gate.stalls = true;
    gate.ptyRefused = true;
    await lab.until('mac2', 'up', 4_000);
    await lab.clock.advance(60_000);
    assert.equal(lab.driver.startsOf('mac2'), 2);
    assert.match(lab.manager.get('mac2').notes.join(), /allows no terminal session: .* 40 ms/);
  });
});

describe('what happens outside', () => {
  it('wake: a session that died in the sleep is replaced within 2 s, one that lives is kept', async (t) => {
    for (const died of [false, true]) {
      const clock = new SleepyClock();
      const { lab, gate, session } = await one(t, {}, { clock });
      await lab.until('mac2', 'up');
      const before = session();
      clock.sleep(3_600_000);
      if (died) before.deaf = true;
      await lab.clock.advance(1_000);
      const tookMs = died ? await lab.until('mac2', 'backoff') : 0;
      const backMs = tookMs + (await lab.until('mac2', 'up'));
      assert.ok(backMs <= 2_000, `${backMs} ms`);
      assert.equal(session() === before, !died);
      assert.equal(gate.logins, 0);
    }
  });

  it('reload: a session that answers late is kept', async (t) => {
    const { lab, gate, session } = await one(t);
    await lab.until('mac2', 'up');
    const before = session();
    gate.cut = true;
    lab.manager.retry();
    await lab.clock.advance(1_500);
    gate.cut = false;
    await lab.clock.advance(5_000);
    assert.equal(lab.state('mac2'), 'up');
    assert.equal(session(), before);
  });

  it('wake: a tunnel that waits tries at once', async (t) => {
    const clock = new SleepyClock();
    const { lab, gate } = await one(t, {}, { clock });
    gate.loginFails = { code: 'server-closed', message: 'too many' };
    await lab.clock.advance(300_000);
    assert.equal(lab.state('mac2'), 'backoff');
    gate.loginFails = undefined;
    clock.sleep(60_000);
    await lab.clock.advance(1_001);
    await lab.until('mac2', 'up', 1_000);
  });

  it('network: a dead session is replaced at once when the interfaces change', async (t) => {
    const { lab, session } = await one(t);
    await lab.until('mac2', 'up');
    await lab.clock.advance(3_000);
    session().deaf = true;
    lab.interfaces = 'wlan0 10.1.1.1';
    await lab.until('mac2', 'backoff', 3_000);
    await lab.until('mac2', 'up', 1_000);
    assert.ok(lab.manager.history('mac2').some(({ code }) => code === 'probe-timeout'));
  });

  it('network: a connect that was sent into the old network is begun anew', async (t) => {
    const { lab, gate } = await one(t);
    await lab.until('mac2', 'up');
    gate.cut = true;
    lab.driver.sessionOf('mac2')!.kill();
    await lab.clock.advance(4_000);
    assert.equal(lab.state('mac2'), 'starting');
    gate.cut = false;
    lab.interfaces = 'wlan0 10.1.1.1';
    const tookMs = await lab.until('mac2', 'up');
    assert.ok(tookMs <= 3_000, `${tookMs} ms`);
  });

  it('hint: a tunnel to the peer that was heard of does not wait any longer; others do', async (t) => {
    const { lab, gate } = await one(t);
    gate.loginFails = { code: 'server-closed', message: 'too many' };
    await lab.clock.advance(300_000);
    while (lab.manager.get('mac2').nextTryInMs! < 20_000) await lab.clock.advance(100);
    gate.loginFails = undefined;
    lab.manager.hint('somebody-else');
    await lab.clock.advance(1_000);
    assert.equal(lab.state('mac2'), 'backoff');
    lab.manager.hint('mac2');
    await lab.until('mac2', 'up', 3_000);
  });

  it('hint: hints without end start no more sessions than one in two seconds', async (t) => {
    const { lab, gate } = await one(t);
    gate.loginFails = { code: 'server-closed', message: 'too many' };
    await lab.clock.advance(120_000);
    const before = lab.driver.startsOf('mac2');
    for (let count = 0; count < 600; count += 1) {
      lab.manager.hint('mac2');
      await lab.clock.advance(100);
    }
    assert.ok(lab.driver.startsOf('mac2') - before <= 31, `${lab.driver.startsOf('mac2') - before} starts`);
  });
});
