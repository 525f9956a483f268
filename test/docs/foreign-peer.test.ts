/** docs/PROTOCOL.md is enough: a peer that was written from it alone joins a node over TCP. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createNode, type Node } from '../../src/node/index.js';
import { eventually } from '../support/eventually.js';
import { writePeersFile } from '../support/peers-file.js';
import { ROOT } from '../support/processes.js';
import { type ForeignEntry, ForeignPeer, foreignDigest } from './foreign-peer.js';

const CAPABILITIES = { model: 'P', chip: 'Y', memory: 2048, flops: { fp32: 1, fp16: 2.5, int8: 4 } };
const folder = mkdtempSync(path.join(tmpdir(), 'exo-foreign-'));
let node: Node;
let epoch = Date.now() + 1_000;

before(async () => {
  const capabilities = { ...CAPABILITIES, model: 'N' };
  node = createNode(
    {
      nodeId: 'n1',
      instance: '0123456789abcdef',
      epoch: Date.now(),
      version: '0.0.0',
      nodeHost: '127.0.0.1',
      nodePort: 0,
      discovery: {
        modules: ['manual'],
        discoveryTimeoutMs: 30_000,
        listenPort: 0,
        broadcastPort: 0,
        configPath: writePeersFile(folder, 'peers.json', {}),
      },
      engine: 'dummy',
      responseTimeoutMs: 30_000,
      maxGenerateTokens: 100,
      defaultTemperature: 0,
    },
    { capabilities: { instant: capabilities, refined: Promise.resolve(capabilities) } },
  );
  await node.start();
});
after(async () => {
  await node.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface HelloAnswer {
  readonly is_healthy: boolean;
  readonly hello?: { readonly node_id: string; readonly features: string[] };
  readonly error?: { readonly code: string; readonly message: string };
}

const HELLO = {
  version_max: 1,
  version_min: 1,
  node_id: 'foreign',
  instance: '00112233445566aa',
  features: ['correlated', 'topology', 'from-the-future'],
  capabilities: CAPABILITIES,
  path: { description: 'FOREIGN', priority: 4 },
  later: { than: 'this version' },
};

/** Dials, says hello, and gives the answer back; the epoch rises with each start. */
async function greeted(changes: object = {}): Promise<{ peer: ForeignPeer; answer: HelloAnswer }> {
  const peer = await ForeignPeer.dial(node.mesh.self().nodePort);
  epoch += 1;
  peer.base(0x01, JSON.stringify({ hello: { ...HELLO, epoch, ...changes } }));
  return { peer, answer: await peer.readJson<HelloAnswer>(0x02) };
}

describe('a peer written from the document', () => {
  it('stands on nothing of ours', () => {
    const text = readFileSync(path.join(ROOT, 'test/docs/foreign-peer.ts'), 'utf8');
    assert.deepEqual(
      [...text.matchAll(/from '([^']+)'/g)].map((match) => match[1]),
      ['node:crypto', 'node:net'],
    );
  });

  it('is greeted, and has pings answered between the fragments of a longer one', async () => {
    const { peer, answer } = await greeted();
    assert.equal(answer.is_healthy, true);
    assert.deepEqual([answer.hello?.node_id, answer.hello?.features], ['n1', ['correlated', 'topology']]);
    const long = randomBytes(700_000);
    const [first, ...rest] = peer.fragments(0x50, 1, long);
    first!();
    peer.frame(0x50, 2, 'short');
    assert.equal((await peer.read(0x51, 2)).toString(), 'short');
    for (const send of rest) send();
    assert.ok((await peer.read(0x51, 1)).equals(long));
    await peer.close();
  });

  it('gives a long message up and uses its id again', async () => {
    const { peer } = await greeted();
    peer.fragments(0x50, 1, randomBytes(700_000))[0]!();
    peer.abandon(0x50, 1);
    peer.frame(0x50, 1, 'again');
    assert.equal((await peer.read(0x51, 1)).toString(), 'again');
    await peer.close();
  });

  it('is listed with its edge, and works out the same digest', async () => {
    const { peer } = await greeted();
    const own: ForeignEntry = {
      id: 'foreign',
      epoch,
      version: 1,
      capabilities: CAPABILITIES,
      edges: [{ to_id: 'n1', description: 'FOREIGN' }],
      lost: [],
    };
    peer.frame(0x52, 0, JSON.stringify({ entries: [own], spread: ['foreign'] }));
    await eventually({ timeoutMs: 5_000, what: 'the node shows the edge in both directions' }, () => {
      const edges = node.mesh.topology().edges.map(({ fromId, toId }) => `${fromId} ${toId}`);
      return Promise.resolve(edges.sort().join() === 'foreign n1,n1 foreign');
    });
    peer.frame(0x54, 1, JSON.stringify({ versions: { foreign: [epoch, 1], ghost: [1, 1] } }));
    const synced = await peer.readJson<{ entries: ForeignEntry[]; wanted: string[] }>(0x55, 1);
    assert.deepEqual(
      synced.entries.map(({ id }) => id),
      ['n1'],
    );
    assert.deepEqual(synced.wanted, ['ghost']);
    assert.equal(foreignDigest([own, ...synced.entries]), node.mesh.topology().digest);
    peer.frame(0x30, 2, JSON.stringify({ visited: ['foreign'], max_depth: 4 }));
    const view = await peer.readJson<{ peer_graph: object }>(0x31, 2);
    assert.deepEqual(view.peer_graph, {
      foreign: [{ to_id: 'n1', description: 'FOREIGN' }],
      n1: [{ to_id: 'foreign', description: 'FOREIGN' }],
    });
    await peer.close();
  });

  it('is told what cannot be asked for, and goes on', async () => {
    const { peer } = await greeted();
    // A stream, a type of later, one that is listed and never sent, and a one-way message with an id.
    for (const [id, type] of [0x60, 0x78, 0x14, 0x20].entries()) {
      peer.frame(type, id + 1, '{"request_id": "x", "result": [], "is_finished": true}');
      const error = await peer.readJson<{ code: string }>(0x7f, id + 1);
      assert.equal(error.code, 'request-unsupported', `0x${type.toString(16)}`);
    }
    // A late answer, an unknown answer, an unknown one-way message.
    for (const [type, id] of [
      [0x51, 99],
      [0x61, 99],
      [0x62, 0],
    ] as const) {
      peer.frame(type, id, 'late');
    }
    peer.base(0x01, '');
    assert.deepEqual(await peer.readJson(0x02), { is_healthy: true });
    await peer.close();
  });

  it('is refused in words: the id of the node, the node itself, a version without a common one', async () => {
    for (const [changes, code] of [
      [{ node_id: 'n1' }, 'duplicate-id'],
      [{ node_id: 'n1', instance: '0123456789abcdef' }, 'self-address'],
      [{ version_min: 2, version_max: 3, node_id: { of: 'another shape' } }, 'version-mismatch'],
    ] as const) {
      const { peer, answer } = await greeted(changes);
      assert.deepEqual([answer.is_healthy, answer.error?.code], [false, code]);
      assert.ok(answer.error!.message.length > 20);
      await peer.ended();
    }
  });

  it('loses its connection for an unknown flag, and for a correlated frame before hello', async () => {
    const { peer } = await greeted();
    peer.frame(0x50, 1, 'x', 0x08);
    await peer.ended();
    const stranger = await ForeignPeer.dial(node.mesh.self().nodePort);
    stranger.frame(0x50, 1, 'x');
    await stranger.ended();
  });
});
