/** Real processes: where an answer is computed is asked for, decided and told. */
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { assertDummyAnswer, fullMesh } from '../support/mesh.js';
import { Cleanup } from '../support/processes.js';

interface Placed {
  readonly choices: ReadonlyArray<{ message: { content: string }; finish_reason: string }>;
  readonly exo?: {
    readonly ring: ReadonlyArray<{
      readonly node: string;
      readonly layers: readonly [number, number];
    }> | null;
  };
  readonly error?: { readonly code: string; readonly message: string };
}

const cleanup = new Cleanup();
let apis: ReadonlyMap<string, { readonly api: string }>;

before(async () => {
  apis = await fullMesh(cleanup, [
    { id: 'a', kind: 'new' },
    { id: 'b', kind: 'new' },
    { id: 'c', kind: 'new', args: ['--layers', 'c=0-1,a=2-7'] },
  ]);
});
after(() => cleanup.dispose());

async function ask(node: string, exo: object): Promise<{ readonly status: number; readonly body: Placed }> {
  const response = await fetch(`${apis.get(node)!.api}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'dummy', messages: [{ role: 'user', content: 'hello' }], exo }),
    signal: AbortSignal.timeout(60_000),
  });
  return { status: response.status, body: (await response.json()) as Placed };
}

/** `a 0-7`, from a good answer. */
async function ring(node: string, exo: object): Promise<string> {
  const { status, body } = await ask(node, exo);
  assert.equal(status, 200, body.error?.message);
  assertDummyAnswer(body as Parameters<typeof assertDummyAnswer>[0]);
  return (body.exo?.ring ?? []).map(({ node: id, layers }) => `${id} ${layers.join('-')}`).join(', ');
}

test('placement of a request: on one node, over all, by hand, whoever is asked', async () => {
  const placement = [
    { node: 'b', layers: [0, 0] },
    { node: 'c', layers: [1, 5] },
    { node: 'a', layers: [6, 7] },
  ];
  for (const node of ['a', 'b', 'c']) {
    assert.equal(await ring(node, { placement }), 'b 0-0, c 1-5, a 6-7');
    assert.equal(await ring(node, { placement: 'solo' }), `${node} 0-7`);
    assert.match(await ring(node, { placement: 'split' }), /^[abc] 0-\d, [abc] \d-\d, [abc] \d-7$/);
  }
});

test('placement of a node holds for requests that have none', async () => {
  assert.equal(await ring('c', {}), 'c 0-1, a 2-7');
  assert.match(await ring('a', {}), /, .*, /, 'nothing is measured: over all, by memory');
});

test('placement that makes no ring is refused in words, and the next question is answered', async () => {
  const { status, body } = await ask('a', { placement: [{ node: 'b', layers: [0, 3] }] });
  assert.equal(status, 400);
  assert.match(body.error!.message, /last layer named is 3/);
  assert.equal(await ring('a', { placement: 'solo' }), 'a 0-7');
});

test('placement on a node that nobody knows is refused at once, with those that are known', async () => {
  const placement = [{ node: 'z', layers: [0, 7] }];
  const { status, body } = await ask('a', { placement });
  assert.deepEqual([status, body.error?.code], [400, 'placement-invalid']);
  assert.match(body.error!.message, /no node "z" is known; there are: a, /);
});

test('placement of a node gives way for a model that its ranges do not fit, and names its option where a node is gone', async () => {
  const others = new Cleanup();
  try {
    const mesh = await fullMesh(others, [
      { id: 'd', kind: 'new', args: ['--layers', 'd=0-1,gone=2-7'] },
      { id: 'e', kind: 'new', args: ['--layers', 'e=0-3,d=4-11'] },
    ]);
    const plan = (await (await fetch(`${mesh.get('e')!.api}/v1/plan`)).json()) as { reason: string };
    assert.match(plan.reason, /--layers does not fit this model: the last layer named is 11, .* is 7/);
    const response = await fetch(`${mesh.get('d')!.api}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'dummy', messages: [{ role: 'user', content: 'hello' }] }),
    });
    const { error } = (await response.json()) as Placed;
    assert.deepEqual([response.status, error?.code], [503, 'ring-incomplete']);
    assert.match(error!.message, /node gone, .* is not in the mesh.*--layers of this node: start or connect/);
  } finally {
    await others.dispose();
  }
});

test('status and plan tell where the last answers were computed, and where the next would be', async () => {
  const { api } = apis.get('c')!;
  const status = (await (await fetch(`${api}/v1/status`)).json()) as {
    plans: ReadonlyArray<{ model: string; ring: readonly object[] }>;
  };
  assert.ok(status.plans.length > 0);
  assert.equal(status.plans.at(-1)!.model, 'dummy');
  const plan = (await (await fetch(`${api}/v1/plan`)).json()) as { ring: readonly object[] };
  assert.deepEqual(plan.ring, [
    { node_id: 'c', start_layer: 0, end_layer: 1 },
    { node_id: 'a', start_layer: 2, end_layer: 7 },
  ]);
});
