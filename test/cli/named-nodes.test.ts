/** `exo run --layers` that names a node which is not there: refused by name, soon, whatever the machine computes meanwhile. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { type NamedMesh, untilNamedNodes } from '../../src/cli/named-nodes.js';
import { runProgram } from '../../src/cli/program.js';
import type { Placement } from '../../src/inference/index.js';
import { LIMITS, VirtualClock } from '../../src/shared/index.js';
import { Cleanup } from '../support/processes.js';
import { TestHost } from './host.js';

const LAYERS: Placement = {
  kind: 'manual',
  ranges: [
    { nodeId: 'own', startLayer: 0, endLayer: 3 },
    { nodeId: 'b', startLayer: 4, endLayer: 7 },
  ],
};

/** A mesh of which only the ids are looked at. */
function meshOf(...ids: string[]) {
  const listeners = new Set<() => void>();
  const mesh = {
    self: () => ({ id: 'own' }),
    topology: () => ({ nodes: new Map(ids.map((id) => [id, {}])) }),
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as NamedMesh;
  const join = (id: string) => {
    ids.push(id);
    for (const listener of listeners) listener();
  };
  return { mesh, join, listeners };
}

const never = new AbortController().signal;

test('a named node that is there, or comes soon, is waited for and no longer', async () => {
  const clock = new VirtualClock();
  const host = new TestHost(['run'], { clock });
  const there = meshOf('own', 'b');
  await untilNamedNodes(host, there.mesh, { placement: LAYERS, findsPeers: true }, never);
  for (const placement of [undefined, { kind: 'split' }] as const) {
    await untilNamedNodes(host, meshOf('own').mesh, { placement, findsPeers: false }, never);
  }
  const soon = meshOf('own');
  const waited = untilNamedNodes(host, soon.mesh, { placement: LAYERS, findsPeers: true }, never);
  await clock.advance(1_000);
  assert.match(host.err, /waiting for b, which --layers names/);
  soon.join('c');
  soon.join('b');
  await waited;
  assert.deepEqual([soon.listeners.size, clock.pending], [0, 0]);
});

test('a named node that does not come is refused by name: at once where nobody looks for peers', async () => {
  const clock = new VirtualClock();
  const host = new TestHost(['run'], { clock });
  const refusal = {
    code: 'ring-incomplete',
    message: /node "b", which is not in the mesh; there are: own$/,
    hint: /start that node or connect it.*give its layers to one that is there/,
  };
  const alone = meshOf('own');
  await assert.rejects(
    untilNamedNodes(host, alone.mesh, { placement: LAYERS, findsPeers: false }, never),
    refusal,
  );
  const late = assert.rejects(
    untilNamedNodes(host, alone.mesh, { placement: LAYERS, findsPeers: true }, never),
    refusal,
  );
  await clock.advance(LIMITS.generationRetryMs);
  await late;
  const client = new AbortController();
  const left = untilNamedNodes(host, alone.mesh, { placement: LAYERS, findsPeers: true }, client.signal);
  client.abort(new Error('Ctrl-C'));
  await assert.rejects(left, /Ctrl-C/);
  assert.deepEqual([alone.listeners.size, clock.pending], [0, 0]);
});

test('exo run --layers with a node that is not there ends with its name and what to do', async () => {
  const cleanup = new Cleanup();
  try {
    const folder = cleanup.folder();
    const peers = path.join(folder, 'peers.json');
    writeFileSync(peers, '{"peers": {}}');
    const line = `run dummy --inference-engine dummy --layers gone=0-7 --node-port 0 --discovery-module manual --discovery-config-path ${peers}`;
    const host = new TestHost(line.split(' '), { env: { EXO_HOME: folder, HOME: folder, NO_COLOR: '1' } });
    assert.equal(await runProgram(host), 1);
    assert.match(
      host.err,
      /waiting for gone[\s\S]*node "gone", which is not in the mesh[\s\S]*hint: start that node/,
    );
    assert.equal(host.out, '');
  } finally {
    await cleanup.dispose();
  }
});
