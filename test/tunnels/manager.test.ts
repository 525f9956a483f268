/** The set of tunnels: what a reload touches, what clashes, what is kept over a restart, and that nothing is left. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { LIMITS } from '../../src/shared/index.js';
import { parseTunnelSpec, type TunnelSpec } from '../../src/tunnels/index.js';
import '../support/leaks.js';
import { end, spec, TunnelLab, tunnelLab } from '../support/memory-tunnels.js';

/** `count` tunnels to as many hosts, each with an exo node. */
function fleet(lab: TunnelLab, count: number, server?: string): TunnelSpec[] {
  return Array.from({ length: count }, (_, index) => {
    const host = server ?? `gate${index}`;
    lab.world.host(host).programs.set('localhost:50051', 'exo');
    return spec(`mac${index}`, { ssh: `me@${host}`, forward: [`${50_100 + index}:localhost:50051`] });
  });
}

function byCommand(name: string, more: Record<string, unknown> = {}): TunnelSpec {
  const written = { ssh: 'me@gate', forward: ['50052:localhost:50051'], ...more };
  return parseTunnelSpec(written, { name, source: 'command' });
}

async function lab(t: TestContext): Promise<TunnelLab> {
  const made = await tunnelLab(t);
  made.world.host('gate').programs.set('localhost:50051', 'exo');
  return made;
}

/** Lets virtual time pass until the promise settles. */
async function settled<T>(made: TunnelLab, promise: Promise<T>): Promise<T> {
  let done = false;
  void promise.finally(() => {
    done = true;
  });
  while (!done) await made.clock.advance(5);
  return promise;
}

describe('a reload', () => {
  it('T9: of fifty tunnels touches the one that changed; 49 sessions are the same', async (t) => {
    const made = await tunnelLab(t);
    const specs = fleet(made, 50);
    made.manager.apply(specs);
    await made.clock.advance(10_000);
    assert.equal(made.ups.length, 50);
    const pids = () => made.manager.list().map(({ pid }) => pid);
    const before = pids();
    const changed = specs.map((one, index) =>
      index === 17
        ? spec('mac17', { ssh: 'me@gate17', forward: ['50117:localhost:50051', '50217:localhost:50051'] })
        : one,
    );
    made.manager.apply(changed.map((one) => structuredClone(one)));
    await made.clock.advance(10_000);
    const after = made.manager.list();
    assert.equal(after.length, 50);
    assert.deepEqual(
      after.filter(({ pid }) => !before.includes(pid)).map(({ name }) => name),
      ['mac17'],
    );
    assert.ok(after.every(({ state }) => state === 'up'));
    assert.equal(made.world.sessions.size, 50);
  });

  it('opens what is new, closes what is gone, and leaves alone what a person opened', async (t) => {
    const made = await lab(t);
    made.manager.open(byCommand('mine', { forward: ['50090:localhost:50051'] }));
    made.manager.apply([spec('a')]);
    await made.until('a', 'up');
    made.manager.apply([spec('b')]);
    await made.until('b', 'up');
    assert.deepEqual(
      made.manager
        .list()
        .map(({ name }) => name)
        .sort(),
      ['b', 'mine'],
    );
    assert.equal(made.state('mine'), 'up');
    assert.throws(() => made.manager.get('a'), { code: 'tunnel-unknown' });
  });

  it('says when what is gone has let go of its ports', async (t) => {
    const made = await lab(t);
    made.manager.apply([spec('a'), spec('b', { forward: ['50053:localhost:50051'] })]);
    await made.until('a', 'up');
    await made.until('b', 'up');
    made.manager.apply([spec('b', { forward: ['50054:localhost:50051'] })]);
    assert.equal(made.world.sessions.size, 2, 'ssh takes its time');
    await settled(made, made.manager.released());
    assert.deepEqual([made.driver.sessionOf('a'), made.driver.startsOf('a')], [undefined, 1]);
    await made.until('b', 'up');
    await made.manager.released();
  });

  it('gives a tunnel under another name the port of the one that goes, without a clash', async (t) => {
    const made = await lab(t);
    made.manager.apply([spec('old')]);
    await made.until('old', 'up');
    made.manager.apply([spec('new')]);
    await made.until('new', 'up', 2_000);
    assert.equal(made.driver.startsOf('new'), 1, 'it waited for the port');
  });

  it('adopts a tunnel that a person opened and that the file now has: nothing is restarted', async (t) => {
    const made = await lab(t);
    made.manager.open(byCommand('mac2'));
    await made.until('mac2', 'up');
    made.manager.apply([spec('mac2')]);
    await made.clock.advance(1_000);
    const { source, peer, state } = made.manager.get('mac2');
    assert.deepEqual([source, peer, state], ['peers-file', 'mac2', 'up']);
    assert.equal(made.driver.startsOf('mac2'), 1);
    made.manager.apply([]);
    assert.deepEqual(made.manager.list(), []);
  });

  it('leaves closed what a person closed, until it changes in the file', async (t) => {
    const made = await lab(t);
    made.manager.apply([spec('mac2')]);
    await made.until('mac2', 'up');
    await settled(made, made.manager.close('mac2'));
    assert.equal(made.state('mac2'), 'stopped');
    made.manager.apply([spec('mac2')]);
    made.manager.retry();
    await made.clock.advance(60_000);
    assert.equal(made.state('mac2'), 'stopped');
    made.manager.apply([spec('mac2', { forward: ['50053:localhost:50051'] })]);
    await made.until('mac2', 'up');
  });

  it('keeps tunnels beyond the limit out and says nothing else', async (t) => {
    const made = await tunnelLab(t);
    made.manager.apply(fleet(made, LIMITS.tunnelsMax + 5));
    assert.equal(made.manager.list().length, LIMITS.tunnelsMax);
    assert.throws(() => made.manager.open(byCommand('one-more')), { code: 'overloaded' });
  });
});

describe('a person', () => {
  it('opens, closes and opens again; a name that is taken and one that is unknown are refused in words', async (t) => {
    const made = await lab(t);
    made.manager.open(byCommand('mine'));
    assert.throws(() => made.manager.open(byCommand('mine', { forward: ['50099:localhost:1'] })), {
      code: 'tunnel-exists',
      message: /close it first/,
    });
    await made.until('mine', 'up');
    await settled(made, made.manager.close('mine'));
    await assert.rejects(made.manager.close('mine'), { code: 'tunnel-unknown', message: /there is none/ });
    assert.throws(() => made.manager.history('mine'), { code: 'tunnel-unknown' });
    assert.throws(() => made.manager.retry('mine'), { code: 'tunnel-unknown' });
    made.manager.open(byCommand('mine'));
    await made.until('mine', 'up');
  });

  it('brings a closed tunnel of the file back by its name', async (t) => {
    const made = await lab(t);
    made.manager.apply([spec('mac2')]);
    await made.until('mac2', 'up');
    await settled(made, made.manager.close('mac2'));
    made.manager.retry('mac2');
    await made.until('mac2', 'up');
  });
});

describe('clashes', () => {
  it('keep a forward from the port of the node itself; another port in the file mends it', async (t) => {
    const made = await tunnelLab(t, { ownPorts: [{ port: 52_415, what: 'the HTTP API' }] });
    made.world.host('gate').programs.set('localhost:50051', 'exo');
    made.manager.apply([spec('mac2', { forward: ['52415:localhost:50051'] }), spec('mac3')]);
    await made.until('mac3', 'up');
    const { state, code, reason } = made.manager.get('mac2');
    assert.deepEqual([state, code], ['failed', 'port-clash']);
    assert.match(reason, /52415.*the HTTP API uses/);
    assert.equal(made.driver.startsOf('mac2'), 0);
    made.manager.apply([spec('mac2', { forward: ['52416:localhost:50051'] }), spec('mac3')]);
    await made.until('mac2', 'up');
  });

  it('between two tunnels hold the later one back until the other is gone', async (t) => {
    const made = await lab(t);
    made.manager.apply([spec('first'), spec('second')]);
    await made.until('first', 'up');
    await made.until('second', 'failed');
    assert.match(made.manager.get('second').reason, /of the tunnel "first"/);
    made.manager.apply([spec('second')]);
    await made.until('second', 'up');
  });

  it('are refused to a person at once', async (t) => {
    const made = await lab(t);
    made.manager.apply([spec('mac2')]);
    assert.throws(() => made.manager.open(byCommand('mine')), { code: 'tunnel-clash', message: /50052/ });
    assert.deepEqual(
      made.manager.list().map(({ name }) => name),
      ['mac2'],
    );
  });

  it('that may be meant so are notes', async (t) => {
    const made = await tunnelLab(t, { ownPorts: [{ port: 50_060, what: 'the node' }] });
    made.manager.apply([spec('mac2', { reverse: ['50061:localhost:50061'] })]);
    assert.match(made.manager.get('mac2').notes.join(), /leads to port 50061 of this machine/);
  });
});

describe('the manager', () => {
  it('logs in at one server at most eight times at once, and all fifty tunnels come up', async (t) => {
    const made = await tunnelLab(t);
    made.manager.apply(fleet(made, 50, 'gate'));
    await made.clock.advance(10_000);
    assert.equal(made.ups.length, 50);
    assert.equal(made.world.host('gate').loginsMost, LIMITS.tunnelOpeningPerHostMax);
  });

  it('lets no tunnel wait for a server that another one hangs at', async (t) => {
    const made = await tunnelLab(t);
    made.world.host('hole').cut = true;
    const specs = fleet(made, 4);
    made.manager.apply(
      [...fleet(made, 30, 'hole').map((one) => ({ ...one, name: `x-${one.name}` })), ...specs].map(
        (one, index) => ({
          ...one,
          forward: [
            { ...one.forward[0]!, listen: { kind: 'tcp' as const, host: 'localhost', port: 51_000 + index } },
          ],
        }),
      ),
    );
    await made.clock.advance(1_000);
    assert.deepEqual(made.ups.sort(), ['mac0', 'mac1', 'mac2', 'mac3']);
  });

  it('ends who held its -R listeners when the node was killed and started again', async (t) => {
    const stateFolder = mkdtempSync(path.join(tmpdir(), 'exo-tunnels-'));
    t.after(() => rmSync(stateFolder, { recursive: true, force: true }));
    const first = await tunnelLab(t, { stateFolder });
    first.world.host('gate').programs.set('localhost:50051', 'exo');
    first.world.localPrograms.set('localhost:50060', 'exo');
    const twoWay = spec('mac2', { reverse: ['50060:localhost:50060'] });
    first.manager.apply([twoWay]);
    await first.until('mac2', 'up');
    const [file] = readdirSync(path.join(stateFolder, 'far'));
    assert.equal(statSync(path.join(stateFolder, 'far', file!)).mode & 0o077, 0);

    // The node is gone without a word; its far session is not.
    const second = new TunnelLab({ clock: first.clock }, stateFolder, first.world);
    for (const session of first.world.sessions) {
      session.deaf = true;
      session.kill();
    }
    first.driver.blind = true;
    first.world.host('gate').loginFails = { code: 'auth-failed', message: 'the old node is dead' };
    await first.until('mac2', 'failed');
    first.world.host('gate').loginFails = undefined;
    await second.manager.start();
    t.after(() => end(second));
    second.manager.apply([twoWay]);
    await second.until('mac2', 'up', 5_000);
    assert.equal(second.driver.evictions, 1);
    second.manager.apply([]);
    await second.clock.advance(1_000);
    assert.deepEqual(readdirSync(path.join(stateFolder, 'far')), [], 'a tunnel that is gone leaves no file');
  });

  it('keeps a bounded history', async (t) => {
    const made = await lab(t);
    made.manager.apply([spec('mac2')]);
    for (let round = 0; round < 40; round += 1) {
      await made.until('mac2', 'up');
      made.driver.sessionOf('mac2')!.kill();
      await made.clock.advance(1);
    }
    await made.until('mac2', 'up');
    const history = made.manager.history('mac2');
    assert.equal(history.length, LIMITS.tunnelHistoryMax);
    assert.equal(history.at(-1)!.to, 'up');
    assert.ok(
      history.some(({ code, reason }) => code === 'killed' && /SIGKILL; ssh starts again/.test(reason)),
    );
  });

  it('tells of every change, and no more when nobody listens', async (t) => {
    const made = await lab(t);
    const states: string[] = [];
    const unsubscribe = made.manager.onChange(() => states.push(made.manager.list()[0]?.state ?? 'none'));
    made.manager.apply([spec('mac2')]);
    await made.until('mac2', 'up');
    assert.deepEqual([...new Set(states)], ['starting', 'gate', 'up']);
    unsubscribe();
    made.manager.apply([]);
    assert.ok(!states.includes('none'));
  });

  it('says that there is no ssh, and takes it once there is one and a person asks', async (t) => {
    const made = await lab(t);
    made.driver.missing = 'there is no ssh on this machine: install OpenSSH';
    made.manager.apply([spec('mac2')]);
    await made.until('mac2', 'failed');
    assert.equal(made.manager.get('mac2').code, 'ssh-missing');
    assert.match(made.manager.get('mac2').reason, /install OpenSSH/);
    made.driver.missing = undefined;
    made.manager.retry();
    await made.until('mac2', 'up');
  });

  it('leaves nothing when it stops, whatever its tunnels are doing: no session, no timer', async (t) => {
    for (const when of [0, 100, 301, 350, 5_000, 12_500, 22_000, 70_000]) {
      const made = await tunnelLab(t);
      const specs = fleet(made, 6);
      const [, dead, cut, busy, mute, hangs] = [0, 1, 2, 3, 4, 5].map((index) =>
        made.world.host(`gate${index}`),
      );
      dead!.sshdDown = true;
      busy!.ports.set(50_060, 0);
      mute!.mute = true;
      hangs!.programs.set('localhost:50051', 'hangs');
      specs[3] = spec('mac3', { ssh: 'me@gate3', reverse: ['50060:localhost:50060'] });
      made.manager.apply(specs);
      await made.clock.advance(when / 2);
      cut!.cut = true;
      await made.clock.advance(when / 2);
      await end(made);
      assert.equal(made.world.sessions.size, 0);
      assert.equal(made.clock.pending, 0, `timers are left after a stop at ${when} ms`);
      assert.ok(made.manager.list().every(({ state }) => state === 'stopped'));
      assert.deepEqual(made.faults, []);
      assert.deepEqual([...made.driver.doubled], []);
    }
  });

  it('never has two sessions of one tunnel, and ends up up, through random faults', async (t) => {
    for (let seed = 1; seed <= 15; seed += 1) {
      const made = await tunnelLab(t, { seed });
      const gate = made.world.host('gate');
      gate.programs.set('localhost:50051', 'exo');
      made.world.localPrograms.set('localhost:50060', 'exo');
      made.manager.apply([spec('mac2', { reverse: ['50060:localhost:50060'] })]);
      let state = seed;
      const next = (below: number) => {
        state = (state * 48_271) % 2_147_483_647;
        return state % below;
      };
      for (let fault = 0; fault < 40; fault += 1) {
        const kind = next(8);
        if (kind === 0) made.driver.sessionOf('mac2')?.kill();
        else if (kind === 1) gate.cut = !gate.cut;
        else if (kind === 2) gate.sshdDown = !gate.sshdDown;
        else if (kind === 3) gate.programs.set('localhost:50051', next(2) === 0 ? 'hangs' : 'exo');
        else if (kind === 4) made.interfaces = `eth0 10.0.0.${next(200)}`;
        else if (kind === 5) made.manager.retry('mac2');
        else if (kind === 6)
          made.manager.apply([spec('mac2', { reverse: ['50060:localhost:50060'], probe: true })]);
        else made.manager.hint('mac2');
        await made.clock.advance(next(25_000));
      }
      gate.cut = false;
      gate.sshdDown = false;
      gate.programs.set('localhost:50051', 'exo');
      await made.until('mac2', 'up', 120_000);
      assert.deepEqual([...made.driver.doubled], []);
      assert.deepEqual(made.faults, []);
    }
  });
});
