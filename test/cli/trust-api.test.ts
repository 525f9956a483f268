/** What the API gets of a node's trust: its tokens, and the address of its invitations. */
import assert from 'node:assert/strict';
import type { NetworkInterfaceInfo } from 'node:os';
import test from 'node:test';
import { apiTokenOf } from '../../src/api/index.js';
import { meshTokensOf } from '../../src/cli/trust/mesh-tokens.js';
import { reachableAddress } from '../../src/cli/trust/reachable.js';
import { StoredTrust } from '../../src/cli/trust/trust-control.js';
import { type ExoError, silentLogger, systemRandom, VirtualClock } from '../../src/shared/index.js';
import { openTrust, parseInvitation, parseToken, printMeshKey } from '../../src/trust/index.js';

const HOUR_MS = 60 * 60 * 1000;

async function opened(token?: { readonly text: string }) {
  const clock = new VirtualClock();
  const options = { nodeFolder: null, meshKeysFile: null, ...(token === undefined ? {} : { token }) };
  const trust = await openTrust(options, { clock, random: systemRandom, log: silentLogger });
  const { keys, store, nodeKey } = trust;
  const keyId = token === undefined ? undefined : (await parseToken(token.text, 'EXO_AUTH_TOKEN')).id;
  const control = new StoredTrust({
    clock,
    keys,
    store,
    self: { id: 'mac1', fingerprint: nodeKey.fingerprint },
    address: () => ({ host: '192.168.1.20', port: 50051 }),
    ...(keyId === undefined ? {} : { givenKeyId: keyId }),
  });
  const tokens = meshTokensOf(keys, keyId === undefined ? undefined : { keyId, text: token!.text });
  return { clock, trust, control, tokens };
}

test('tokens of the API come and go with the mesh keys, also within the grace of a rotation', async () => {
  const { clock, trust, control, tokens } = await opened();
  assert.deepEqual(tokens(), []);
  await control.newKey();
  const [first] = tokens();
  assert.equal(first, apiTokenOf(trust.keys.current!.secret));
  await control.rotateKey(HOUR_MS);
  assert.equal(tokens().length, 2);
  assert.equal(tokens()[1], first);
  await clock.advance(HOUR_MS);
  assert.equal(tokens().length, 1);
  assert.notEqual(tokens()[0], first);
});

test('EXO_AUTH_TOKEN is a token as it is, while its key counts; a key exo1-… never is', async () => {
  const text = 'correct-horse-battery-staple';
  const words = await opened({ text: ` ${text}\n` });
  const { secret } = await parseToken(text, 'x');
  assert.deepEqual(words.tokens(), [apiTokenOf(secret), text]);
  assert.deepEqual(
    words.control.keys().map(({ source }) => source),
    ['given'],
  );
  await words.control.rotateKey(HOUR_MS);
  assert.equal(words.tokens().length, 3);
  await words.clock.advance(HOUR_MS);
  assert.ok(!words.tokens().includes(text));

  const key = printMeshKey({ secret: Buffer.alloc(32, 3) });
  assert.deepEqual((await opened({ text: key })).tokens(), [apiTokenOf(Buffer.alloc(32, 3))]);
});

test('an invitation of a running node names its own address and key', async () => {
  const { control, trust } = await opened();
  const { line } = await control.invite();
  const { address, fingerprint } = parseInvitation(line.split(' ').slice(2));
  assert.deepEqual(address, { host: '192.168.1.20', port: 50051 });
  assert.equal(fingerprint, trust.nodeKey.fingerprint);
  assert.equal(trust.store.invitations().length, 1);
});

test('the address for others is that of the listener, or the first private one of the machine', () => {
  const info = (address: string) => ({ address }) as NetworkInterfaceInfo;
  const interfaces = {
    lo: [info('127.0.0.1'), info('::1')],
    eth0: [info('fe80::1'), info('2001:db8:1::1'), info('8.8.4.4')],
    wlan0: [info('192.168.1.20')],
  };
  const at = (host: string, list: Parameters<typeof reachableAddress>[1] = interfaces) =>
    reachableAddress({ host, port: 50051 }, list).host;
  assert.equal(at('10.1.2.3'), '10.1.2.3');
  assert.equal(at('0.0.0.0'), '192.168.1.20');
  assert.equal(at('::'), '192.168.1.20');
  assert.equal(at('0.0.0.0', { eth0: [info('8.8.4.4')] }), '8.8.4.4');
  for (const [host, list] of [
    ['127.0.0.1', interfaces],
    ['0.0.0.0', { lo: interfaces.lo }],
  ] as const) {
    assert.throws(
      () => at(host, list),
      (error: ExoError) => error.code === 'option-missing' && error.message.includes('--address'),
    );
  }
});
