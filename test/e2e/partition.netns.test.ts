/** A network that falls into two halves and comes together again: each half goes on by itself, and afterwards all see the same. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Host, Lab, labUnavailable } from '../lab/lab.js';
import { nodeIds, type Topology } from '../support/http.js';
import {
  chatOf,
  exoOnThePath,
  type HostNode,
  topologyOf,
  typeExo,
  untilAllShow,
} from '../support/netns-nodes.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';

const skip = labUnavailable(['nft']) ?? false;
const PORT = 50_051;
const APART_MS = repeats(20_000, 60_000);
/** Silence until a verdict, and some time to tell it. */
const APART_SEEN_MS = 15_000;
const TOGETHER_MS = 15_000;

/** Everything between this host and those is dropped, as by a switch that has lost a port. */
function part(host: Host, others: readonly Host[]): void {
  const set = others.map(({ address }) => address).join(', ');
  host.nft(`table ip parted {
    chain incoming { type filter hook input priority 0; ip saddr { ${set} } drop; }
    chain outgoing { type filter hook output priority 0; ip daddr { ${set} } drop; }
  }`);
}

/** Of a full mesh. */
const edgesOf = (nodes: number) => nodes * (nodes - 1);

/** Everybody's ring, as it is told with the topology. */
async function oneView(nodes: readonly HostNode[]): Promise<Topology> {
  const views = await Promise.all(nodes.map(topologyOf));
  for (const view of views) {
    assert.deepEqual(nodeIds(view), nodeIds(views[0]!));
    const pairs = Object.values(view.peer_graph)
      .flat()
      .map(({ from_id, to_id }) => `${from_id} ${to_id}`);
    assert.equal(new Set(pairs).size, pairs.length, `a pair is there twice: ${pairs}`);
  }
  return views[0]!;
}

test(`M5 two of five are apart for ${APART_MS / 1000} s; after it all see the same within 15 s, and nobody twice`, {
  skip,
}, async (t) => {
  const lab = new Lab();
  try {
    const lan = lab.lan(5);
    const ids = lan.hosts.map((_, index) => `n${index + 1}`);
    const peers = Object.fromEntries(
      lan.hosts.map((host, index) => [ids[index]!, { address: host.address, port: PORT }]),
    );
    const folder = exoOnThePath(lab, { 'peers.json': JSON.stringify({ peers }) });
    const nodes = lan.hosts.map((host, index) =>
      typeExo(
        lab,
        host,
        folder,
        `exo --node-id ${ids[index]} --node-host 0.0.0.0 --node-port ${PORT} --discovery-module manual --discovery-config-path peers.json --inference-engine dummy --disable-tui`,
      ),
    );
    const [few, many] = [nodes.slice(0, 2), nodes.slice(2)];
    await untilAllShow(nodes, { ids, nodes: 5, edges: edgesOf(5) }, 30_000);

    const startedMs = Date.now();
    for (const { host } of few) {
      part(
        host,
        many.map((node) => node.host),
      );
    }
    await Promise.all([
      untilAllShow(few, { ids: ids.slice(0, 2), nodes: 2, edges: edgesOf(2) }, APART_SEEN_MS),
      untilAllShow(many, { ids: ids.slice(2), nodes: 3, edges: edgesOf(3) }, APART_SEEN_MS),
    ]);
    const apartMs = Date.now() - startedMs;
    for (const half of [few, many]) assert.equal((await chatOf(half[0]!)).choices[0]!.finish_reason, 'stop');
    await delay(Math.max(0, startedMs + APART_MS - Date.now()));

    const healedMs = Date.now();
    for (const { host } of few) host.nftReset();
    const { atMs } = await untilAllShow(nodes, { ids, nodes: 5, edges: edgesOf(5) }, TOGETHER_MS);
    await oneView(nodes);
    for (const node of nodes) assert.equal((await chatOf(node)).choices[0]!.finish_reason, 'stop');
    promise(
      t,
      'M5',
      `2 : 3 for ${APART_MS / 1000} s, halves by themselves after ${(apartMs / 1000).toFixed(1)} s; after the heal views equal in ${((atMs - healedMs) / 1000).toFixed(1)} s, nobody twice`,
    );
  } finally {
    await lab.close();
  }
});
