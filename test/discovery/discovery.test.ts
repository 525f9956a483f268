import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type Candidate,
  createDiscovery,
  type DiscoveryComponents,
  type DiscoveryOptions,
} from '../../src/discovery/index.js';
import { ExoError, silentLogger, systemClock, systemRandom } from '../../src/shared/index.js';
import { freePorts } from '../support/ports.js';
import { LOOPBACK, RecordingSink, selfOf } from './fixtures.js';

function discoveryOf(
  t: TestContext,
  nodeId: string,
  options: Partial<DiscoveryOptions> & Pick<DiscoveryOptions, 'modules'>,
  more: Partial<DiscoveryComponents> = {},
) {
  // The sink's waiting is used for the node's side: candidates in, keys out.
  const node = new RecordingSink();
  const discovery = createDiscovery(
    { discoveryTimeoutMs: 30_000, listenPort: 0, broadcastPort: 1, ...options },
    {
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      self: selfOf(nodeId),
      onCandidate: (candidate) => node.offer(candidate),
      onWithdrawn: (key) => node.withdraw(key),
      interfaces: () => [LOOPBACK],
      neighbours: async () => [],
      ...more,
    },
  );
  t.after(() => discovery.stop());
  return { discovery, node };
}

test('discovery runs several modules at once into one pool', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'exo-discovery-'));
  t.after(() => rm(folder, { recursive: true }));
  const configPath = join(folder, 'peers.json');
  await writeFile(configPath, '{"peers": {"m": {"address": "127.0.0.1:7"}}}');
  const [x, y] = (await freePorts(2)) as [number, number];
  const a = discoveryOf(t, 'a', {
    modules: ['manual', 'direct', 'udp', 'tcp', 'udp'],
    configPath,
    peerHost: '10.0.0.5',
    peerPort: 50051,
    listenPort: x,
    broadcastPort: y,
  });
  const b = discoveryOf(t, 'b', { modules: ['udp', 'tcp'], listenPort: y, broadcastPort: x });
  await a.discovery.start();
  await b.discovery.start();
  const keys = () => new Set(a.node.offers.map((one) => one.key));
  await a.node.until(() => keys().size === 4);
  assert.deepEqual([...keys()].sort(), [
    'direct',
    'manual:m',
    'tcp:b@127.0.0.1:50051',
    'udp:b@127.0.0.1:50051',
  ]);
  assert.deepEqual(
    a.discovery.describe().map(({ module }) => module),
    ['manual', 'direct', 'udp', 'tcp'],
  );
  const direct = a.node.offers.find((one) => one.module === 'direct') as Candidate;
  assert.deepEqual(
    [direct.claimedId, direct.description, direct.configured],
    ['peer-10.0.0.5', 'DIRECT (10.0.0.5)', true],
  );
  assert.equal(a.discovery.bestFor('b').length, 2);
  a.discovery.noteOutcome('udp:b@127.0.0.1:50051', { ok: false, error: 'refused' });
  assert.equal(a.discovery.bestFor('b')[0]?.module, 'tcp');
  await a.discovery.stop();
  assert.equal(a.discovery.candidates().length, 0);
});

test('discovery names the option that a module lacks', (t) => {
  for (const [modules, option] of [
    ['manual', /--discovery-module manual needs --discovery-config-path/],
    ['direct', /--discovery-module direct needs --peer-host/],
  ] as const) {
    assert.throws(
      () => discoveryOf(t, 'a', { modules: [modules] }),
      (error) => error instanceof ExoError && error.code === 'option-missing' && option.test(error.message),
    );
  }
});

test('discovery that cannot start one module leaves none of the others behind', async (t) => {
  const [port] = (await freePorts(1)) as [number];
  const { discovery, node } = discoveryOf(t, 'a', {
    modules: ['direct', 'tcp', 'manual'],
    peerHost: '10.0.0.5',
    peerPort: 1,
    listenPort: port,
    broadcastPort: port,
    configPath: '/nowhere/peers.json',
  });
  await assert.rejects(discovery.start(), /there is no file \/nowhere\/peers\.json/);
  assert.deepEqual(node.withdrawn, ['direct']);
  const again = discoveryOf(t, 'b', { modules: ['tcp'], listenPort: port, broadcastPort: port });
  await again.discovery.start();
});

test('discovery keeps what the node refuses, and asks the id filter again', (t) => {
  const { discovery } = discoveryOf(t, 'a', { modules: ['udp'], nodeIdFilter: ['b'] });
  const reason = 'the address leads back to this node';
  discovery.refuse({ module: 'manual', subject: '127.0.0.1:50051', code: 'self-address', reason });
  assert.equal(discovery.refusals()[0]?.reason, reason);
  discovery.unrefuse('127.0.0.1:50051');
  assert.deepEqual(discovery.refusals(), []);
  assert.deepEqual([discovery.allowsId('b'), discovery.allowsId('c')], [true, false]);
});

test('discovery reports another node with the same id on both sides', async (t) => {
  const [x, y] = (await freePorts(2)) as [number, number];
  const twins = new RecordingSink();
  const duplicates: string[] = [];
  const onDuplicateId = (candidate: Candidate) => {
    duplicates.push(String(candidate.address.port));
    twins.offer(candidate);
  };
  const one = discoveryOf(
    t,
    'twin',
    { modules: ['udp'], listenPort: x, broadcastPort: y },
    { self: selfOf('twin', 50051), onDuplicateId },
  );
  const two = discoveryOf(
    t,
    'twin',
    { modules: ['udp'], listenPort: y, broadcastPort: x },
    { self: selfOf('twin', 50052), onDuplicateId },
  );
  await one.discovery.start();
  await two.discovery.start();
  await twins.until(() => duplicates.includes('50051') && duplicates.includes('50052'));
  assert.equal(one.discovery.refusals()[0]?.code, 'duplicate-id');
  assert.equal(two.discovery.refusals()[0]?.code, 'duplicate-id');
  assert.equal(one.node.offers.length + two.node.offers.length, 0);
});
