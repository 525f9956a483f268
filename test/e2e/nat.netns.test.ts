/** Only one side can dial (the other is behind NAT): both list each other, and a ring over both answers. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Lab, labUnavailable } from '../lab/lab.js';
import { edges } from '../support/http.js';
import { assertDummyAnswer } from '../support/mesh.js';
import { chatOf, exoOnThePath, topologyOf, typeExo, untilAllShow } from '../support/netns-nodes.js';

const skip = labUnavailable(['nft']) ?? false;

test('a node behind NAT and one that cannot dial it list each other and answer as one ring', {
  skip,
}, async () => {
  const lab = new Lab();
  try {
    const { inside, outside } = lab.nat();
    const folder = exoOnThePath(lab, {
      'none.json': '{"peers": {}}',
      'peers.json': JSON.stringify({ peers: { outside: { address: `${outside.address}:50051` } } }),
    });
    const out = typeExo(
      lab,
      outside,
      folder,
      'exo --node-id outside --node-host 0.0.0.0 --discovery-module manual --discovery-config-path none.json',
    );
    const inn = typeExo(
      lab,
      inside,
      folder,
      'exo --node-id inside --discovery-module manual --discovery-config-path peers.json',
    );
    await untilAllShow([inn, out], { ids: ['inside', 'outside'], nodes: 2, edges: 2 }, 15_000);
    assert.deepEqual(edges(await topologyOf(out)), ['inside->outside', 'outside->inside']);
    assertDummyAnswer(await chatOf(inn));
    assertDummyAnswer(await chatOf(out));
  } finally {
    await lab.close();
  }
});
