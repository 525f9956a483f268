/** Why this machine cannot listen for a `-L`: both drivers say the same, and only what may pass by itself is waited for. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'node:test';
import { explainListen } from '../../src/tunnels/listen-failure.js';
import { explainLocalRefusal } from '../../src/tunnels/openssh/listen-check.js';
import { listenLocal } from '../../src/tunnels/ssh2/local-listener.js';
import { failureOf } from '../../src/tunnels/ssh2/session-failed.js';
import { end, forward } from '../compliance/tunnel-specs.js';
import { openEcho } from './far-end.js';

test('listening for a -L where another program does fails in the same words with both drivers', async () => {
  const other = await openEcho();
  try {
    const wanted = forward(end(other.port, '127.0.0.1'), end(1));
    const openssh = await explainLocalRefusal(wanted, wanted.listen);
    const ssh2 = await listenLocal(wanted, () => undefined).then(() => assert.fail('it listens'), failureOf);
    assert.equal(openssh?.code, 'local-port-busy');
    assert.match(
      openssh.message,
      /^port \d+ of 127\.0\.0\.1 is taken by another program on this machine \(-L .*\); end it/,
    );
    assert.deepEqual(ssh2, openssh);
    assert.deepEqual(ssh2.forwards, [wanted.text]);
  } finally {
    await other.stop();
  }
});

const noTable = process.platform === 'linux' ? false : 'only Linux refuses to listen beside a connection';

test('a -L whose port is the near end of a connection says so, and not where a program listens too', {
  skip: noTable,
}, async () => {
  const other = await openEcho();
  const socket = connect({ host: '127.0.0.1', port: other.port });
  await once(socket, 'connect');
  try {
    for (const host of ['127.0.0.1', '0.0.0.0']) {
      const wanted = forward(end(socket.localPort ?? 0, host), end(1));
      const openssh = await explainLocalRefusal(wanted, wanted.listen);
      const ssh2 = await listenLocal(wanted, () => undefined).then(
        () => assert.fail('it listens'),
        failureOf,
      );
      assert.equal(openssh?.code, 'local-port-ephemeral');
      assert.match(openssh.message, /is the near end of a connection/);
      assert.deepEqual(ssh2, openssh);
    }
    const taken = forward(end(other.port, '0.0.0.0'), end(1));
    assert.equal((await explainLocalRefusal(taken, taken.listen))?.code, 'local-port-busy');
  } finally {
    socket.destroy();
    await other.stop();
  }
});

test('listening for a -L is tried again where the reason may pass, and not where a person must change something', async () => {
  const wanted = forward(end(80, 'box'), end(1));
  const code = async (systemCode: string) => (await explainListen(wanted, systemCode)).code;
  for (const passing of ['EADDRNOTAVAIL', 'EAI_AGAIN'])
    assert.equal(await code(passing), 'local-address-missing');
  for (const lasting of ['ENOTFOUND', 'EACCES', 'EINVAL']) assert.equal(await code(lasting), 'spec-refused');
});

test('a port that is free again when it is looked at is not called another program’s', async () => {
  const other = await openEcho();
  await other.stop();
  const { code, message } = await explainListen(forward(end(other.port, '127.0.0.1'), end(1)), 'EADDRINUSE');
  assert.equal(code, 'local-port-busy');
  assert.match(message, process.platform === 'linux' ? /was taken until a moment ago/ : /another program/);
});
