/**
 * The command lines of the two exo seeds, as they stand, between network namespaces with a real sshd. `exo` stands
 * in the place of `python -m exo.main`; user, port and key of ssh are the lab's.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { inLab } from '../lab/in-lab.js';
import { type Host, Lan, labUnavailable } from '../lab/lab.js';
import { edges, nodeIds } from '../support/http.js';
import { assertDummyAnswer } from '../support/mesh.js';
import { chatOf, exoOnThePath, topologyOf, typeExo, untilAllShow } from '../support/netns-nodes.js';
import { ROOT } from '../support/processes.js';
import { startSsh, startSshd } from '../support/sshd.js';

const skip = labUnavailable(['nft', 'sshd']) ?? false;
const example = (name: string) => readFileSync(path.join(ROOT, 'docs/examples', name), 'utf8');

/** A peers.json for the local ends of tunnels, in the seed's form. */
const peersJson = (peers: Record<string, string>) =>
  JSON.stringify({
    peers: Object.fromEntries(Object.entries(peers).map(([id, address]) => [id, { address }])),
  });

test(
  'seed two: -L and -R in one ssh, both nodes list both; the ssh dies and comes back, nobody restarts',
  { skip },
  (t) =>
    inLab(async (lab) => {
      const lan = new Lan(lab.host('sw'), '192.168.2');
      const mac1 = lab.host('mac1');
      const mac2 = lab.host('mac2');
      lan.join(mac2, 1);
      lan.join(mac1, 2);
      const sshd = await startSshd(lab.cleanup, { host: mac2 });
      const tunnel = `-L 50052:localhost:50051 -R 50060:localhost:50060 -N ${sshd.destination}`.split(' ');
      let ssh = await startSsh(mac1, sshd, tunnel, [50052]);

      const files = {
        'mac1_peers.json': example('mac1_peers.json'),
        'mac2_peers.json': example('mac2_peers.json'),
      };
      const folder = exoOnThePath(lab, files);
      const line1 = `exo \\
  --node-id mac1 \\
  --node-port 50060 \\
  --chatgpt-api-port 52416 \\
  --discovery-module manual \\
  --discovery-config-path mac1_peers.json \\
  --disable-tui`;
      const line2 = `exo \\
  --node-id mac2 \\
  --node-port 50051 \\
  --chatgpt-api-port 52415 \\
  --discovery-module manual \\
  --discovery-config-path mac2_peers.json \\
  --disable-tui`;
      const one = typeExo(lab, mac1, folder, line1, 52416);
      const two = typeExo(lab, mac2, folder, line2, 52415);
      const both = { ids: ['mac1', 'mac2'], nodes: 2, edges: 2 };

      const { tookMs: upMs } = await untilAllShow([one, two], both, 15_000);
      for (const node of [one, two]) {
        const view = await topologyOf(node);
        assert.deepEqual(edges(view), ['mac1->mac2', 'mac2->mac1']);
        assert.deepEqual(
          Object.values(view.peer_graph)
            .flat()
            .map((edge) => edge.description),
          ['MAN', 'MAN'],
        );
        assertDummyAnswer(await chatOf(node));
      }

      await ssh.stop();
      const { tookMs: downMs } = await untilAllShow([one, two], { nodes: 1, edges: 0 }, 15_000);
      assert.deepEqual(nodeIds(await topologyOf(one)), ['mac1']);
      ssh = await startSsh(mac1, sshd, tunnel, [50052]);
      const { tookMs: backMs } = await untilAllShow([one, two], both, 15_000);
      assertDummyAnswer(await chatOf(one));
      assertDummyAnswer(await chatOf(two));
      assert.equal(one.child.exit ?? two.child.exit, undefined, 'nobody ended');
      t.diagnostic(`up ${upMs.toFixed(0)} ms, dropped ${downMs.toFixed(0)} ms, back ${backMs.toFixed(0)} ms`);
    }),
);

test('seed one: one -L, manual discovery here, `exo --node-port 50051` there', { skip }, () =>
  inLab(async (lab) => {
    const lan = new Lan(lab.host('sw'), '10.0.0');
    const local = lab.host('local');
    const remote = lab.host('remote');
    lan.join(local, 1);
    lan.join(remote, 151);
    const sshd = await startSshd(lab.cleanup, { host: remote });
    await startSsh(local, sshd, `-L 49703:10.0.0.151:50051 -N ${sshd.destination}`.split(' '), [49703]);
    const folder = exoOnThePath(lab, { 'peers.json': example('remote_peers.json') });
    const there = typeExo(lab, remote, folder, 'exo --node-port 50051');
    const here = typeExo(
      lab,
      local,
      folder,
      'exo --discovery-module manual --discovery-config-path peers.json',
    );
    await untilAllShow([here, there], { nodes: 2, edges: 2 }, 15_000);
    // The far machine runs under its own id; the name in the file is an alias.
    assert.ok(!nodeIds(await topologyOf(here)).includes('remote-node-1'));
    assertDummyAnswer(await chatOf(here));
    assertDummyAnswer(await chatOf(there));
  }),
);

test(
  'seed one: two -L in one ssh; the local 52415 collides with the HTTP port and is said so',
  { skip },
  () =>
    inLab(async (lab) => {
      const lan = new Lan(lab.host('sw'), '10.0.0');
      const local = lab.host('local');
      const first = lab.host('r151');
      const second = lab.host('r152');
      lan.join(local, 1);
      lan.join(first, 151);
      lan.join(second, 152);
      for (const host of [first, second]) host.ip('route', 'add', 'default', 'dev', 'eth0');
      const sshd = await startSshd(lab.cleanup, { host: first });
      const args = `-L 49703:10.0.0.151:50051 -L 52415:10.0.0.152:50051 -N ${sshd.destination}`.split(' ');
      await startSsh(local, sshd, args, [49703, 52415]);
      const folder = exoOnThePath(lab, {
        'peers.json': peersJson({ one: '127.0.0.1:49703', two: '127.0.0.1:52415' }),
      });
      const line = 'exo --discovery-module manual --discovery-config-path peers.json';
      const refused = typeExo(lab, local, folder, line);
      assert.notEqual(await refused.child.closed, 0);
      assert.match(refused.child.stderr + refused.child.stdout, /52415/);
      assert.match(refused.child.stderr + refused.child.stdout, /--chatgpt-api-port/);

      const here = typeExo(lab, local, folder, `${line} --chatgpt-api-port 52416`, 52416);
      const remotes = [first, second].map((host) => typeExo(lab, host, folder, 'exo --node-port 50051'));
      // The two far nodes find each other by udp; the local one reaches both through the tunnel.
      await untilAllShow([here, ...remotes], { nodes: 3, edges: 6 }, 20_000);
      for (const node of [here, ...remotes]) assertDummyAnswer(await chatOf(node));
    }),
);

test('seed one: direct discovery through the tunnel', { skip }, () =>
  inLab(async (lab) => {
    const lan = new Lan(lab.host('sw'), '10.0.0');
    const local = lab.host('local');
    const remote = lab.host('remote');
    lan.join(local, 1);
    lan.join(remote, 151);
    const sshd = await startSshd(lab.cleanup, { host: remote });
    await startSsh(local, sshd, `-L 49703:10.0.0.151:50051 -N ${sshd.destination}`.split(' '), [49703]);
    const folder = exoOnThePath(lab);
    const here = typeExo(
      lab,
      local,
      folder,
      'exo --discovery-module direct --peer-host 127.0.0.1 --peer-port 49703',
    );
    await untilAllShow([here], { nodes: 1, edges: 0 }, 10_000);
    // The far node comes later: direct keeps trying.
    const there = typeExo(lab, remote, folder, 'exo --node-port 50051');
    await untilAllShow([here, there], { nodes: 2, edges: 2 }, 20_000);
    assert.match(JSON.stringify(await topologyOf(here)), /DIRECT \(127\.0\.0\.1\)/);
    assertDummyAnswer(await chatOf(here));
  }),
);

for (const line of [
  'exo --discovery-module udp',
  'exo --discovery-module tcp',
  'exo --node-port 50051 --chatgpt-api-port 52415',
]) {
  test(`seed one: \`${line}\` on two machines of one LAN`, { skip }, () =>
    inLab(async (lab) => {
      const [a, b] = lab.lan(2).hosts as [Host, Host];
      const folder = exoOnThePath(lab);
      const nodes = [a, b].map((host) => typeExo(lab, host, folder, line));
      await untilAllShow(nodes, { nodes: 2, edges: 2 }, 20_000);
      assertDummyAnswer(await chatOf(nodes[0]!));
      assertDummyAnswer(await chatOf(nodes[1]!));
    }),
  );
}

test('seed one: the reverse tunnel, `ssh -R 50051:localhost:50051` from the remote machine', { skip }, () =>
  inLab(async (lab) => {
    const lan = new Lan(lab.host('sw'), '10.0.0');
    const local = lab.host('local');
    const remote = lab.host('remote');
    lan.join(local, 1);
    lan.join(remote, 151);
    const sshd = await startSshd(lab.cleanup, { host: local });
    await startSsh(remote, sshd, ['-R', '50051:localhost:50051', '-N', sshd.destination]);
    const folder = exoOnThePath(lab, { 'peers.json': peersJson({ 'remote-node': '127.0.0.1:50051' }) });
    const there = typeExo(lab, remote, folder, 'exo --node-port 50051');
    await untilAllShow([there], { nodes: 1, edges: 0 }, 10_000);
    // The local 50051 belongs to the tunnel now: the node says so, and takes another.
    const line = 'exo --discovery-module manual --discovery-config-path peers.json';
    const refused = typeExo(lab, local, folder, line);
    assert.notEqual(await refused.child.closed, 0);
    assert.match(refused.child.stderr + refused.child.stdout, /50051/);
    assert.match(refused.child.stderr + refused.child.stdout, /--node-port/);
    const here = typeExo(lab, local, folder, `${line} --node-port 50052`);
    await untilAllShow([here, there], { nodes: 2, edges: 2 }, 15_000);
    assertDummyAnswer(await chatOf(here));
  }),
);

test('seed one: two gateways into two networks, one ssh each; one dies, the other stays', { skip }, () =>
  inLab(async (lab) => {
    const wan = new Lan(lab.host('wan'), '198.18.0');
    const local = lab.host('local');
    wan.join(local, 1);
    const networks = [1, 2].map((number) => {
      const gateway = lab.host(`gw${number}`);
      const machine = lab.host(`m${number}`);
      wan.join(gateway, number + 1);
      const lan = new Lan(lab.host(`sw${number}`), `192.168.${number}`);
      lan.join(gateway, 254, 'eth1');
      lan.join(machine, number * 10);
      return { gateway, machine };
    });
    const [net1, net2] = networks as [(typeof networks)[0], (typeof networks)[0]];
    const sshd1 = await startSshd(lab.cleanup, { host: net1.gateway });
    const sshd2 = await startSshd(lab.cleanup, { host: net2.gateway });
    await startSsh(local, sshd1, `-L 49703:192.168.1.10:50051 -N ${sshd1.destination}`.split(' '), [49703]);
    const ssh2 = await startSsh(
      local,
      sshd2,
      `-L 52415:192.168.2.20:50051 -N ${sshd2.destination}`.split(' '),
      [52415],
    );
    const folder = exoOnThePath(lab, {
      'peers.json': peersJson({ one: '127.0.0.1:49703', two: '127.0.0.1:52415' }),
    });
    const line = 'exo --discovery-module manual --discovery-config-path peers.json --chatgpt-api-port 52416';
    const here = typeExo(lab, local, folder, line, 52416);
    const there = [net1, net2].map(({ machine }, i) =>
      typeExo(lab, machine, folder, `exo --node-port 50051 --node-id far${i + 1}`),
    );
    // The far nodes know each other through the local one only: two pairs, four edges.
    await untilAllShow([here, ...there], { nodes: 3, edges: 4 }, 20_000);
    await ssh2.stop();
    await untilAllShow([here, there[0]!], { nodes: 2, edges: 2 }, 15_000);
    assert.ok(nodeIds(await topologyOf(here)).includes('far1'));
    assertDummyAnswer(await chatOf(here));
  }),
);
