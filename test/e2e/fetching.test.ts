/**
 * Running nodes that have nothing of a model: they fetch the layers that they compute, from each other before they go to the hub, and
 * tell how far they are. The hub is one on loopback that counts each byte; the model is the demo model under another name.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { canComputeGgml } from '../../src/inference/index.js';
import { eventually } from '../support/eventually.js';
import { REPOSITORY, WEIGHTS } from '../support/fetching.js';
import { DEMO_FILES, folderOf, owner, sentTwice, startFetching } from '../support/fetching-nodes.js';
import { shardedModel } from '../support/model-files.js';
import { Cleanup } from '../support/processes.js';
import '../support/leaks.js';

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';
interface Answer {
  readonly status: number;
  readonly body: {
    readonly choices?: ReadonlyArray<{ readonly message: { readonly content: string } }>;
  } & Record<string, unknown>;
}

async function ask(api: string, model: string, more: object = {}): Promise<Answer> {
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ model, temperature: 0, max_tokens: 24, ...more },
      messages: [{ role: 'user', content: 'How do nodes find each other?' }],
    }),
    signal: AbortSignal.timeout(120_000),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

const textOf = ({ body }: Answer) => body.choices?.[0]?.message.content;

test('a question for a model that no node has: both fetch their layers, from the hub each byte once, and answer', {
  skip,
}, async () => {
  const cleanup = new Cleanup();
  try {
    const { hub, nodes } = await startFetching(cleanup, ['a', 'b'], ['--split']);
    const [a, b] = [nodes.get('a')!, nodes.get('b')!];
    const alone = textOf(await ask(a.api, 'demo', { exo: { placement: 'solo' } }));
    const first = await ask(a.api, REPOSITORY);
    assert.equal(first.status, 200, JSON.stringify(first.body));
    assert.equal(textOf(first), alone);
    assert.deepEqual(sentTwice(hub, DEMO_FILES), {});
    for (const [id, node] of nodes) assert.ok(existsSync(folderOf(node)), `${id} fetched`);
    // And with everything there nothing is asked for.
    const before = hub.sent.length;
    assert.equal(textOf(await ask(b.api, REPOSITORY)), alone);
    assert.equal(hub.bytesSent(WEIGHTS, before), 0);
  } finally {
    await cleanup.dispose();
  }
});

test('a download is told of on all nodes, never backwards; another node then needs no hub; deletion ends it', {
  skip,
}, async () => {
  const cleanup = new Cleanup();
  try {
    const { hub, nodes } = await startFetching(cleanup, ['a', 'b']);
    const [a, b] = [nodes.get('a')!, nodes.get('b')!];
    // Large enough that it can be watched.
    const files = shardedModel(8, 4, 400_000);
    hub.put('mesh/watched', files);
    hub.onPiece = () => new Promise((resolve) => setTimeout(resolve, 80));
    const stranger = await fetch(`${a.api}/download`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"model": "mesh/watched"}',
    });
    assert.equal(stranger.status, 401);
    assert.equal((await owner(a, 'POST', '/download', { model: 'mesh/watched' })).status, 200);
    const seen = new Map<string, number[]>();
    const watchedBy = async (name: string): Promise<number> => {
      const node = nodes.get(name)!;
      const progress = (await (await fetch(`${node.api}/v1/download/progress`)).json()) as Record<
        string,
        { repo_id: string; downloaded_bytes: number; total_bytes: number; status: string }
      >;
      for (const [id, each] of Object.entries(progress)) {
        assert.equal(each.repo_id, 'mesh/watched');
        assert.ok(each.downloaded_bytes <= each.total_bytes);
        const who = `${id} at ${name}`;
        seen.set(who, [...(seen.get(who) ?? []), each.downloaded_bytes / each.total_bytes]);
      }
      return Object.keys(progress).length;
    };
    await eventually({ timeoutMs: 60_000, what: 'both see it, and then its end' }, async () => {
      const running = (await watchedBy('a')) + (await watchedBy('b'));
      return running === 0 && seen.has('a at a') && seen.has('a at b');
    });
    for (const [who, shares] of seen) {
      assert.deepEqual(
        shares,
        [...shares].sort((x, y) => x - y),
        `${who} went backwards`,
      );
    }
    // What b lacks comes from a.
    const before = hub.sent.length;
    assert.equal((await owner(b, 'POST', '/download', { model: 'mesh/watched' })).status, 200);
    const inModels = async () => {
      const { data } = (await (await fetch(`${b.api}/v1/models`)).json()) as {
        data: ReadonlyArray<{ id: string; download_percentage: number }>;
      };
      return data.find(({ id }) => id === 'mesh/watched');
    };
    await eventually(
      { timeoutMs: 60_000, what: 'b has something of it' },
      async () => ((await inModels())?.download_percentage ?? 0) > 0,
    );
    await eventually(
      { timeoutMs: 60_000, what: 'the download of b is over' },
      async () => (await watchedBy('b')) === 0,
    );
    assert.deepEqual(sentTwice(hub, files), {});
    assert.ok(hub.sent.length >= before);
    const deleted = await owner(b, 'DELETE', '/models/mesh/watched');
    assert.equal(deleted.status, 200, await deleted.text());
    assert.equal(await inModels(), undefined);
    assert.equal((await owner(b, 'DELETE', '/models/mesh/watched')).status, 404);
  } finally {
    await cleanup.dispose();
  }
});

test('who may not fetch says so: offline without the model, an unsupported kind, a hub that is away, an open mesh', {
  skip,
}, async () => {
  const cleanup = new Cleanup();
  try {
    const { hub, nodes } = await startFetching(cleanup, ['a', 'b'], ['--split'], '');
    const a = nodes.get('a')!;
    hub.put('mesh/strange', {
      ...DEMO_FILES,
      'config.json': '{"architectures":["MambaForCausalLM"],"model_type":"mamba"}',
    });
    const strange = await ask(a.api, 'mesh/strange');
    assert.equal(strange.status, 400);
    assert.match(JSON.stringify(strange.body), /MambaForCausalLM/);
    assert.equal(hub.bytesSent(WEIGHTS), 0);
    const missing = await ask(a.api, 'mesh/nothing');
    assert.equal(missing.status, 404);
    // In an open mesh b proves nothing to anybody, and nobody proves anything to b: it fetches for its own clients only.
    await ask(a.api, REPOSITORY);
    assert.ok(!existsSync(folderOf(nodes.get('b')!)));
    // What is there is computed when the hub is away.
    await hub.stop();
    assert.equal((await ask(a.api, REPOSITORY, { exo: { placement: 'solo' } })).status, 200);
    const away = await ask(a.api, 'mesh/other');
    assert.equal(away.status, 503, JSON.stringify(away.body));
  } finally {
    await cleanup.dispose();
  }
});

test('--spare: the layers of the next node are ready when it is lost; without a hub they would be missing', {
  skip,
}, async () => {
  const cleanup = new Cleanup();
  try {
    const { hub, nodes } = await startFetching(cleanup, ['a', 'b'], ['--split', '--spare']);
    const [a, b] = [nodes.get('a')!, nodes.get('b')!];
    const text = textOf(await ask(a.api, REPOSITORY));
    await eventually({ timeoutMs: 30_000, what: 'a has all of it' }, async () => {
      return existsSync(path.join(folderOf(a), WEIGHTS));
    });
    assert.deepEqual(sentTwice(hub, DEMO_FILES), {});
    await hub.stop();
    b.child.kill('SIGKILL');
    await eventually({ timeoutMs: 30_000, what: 'a answers alone' }, async () => {
      const answer = await ask(a.api, REPOSITORY);
      return answer.status === 200 && textOf(answer) === text;
    });
  } finally {
    await cleanup.dispose();
  }
});
