/** The watch over authorized_keys: when it tells, and when not. That peers go by it is in test/node/trust.test.ts. */
import assert from 'node:assert/strict';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { LIMITS, silentLogger, VirtualClock } from '../../src/shared/index.js';
import { KeyListWatch } from '../../src/trust/key-list-watch.js';
import { AuthorizedKeys } from '../../src/trust/ssh-authorized-keys.js';
import '../support/leaks.js';
import { folderOf } from './folders.js';

const START_MS = Date.UTC(2026, 5, 1);
const [ONE, TWO] = ['ssh-ed25519 AAAAone one', 'ssh-ed25519 AAAAtwo two'];

/** A watch that has started, and how often it has told. */
async function watching(t: TestContext, text: string) {
  const file = path.join(folderOf(t), 'authorized_keys');
  writeFileSync(file, text);
  const clock = new VirtualClock(START_MS);
  const watch = new KeyListWatch(new AuthorizedKeys(file), { clock, log: silentLogger });
  let told = 0;
  watch.onChange(() => {
    told += 1;
  });
  await watch.start();
  t.after(() => watch.stop());
  return { file, clock, watch, told: () => told };
}

test('a key that is not let in any more is told within two seconds, whatever took it out', async (t) => {
  for (const now of ['', `${TWO}\n`, `#${ONE}\n${TWO}\n`, `restrict ${ONE}\n${TWO}\n`, undefined]) {
    const { file, clock, told } = await watching(t, `${ONE}\n${TWO}\n`);
    await clock.advance(5_000);
    assert.equal(told(), 0);
    if (now === undefined) rmSync(file);
    else writeFileSync(file, now);
    await clock.advance(2_000);
    assert.equal(told(), 1, String(now));
    await clock.advance(5_000);
    assert.equal(told(), 1, 'once');
  }
});

test('a line that is over, or a file that others may write now, takes keys away too', async (t) => {
  const { file, clock, told } = await watching(t, `expiry-time="20260601000010Z" ${ONE}\n${TWO}\n`);
  await clock.advance(9_000);
  assert.equal(told(), 0);
  await clock.advance(3_000);
  assert.equal(told(), 1);
  chmodSync(file, 0o666);
  await clock.advance(2_000);
  assert.equal(told(), 2);
});

test('a file that is written anew, or says the same in other words, changes nothing', async (t) => {
  const { file, clock, told } = await watching(t, `${ONE}\n${TWO}\n`);
  writeFileSync(file, '');
  await clock.advance(LIMITS.trustPollMs);
  // It was seen empty, and is looked at once more before that counts.
  writeFileSync(file, `# people\n\n${TWO}\nno-pty ${ONE} of another name\n`);
  await clock.advance(5_000);
  assert.equal(told(), 0);
});

test('a watch that was stopped tells nothing', async (t) => {
  const { file, clock, watch, told } = await watching(t, ONE);
  writeFileSync(file, '');
  await clock.advance(LIMITS.trustPollMs);
  await watch.stop();
  await clock.advance(5_000);
  assert.equal(told(), 0);
});
