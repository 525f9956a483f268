/** The way out at the far end of a session of OpenSSH. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Control } from '../../src/tunnels/openssh/control.js';
import { FarDoor } from '../../src/tunnels/openssh/far-door.js';

const hangs = () => new Promise<never>(() => undefined);

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
