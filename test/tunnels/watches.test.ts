/** Sleep, change of the network, stalls and the far pids: the small parts around the supervisor. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../src/shared/index.js';
import { FarPids } from '../../src/tunnels/far-pids.js';
import { interfacesText, watchNetwork } from '../../src/tunnels/network-watch.js';
import { showsStalls } from '../../src/tunnels/supervisor/nagle.js';
import { watchWake } from '../../src/tunnels/wake-watch.js';
import '../support/leaks.js';
import { SleepyClock, spec } from '../support/memory-tunnels.js';

describe('the wake watch', () => {
  it('notices sleep by the wall clock, once, and no second that was a bit late', async () => {
    const clock = new SleepyClock();
    const woke: number[] = [];
    const watch = watchWake(clock, (sleptMs) => woke.push(sleptMs));
    await clock.advance(60_000);
    clock.sleep(3_000);
    await clock.advance(10_000);
    assert.deepEqual(woke, []);
    clock.sleep(3_600_000);
    await clock.advance(10_000);
    assert.deepEqual(woke, [3_600_000]);
    watch.cancel();
    clock.sleep(3_600_000);
    await clock.advance(10_000);
    assert.equal(woke.length, 1);
    assert.equal(clock.pending, 0);
  });

  it('notices sleep by a tick that came late', () => {
    let [nowMs, wallMs] = [0, 0];
    let tick: () => void = () => undefined;
    const woke: number[] = [];
    const watch = watchWake(
      {
        now: () => nowMs,
        wall: () => wallMs,
        after: () => ({ cancel: () => undefined }),
        every: (_intervalMs, fn) => {
          tick = fn;
          return { cancel: () => undefined };
        },
      },
      (sleptMs) => woke.push(sleptMs),
    );
    [nowMs, wallMs] = [61_000, 1_000];
    tick();
    // A clock that was set back is no sleep.
    [nowMs, wallMs] = [62_000, -90_000];
    tick();
    assert.deepEqual(woke, [60_000]);
    watch.cancel();
  });
});

describe('the network watch', () => {
  it('tells of a change within two seconds, once', async () => {
    const clock = new VirtualClock();
    let text = 'eth0 192.168.2.2';
    let changes = 0;
    const watch = watchNetwork(
      clock,
      () => text,
      () => {
        changes += 1;
      },
    );
    await clock.advance(10_000);
    assert.equal(changes, 0);
    text = 'wlan0 10.0.0.7';
    await clock.advance(2_000);
    assert.equal(changes, 1);
    await clock.advance(10_000);
    assert.equal(changes, 1);
    watch.cancel();
    assert.equal(clock.pending, 0);
  });

  it('reads the interfaces of this machine', () => {
    assert.match(interfacesText(), /127\.0\.0\.1/);
    assert.equal(interfacesText(), interfacesText());
  });
});

describe('stalls', () => {
  const quick = Array.from({ length: 60 }, (_, index) => 0.2 + index / 100);

  it('are two or more round trips of one length that took 30 ms longer than the median', () => {
    assert.equal(showsStalls(quick), false);
    assert.equal(showsStalls([...quick.slice(1), 41]), false);
    assert.equal(showsStalls([...quick.slice(2), 41, 42]), true);
    assert.equal(showsStalls([...quick.slice(2), 25, 29]), false);
  });

  it('are not what a busy machine does: long round trips of any length', () => {
    assert.equal(showsStalls([...quick.slice(4), 35, 47, 61, 90]), false);
  });

  it('cannot be told from half a burst', () => {
    assert.equal(showsStalls(quick.slice(0, 29)), undefined);
    assert.equal(showsStalls([]), undefined);
  });
});

describe('the far pids', () => {
  it('are kept per tunnel and destination, and survive rubbish in their place', (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'exo-far-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const pids = new FarPids(folder);
    const one = spec('mac2');
    assert.equal(pids.read(one), undefined);
    pids.write(one, 4_711);
    assert.equal(new FarPids(folder).read(one), 4_711);
    assert.equal(pids.read(spec('mac2', { ssh: 'me@elsewhere' })), undefined);
    assert.equal(pids.read(spec('mac3')), undefined);
    const file = path.join(folder, 'far', readdirSync(path.join(folder, 'far'))[0]!);
    for (const rubbish of [
      '',
      '{',
      '{"pid": "1; rm"}',
      '{"pid": -1}',
      '{"pid": 1}',
      '{"pid": 1e9}',
      '[]',
      'null',
    ]) {
      writeFileSync(file, rubbish);
      assert.equal(pids.read(one), undefined, rubbish);
    }
    pids.write(one, null);
    pids.write(one, null);
    assert.deepEqual(readdirSync(path.join(folder, 'far')), []);
  });

  it('that cannot be written cost nothing', (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'exo-far-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(path.join(folder, 'far'), 'a file where a folder should be');
    const pids = new FarPids(folder);
    pids.write(spec('mac2'), 4_711);
    pids.write(spec('mac2'), null);
    assert.equal(pids.read(spec('mac2')), undefined);
  });
});
