/** Commands on the far machine that do not end: whoever waits for them does. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { FarClient } from '../../../src/cli/connect/far-client.js';
import { systemClock, VirtualClock } from '../../../src/shared/index.js';
import { localShell } from './shells.js';

const HELD_S = 15;
/**
 * Its process has given its streams to another one that outlives it for a while, as ssh gives them to the connection that it
 * shares.
 */
const LINE = `sleep ${HELD_S} & exec sleep 1000`;
const shell = localShell(tmpdir());

/** Whoever waits for the streams comes too late. */
async function soon(work: () => Promise<void>): Promise<void> {
  const startedAtMs = systemClock.now();
  await work();
  const tookMs = systemClock.now() - startedAtMs;
  assert.ok(tookMs < (HELD_S - 3) * 1_000, `${tookMs} ms`);
}

test('a command that is late is given up, whoever else has its streams', () =>
  soon(async () => {
    const options = { timeoutMs: 200, signal: new AbortController().signal };
    await assert.rejects(shell.run(LINE, options), { code: 'request-timeout' });
  }));

test('so is one that nobody wants any more', () =>
  soon(async () => {
    const abort = new AbortController();
    const run = shell.run(LINE, { timeoutMs: 60_000, signal: abort.signal });
    systemClock.after(300, () => abort.abort(new Error('stopped')));
    await assert.rejects(run, /stopped/);
  }));

test('a session whose far side does not end is closed all the same', () =>
  soon(async () => {
    const clock = new VirtualClock();
    const far = { ...shell, start: () => shell.start(LINE) };
    const client = new FarClient(clock, far, { path: '', words: ['exo'] });
    const closed = client.close();
    await clock.advance(15_000);
    await closed;
  }));
