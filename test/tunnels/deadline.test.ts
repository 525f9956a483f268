/** Waits end with their signal, also where what is waited for does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../src/shared/index.js';
import { withDeadline } from '../../src/tunnels/deadline.js';
import type { Control } from '../../src/tunnels/openssh/control.js';
import { FarDoor } from '../../src/tunnels/openssh/far-door.js';

const NEVER = new AbortController().signal;
const hangs = () => new Promise<never>(() => undefined);

test('a deadline ends work that does not listen to its signal', async () => {
  const clock = new VirtualClock();
  const late = withDeadline(clock, 1_000, NEVER, hangs);
  await Promise.all([assert.rejects(late, { code: 'request-timeout' }), clock.advance(1_000)]);
  assert.equal(clock.pending, 0);
});

test('a deadline passes the reason of the outer signal on, and the result', async () => {
  const clock = new VirtualClock();
  const controller = new AbortController();
  const reason = new Error('over');
  const given = withDeadline(clock, 1_000, controller.signal, hangs);
  controller.abort(reason);
  await assert.rejects(given, reason);
  await assert.rejects(withDeadline(clock, 1_000, controller.signal, hangs), reason);
  assert.equal(await withDeadline(clock, 1_000, NEVER, async () => 7), 7);
  assert.equal(clock.pending, 0);
});

test('a way through an ssh that answers nothing is given up with the signal', async () => {
  const control = { forward: hangs } as unknown as Control;
  const door = new FarDoor('/nowhere', { control, mark: () => 0, saidSince: async () => '' });
  const controller = new AbortController();
  const reason = new Error('too late');
  const connecting = door.connect({ kind: 'tcp', host: '127.0.0.1', port: 1 }, controller.signal);
  controller.abort(reason);
  await assert.rejects(connecting, reason);
  door.close();
});
