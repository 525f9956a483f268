/** Two nodes that exo connect introduces to each other, and what is left when that is taken back. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { introduceTo, partFrom, partHere } from '../../../src/cli/connect/introduce.js';
import { StoredTrust } from '../../../src/cli/trust/trust-control.js';
import { nodeFolder, trustFile } from '../../../src/node/home/index.js';
import { silentLogger, systemClock, systemRandom } from '../../../src/shared/index.js';
import { openTrust, TrustStore } from '../../../src/trust/index.js';
import { OWNER_TOKEN, startApi } from '../../api/harness.js';
import '../../support/leaks.js';
import { folderOf } from '../../trust/folders.js';
import { TestHost } from '../host.js';

const real = { clock: systemClock, random: systemRandom, log: silentLogger };
const other = { id: 'mac2', fingerprint: `SHA256:${'b'.repeat(43)}` };

/** What a node knows, with an API over it. */
async function node(t: TestContext) {
  const home = folderOf(t);
  const trust = await openTrust({ nodeFolder: nodeFolder(home, 'mac1'), meshKeysFile: null }, real);
  const { keys, store, nodeKey } = trust;
  const control = new StoredTrust({
    clock: systemClock,
    keys,
    store,
    self: { id: 'mac1', fingerprint: nodeKey.fingerprint },
    address: () => ({ host: '127.0.0.1', port: 50051 }),
  });
  const { url } = await startApi(t, {}, { trust: { control } });
  const api = { host: '127.0.0.1', port: Number(new URL(url).port), token: OWNER_TOKEN };
  return { home, store, api };
}

test('what a node knew of the other before counts again when it is taken back', async (t) => {
  const { store, api } = await node(t);
  const connectAndPart = async () => {
    const added = await introduceTo(systemClock, api, other);
    assert.deepEqual(
      [store.get(other.id)?.trust, await introduceTo(systemClock, api, other)],
      ['trusted', false],
    );
    if (added) await partFrom(systemClock, api, other.id);
    return store.get(other.id);
  };
  assert.equal(await connectAndPart(), undefined);
  await store.pin(other.id, other.fingerprint, 'mesh-key');
  const pinned = store.get(other.id);
  assert.equal(pinned?.trust, 'pin');
  assert.deepEqual(await connectAndPart(), pinned);
  await store.trust({ ...other, learnt: 'by-hand' });
  const trusted = store.get(other.id);
  assert.deepEqual(await connectAndPart(), trusted);
  // Nothing is known any more: nothing to do.
  await store.remove(other.id);
  await partFrom(systemClock, api, other.id);
});

test('the same where the node does not run when it is taken back', async (t) => {
  const { home, store, api } = await node(t);
  await store.pin(other.id, other.fingerprint, 'mesh-key');
  const pinned = store.get(other.id);
  await introduceTo(systemClock, api, other);
  await partHere(new TestHost([], { env: { EXO_HOME: home } }), 'mac1', other.id);
  const kept = new TrustStore(trustFile(home, 'mac1'), real).get(other.id);
  assert.deepEqual(kept, pinned);
});
