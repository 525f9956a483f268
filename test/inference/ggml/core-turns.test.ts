/** Engines of one machine compute in turn: real locks of the operating system, one descriptor for each engine. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CoreTurns } from '../../../src/inference/engines/ggml/child/core-turns.js';
import { systemClock, VirtualClock } from '../../../src/shared/index.js';
import { eventually } from '../../support/eventually.js';
import '../../support/leaks.js';

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe('turns of engines', { skip: process.platform === 'win32' && 'no such locks there' }, () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'exo-turns-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  const file = () => path.join(folder, 'cores.lock');

  /** A turn that lasts until it is ended. */
  function long(turns: CoreTurns) {
    const started = deferred<boolean>();
    const ended = deferred<void>();
    const done = turns.take(async (hasWaited) => {
      started.resolve(hasWaited);
      await ended.promise;
    });
    const end = () => {
      ended.resolve();
      return done;
    };
    return { started: started.promise, end };
  }

  test('one computes while the other waits, and is told so', async () => {
    const [a, b] = [new CoreTurns(file(), systemClock), new CoreTurns(file(), systemClock)];
    const first = long(a);
    assert.equal(await first.started, false);
    const order: string[] = [];
    const second = b.take(async (hasWaited) => {
      order.push(`b, waited: ${hasWaited}`);
    });
    await new Promise((resolve) => setImmediate(resolve));
    order.push('a ends');
    await first.end();
    await second;
    assert.deepEqual(order, ['a ends', 'b, waited: true']);
    // The lock is free again.
    await a.take(async (hasWaited) => assert.equal(hasWaited, false));
    a.close();
    b.close();
  });

  test('who keeps his turn for too long is not waited for, until he has ended it', async () => {
    const a = new CoreTurns(file(), systemClock);
    const b = new CoreTurns(file(), systemClock, 20);
    const stuck = long(a);
    await stuck.started;
    assert.equal(await waited(b), true);
    // At once now.
    assert.equal(await waited(b), false);
    await stuck.end();
    // The lock that b's thread waited for comes to it, and is released: b takes turns again.
    await eventually({ timeoutMs: 5_000, what: 'a turn after the stuck one' }, async () => {
      const again = long(a);
      await again.started;
      const hasWaited = await waited(b);
      await again.end();
      return hasWaited;
    });
    await eventually({ timeoutMs: 5_000, what: 'the lock for the thread' }, () => !b.isWaiting);
    a.close();
    b.close();
  });

  test('after a long turn the next one that would follow at once comes a moment later, and no other', async () => {
    const clock = new VirtualClock();
    const turns = new CoreTurns(file(), clock);
    const taken: number[] = [];
    const take = (ms: number) =>
      turns.take(async () => {
        taken.push(clock.now());
        await clock.advance(ms);
      });
    await take(20);
    const second = take(0);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(taken.length, 1, 'another engine may come before');
    await clock.advance(1);
    await second;
    await take(20);
    await clock.advance(0.5);
    await take(19);
    await take(0);
    assert.equal(taken.length, 5);
    turns.close();
  });

  test('an engine sees that another one computes, also where neither ever waits, and that it does so no more', async () => {
    const clock = new VirtualClock();
    const name = path.join(folder, 'shared.lock');
    const [a, b] = [new CoreTurns(name, clock), new CoreTurns(name, clock)];
    const seen = async (turns: CoreTurns) => {
      await waited(turns);
      return turns.isShared;
    };
    assert.equal(await seen(a), false, 'alone');
    assert.equal(await seen(a), false, 'its own turn before');
    assert.equal(await seen(b), true);
    assert.equal(await seen(a), true);
    await clock.advance(5_000);
    assert.equal(await seen(a), false, 'the other one has gone');
    const before = readFileSync(name);
    const holds = long(b);
    await holds.started;
    writeFileSync(name, before, { flag: 'r+' });
    const waits = a.take(async () => assert.ok(a.isShared, 'who is waited for, also if he does not sign'));
    await holds.end();
    await waits;
    a.close();
    b.close();
  });

  test('work that throws ends its turn', async () => {
    const [a, b] = [new CoreTurns(file(), systemClock), new CoreTurns(file(), systemClock)];
    await assert.rejects(
      a.take(async () => {
        throw new Error('no');
      }),
      /no/,
    );
    assert.equal(await waited(b), false);
    a.close();
    b.close();
  });

  test('a lock that cannot be opened is as none, and a link of somebody else is not followed', async () => {
    const target = path.join(folder, 'target');
    writeFileSync(target, 'kept');
    symlinkSync(target, path.join(folder, 'link'));
    for (const name of ['link', 'missing/cores.lock']) {
      const turns = [0, 1].map(() => new CoreTurns(path.join(folder, name), systemClock));
      const first = long(turns[0]!);
      await first.started;
      assert.equal(await waited(turns[1]!), false);
      await first.end();
    }
    assert.equal(readFileSync(target, 'utf8'), 'kept');
  });

  async function waited(turns: CoreTurns): Promise<boolean | undefined> {
    let told: boolean | undefined;
    await turns.take(async (hasWaited) => {
      told = hasWaited;
    });
    return told;
  }
});
