/**
 * Discovery on real links: broadcast, announces, one-way broadcast, none at all, and addresses that do not work.
 * Times run from the moment when the later of the two nodes says that it runs until both list both.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { inLab } from '../lab/in-lab.js';
import { type Host, type Lab, Lan, labUnavailable } from '../lab/lab.js';
import { exoOnThePath, startedAtMs, typeExo, untilAllShow } from '../support/netns-nodes.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';

const skip = labUnavailable(['nft']) ?? false;
const BOTH = { nodes: 2, edges: 2 };

/** Starts both nodes at once and returns how long after both ran both list both. */
async function mutualMs(
  lab: Lab,
  hosts: readonly Host[],
  lineOf: (host: Host) => string,
  folderOf: (host: Host) => string,
): Promise<number> {
  const nodes = hosts.map((host) => typeExo(lab, host, folderOf(host), lineOf(host)));
  const { atMs } = await untilAllShow(nodes, BOTH, 30_000);
  return Math.max(0, atMs - Math.max(...nodes.map((node) => startedAtMs(node) ?? Number.NaN)));
}

for (const { module, limitMs, few, full } of [
  { module: 'udp', limitMs: 6_000, few: 3, full: 20 },
  { module: 'tcp', limitMs: 15_000, few: 1, full: 20 },
]) {
  test(`D1 two nodes on one LAN list each other by ${module} within ${limitMs / 1000} s`, {
    skip,
  }, async (t) => {
    const times: number[] = [];
    for (let round = 0; round < repeats(few, full); round++) {
      await inLab(async (lab) => {
        const hosts = lab.lan(2).hosts;
        const folder = exoOnThePath(lab);
        const line = () => `exo --discovery-module ${module}`;
        times.push(await mutualMs(lab, hosts, line, () => folder));
      });
    }
    t.diagnostic(`${module}: ${times.map((ms) => ms.toFixed(0)).join(', ')} ms after both ran`);
    for (const ms of times) assert.ok(ms <= limitMs, `${ms} ms`);
    promise(
      t,
      'D1',
      `${module}: ${times.length} of ${times.length}, ≤ ${Math.max(...times).toFixed(0)} ms after both ran`,
    );
  });
}

test('D2 with broadcast blocked, nodes named in peers.json list each other within 3 s', {
  skip,
}, async (t) => {
  await inLab(async (lab) => {
    const lan = lab.lan(2);
    lan.dropBroadcast();
    const [a, b] = lan.hosts as [Host, Host];
    const folders = new Map(
      [a, b].map((host) => {
        const other = host === a ? b : a;
        const peers = { peers: { other: { address: `${other.address}:50051` } } };
        return [host, exoOnThePath(lab, { 'peers.json': JSON.stringify(peers) })];
      }),
    );
    const line = () => 'exo --discovery-module manual,udp --discovery-config-path peers.json';
    const ms = await mutualMs(lab, [a, b], line, (host) => folders.get(host)!);
    assert.ok(ms <= 3_000, `${ms} ms`);
    promise(t, 'D2', `${ms.toFixed(0)} ms after both ran`);
  });
});

for (const deaf of [0, 1]) {
  test(`D3 with the broadcasts of one side lost (${deaf === 0 ? 'first' : 'second'}), both list each other within 6 s`, {
    skip,
  }, async (t) => {
    await inLab(async (lab) => {
      const lan = lab.lan(2);
      lan.dropBroadcast(lan.hosts[deaf]!);
      const folder = exoOnThePath(lab);
      const ids = new Map(lan.hosts.map((host, i) => [host, ['alpha', 'omega'][i]!]));
      const line = (host: Host) => `exo --discovery-module udp --node-id ${ids.get(host)}`;
      const ms = await mutualMs(lab, lan.hosts, line, () => folder);
      assert.ok(ms <= 6_000, `${ms} ms`);
      promise(t, 'D3', `${ms.toFixed(0)} ms after both ran`);
    });
  });
}

test('D4 of three interfaces, one dead and one link-local, a working address is used within 5 s', {
  skip,
}, async (t) => {
  await inLab(async (lab) => {
    const hosts = [lab.host('a'), lab.host('b')] as const;
    // eth0 works for datagrams only: TCP vanishes there. eth1 is link-local. eth2 is sound.
    const dead = new Lan(lab.host('dead'), '10.66.0');
    const linkLocal = new Lan(lab.host('ll'), '169.254.7');
    const sound = new Lan(lab.host('ok'), '10.77.0');
    hosts.forEach((host, i) => {
      dead.join(host, i + 1, 'eth0');
      linkLocal.join(host, i + 1, 'eth1');
      sound.join(host, i + 1, 'eth2');
      host.ip('route', 'add', 'default', 'dev', 'eth2');
    });
    dead.bridge.nft(
      'table bridge dead {\n chain forward {\n type filter hook forward priority 0; policy accept;\n meta protocol ip ip protocol tcp drop\n }\n}\n',
    );
    const folder = exoOnThePath(lab);
    const ms = await mutualMs(
      lab,
      hosts,
      () => 'exo --discovery-module udp',
      () => folder,
    );
    assert.ok(ms <= 5_000, `${ms} ms`);
    const peers = hosts.map((host) =>
      host.exec('sh', ['-c', `'${folder}/exo' peers --all --api 127.0.0.1:52415`]),
    );
    for (const text of peers) {
      t.diagnostic(text);
      assert.match(text, /10\.77\.0\.\d|169\.254\.7\.\d/, 'the address in use');
    }
    promise(t, 'D4', `${ms.toFixed(0)} ms after both ran`);
  });
});
