/**
 * The two seeds without a single ssh command: what they tell people to type stands as `tunnel` in peers.json, between
 * network namespaces with real ssh servers.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { inLab } from '../lab/in-lab.js';
import { type Host, type Lab, Lan, labUnavailable } from '../lab/lab.js';
import { inTime } from '../support/eventually.js';
import { watchHealth } from '../support/health-watch.js';
import { edges, nodeIds } from '../support/http.js';
import { assertDummyAnswer } from '../support/mesh.js';
import {
  chatOf,
  exoOnThePath,
  type HostNode,
  startedAtMs,
  topologyOf,
  typeExo,
  untilAllShow,
} from '../support/netns-nodes.js';
import { repeats } from '../support/repeats.js';
import { type Sshd, startSshd } from '../support/sshd.js';
import { type DescribedTunnel, DRIVERS, type DriverName, type PeersJson } from '../support/tunnel-node.js';
import { watchTunnels } from '../support/tunnel-watch.js';

const skip = labUnavailable(['nft', 'sshd']) ?? false;
const TIMEOUT_MS = 30_000;

/** As in the seeds: user and host. Port, key and known host stand in an ssh configuration, as a person has them. */
const tunnelTo = (sshd: Sshd, driver: DriverName, forward: string, reverse?: string): DescribedTunnel => ({
  ssh: sshd.destination,
  sshConfig: sshd.clientConfig,
  driver,
  forward: [forward],
  ...(reverse === undefined ? {} : { reverse: [reverse] }),
});

const json = (peers: PeersJson) => JSON.stringify(peers, null, 2);

for (const driver of DRIVERS) {
  test(
    `seed two by ${driver}: one peers.json on each machine, and both list each other within 5 s`,
    {
      skip,
    },
    (t) =>
      inLab(async (lab) => {
        const lan = new Lan(lab.host('sw'), '192.168.2');
        const mac1 = lab.host('mac1');
        const mac2 = lab.host('mac2');
        lan.join(mac2, 1);
        lan.join(mac1, 2);
        const sshd = await startSshd(lab.cleanup, { host: mac2 });
        const tunnel = tunnelTo(sshd, driver, '50052:localhost:50051', '50060:localhost:50060');
        const folder = exoOnThePath(lab, {
          'mac1_peers.json': json({ peers: { mac2: { address: '127.0.0.1:50052', tunnel } } }),
          'mac2_peers.json': json({ peers: { mac1: { address: '127.0.0.1:50060' } } }),
        });
        const line = (id: string, port: number, api: number) =>
          `exo --node-id ${id} --node-port ${port} --chatgpt-api-port ${api} --discovery-module manual --discovery-config-path ${id}_peers.json --disable-tui`;
        const nodes = [
          typeExo(lab, mac1, folder, line('mac1', 50060, 52416), 52416),
          typeExo(lab, mac2, folder, line('mac2', 50051, 52415), 52415),
        ] as const;
        const both = { ids: ['mac1', 'mac2'], nodes: 2, edges: 2 };
        const { atMs } = await untilAllShow(nodes, both, TIMEOUT_MS);
        const tookMs = atMs - Math.max(...nodes.map((node) => startedAtMs(node) ?? Number.NaN));
        t.diagnostic(`${driver}: both listed both ${tookMs.toFixed(0)} ms after the later of them ran`);
        assert.ok(tookMs <= inTime(5_000), `${tookMs} ms`);
        for (const node of nodes) {
          assert.deepEqual(edges(await topologyOf(node)), ['mac1->mac2', 'mac2->mac1']);
          assertDummyAnswer(await chatOf(node));
        }
      }),
  );
}

/** Two networks behind one gateway each, and a machine outside that reaches both gateways. */
function twoNetworks(lab: Lab) {
  const wan = new Lan(lab.host('wan'), '198.18.0');
  const local = lab.host('local');
  wan.join(local, 1);
  const network = (number: number) => {
    const gateway = lab.host(`gw${number}`);
    const machine = lab.host(`m${number}`);
    wan.join(gateway, number + 1);
    const lan = new Lan(lab.host(`sw${number}`), `192.168.${number}`);
    lan.join(gateway, 254, 'eth1');
    lan.join(machine, number * 10);
    return { gateway, machine };
  };
  return { wan, local, first: network(1), second: network(2) };
}

for (const driver of DRIVERS.slice(0, repeats(1, DRIVERS.length))) {
  test(
    `seed one by ${driver}: of two gateways one dies, the path through the other is not touched`,
    {
      skip,
    },
    (t) =>
      inLab(async (lab) => {
        const { wan, local, first, second } = twoNetworks(lab);
        const sshds = await Promise.all(
          [first, second].map(({ gateway }) => startSshd(lab.cleanup, { host: gateway })),
        );
        const [sshd1, sshd2] = sshds as [Sshd, Sshd];
        const folder = exoOnThePath(lab, {
          'peers.json': json({
            peers: { one: { address: '127.0.0.1:49703' }, two: { address: '127.0.0.1:49704' } },
            tunnels: {
              gw1: tunnelTo(sshd1, driver, '49703:192.168.1.10:50051'),
              gw2: tunnelTo(sshd2, driver, '49704:192.168.2.20:50051'),
            },
          }),
        });
        const there = ([first.machine, second.machine] as [Host, Host]).map((machine, i) =>
          typeExo(lab, machine, folder, `exo --node-port 50051 --node-id far${i + 1}`),
        ) as [HostNode, HostNode];
        const line = 'exo --node-id here --discovery-module manual --discovery-config-path peers.json';
        const here = typeExo(lab, local, folder, line);
        // The far nodes know each other through the local one only: two pairs, four edges.
        const all = { ids: ['far1', 'far2', 'here'], nodes: 3, edges: 4 };
        const { atMs } = await untilAllShow([here, ...there], all, TIMEOUT_MS);
        const tookMs = atMs - Math.max(...[here, ...there].map((node) => startedAtMs(node) ?? Number.NaN));
        // All come to the far node from its gateway: a node takes 16 connections a second from one host.
        const health = watchHealth(lab.cleanup, [49703, 49704], {
          prefix: local.prefix,
          everyMs: 100,
          timeoutMs: inTime(1_000),
        });
        const watch = watchTunnels(lab.cleanup, here.apiPort, { prefix: local.prefix });
        await watch.allUp(['gw1', 'gw2'], TIMEOUT_MS);
        await health.allAnswer(TIMEOUT_MS);
        // It may have started twice: where its ssh held small messages back, once more with a pty.
        const { restarts } = watch.now('gw1') ?? {};

        const diedAtMs = Date.now();
        wan.cut(second.gateway);
        await watch.until('gw2', ({ state }) => state !== 'up', TIMEOUT_MS, diedAtMs);
        await untilAllShow([here, there[0]], { ids: ['far1', 'here'], nodes: 2, edges: 2 }, TIMEOUT_MS);
        assert.ok(nodeIds(await topologyOf(here)).includes('far1'));
        assertDummyAnswer(await chatOf(here));
        await watch.until('gw2', ({ state }) => state === 'backoff', TIMEOUT_MS, diedAtMs);

        const aliveAtMs = Date.now();
        wan.restore(second.gateway);
        const backMs = await health.recoveredMs(49704, aliveAtMs, TIMEOUT_MS);
        await untilAllShow([here, ...there], all, TIMEOUT_MS);
        t.diagnostic(
          `${driver}: all listed ${tookMs.toFixed(0)} ms after the start; the second path back after ${backMs} ms`,
        );
        assert.ok(tookMs <= inTime(5_000), `${tookMs} ms`);
        assert.ok(backMs <= inTime(3_000), `${backMs} ms`);
        assert.deepEqual(
          health.outages(49703).filter(({ fromMs }) => fromMs >= diedAtMs),
          [],
        );
        assert.deepEqual(watch.statesSince('gw1', diedAtMs), ['up']);
        assert.equal(watch.now('gw1')?.restarts, restarts);
      }),
  );
}
