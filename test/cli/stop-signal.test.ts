/** Ctrl-C: the first asks, the second ends, the same press counts once. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { stopSignal } from '../../src/cli/stop-signal.js';
import { VirtualClock } from '../../src/shared/index.js';
import { ExitedNow, TestHost } from './host.js';

function setUp(isTTY: boolean) {
  const clock = new VirtualClock();
  const host = new TestHost([], { clock, isTTY });
  const heard: string[] = [];
  const stop = stopSignal(host, {
    onFirst: (reason) => heard.push(`first ${reason}`),
    onForced: () => heard.push('forced'),
    onHangupIgnored: () => heard.push('hangup ignored'),
  });
  return { clock, host, heard, stop };
}

test('one press that arrives three times (group, npm, wrapper) is one; a later one ends at once', async () => {
  const { clock, host, heard, stop } = setUp(true);
  for (const _ of [1, 2, 3]) host.send('SIGINT');
  await clock.advance(300);
  host.send('SIGTERM');
  assert.deepEqual(heard, ['first SIGINT']);
  assert.equal(stop.signal.aborted, true);
  assert.equal(stop.reason, 'SIGINT');
  await clock.advance(1_000);
  assert.throws(
    () => host.send('SIGINT'),
    (error: unknown) => error instanceof ExitedNow && error.code === 130,
  );
  assert.deepEqual(heard, ['first SIGINT', 'forced']);
});

test('a hangup ends what talks to the terminal, and nothing that does not (nohup)', () => {
  const onTerminal = setUp(true);
  onTerminal.host.send('SIGHUP');
  assert.deepEqual(onTerminal.heard, ['first SIGHUP']);
  assert.equal(onTerminal.host.hasTerminalGone, true);
  const inFile = setUp(false);
  inFile.host.send('SIGHUP');
  assert.deepEqual(inFile.heard, ['hangup ignored']);
  assert.equal(inFile.stop.signal.aborted, false);
  assert.equal(inFile.host.hasTerminalGone, false);
});

test('the end of the parent process asks like a signal', () => {
  const { host, heard } = setUp(false);
  host.parentGone();
  assert.deepEqual(heard, ['first the end of the parent process']);
});

test('after release signals are no longer listened to', () => {
  const { host, stop } = setUp(false);
  stop.release();
  assert.equal(host.send('SIGINT') + host.send('SIGHUP'), 0);
});
