/** What becomes of requests and of the process when either goes wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import type { GgmlOptions } from '../../../src/inference/engines/ggml/index.js';
import { eventually } from '../../support/eventually.js';
import { program } from '../../support/program.js';
import { goldenEngine, goldenModel, greedy, ModelFolder, ShardedRequest } from './golden-models.js';

const folder = new ModelFolder();
const model = goldenModel('llama');
const written = folder.write(model);
after(() => folder.remove());
const [prompt] = model.prompts;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function withEngine(
  title: string,
  options: GgmlOptions,
  body: (
    engine: ReturnType<typeof goldenEngine>,
    open: (id: string, parts?: number) => ShardedRequest,
  ) => Promise<void>,
): void {
  test(title, async () => {
    const modelId = await written;
    const engine = goldenEngine(folder, options);
    await engine.start();
    try {
      await body(engine, (id, parts = 1) => new ShardedRequest(engine, modelId, model.layers, parts, id));
    } finally {
      await engine.stop();
    }
  });
}

withEngine(
  'a process that is killed fails its steps, and the next request is served',
  {},
  async (engine, open) => {
    const request = open('r');
    await request.step(prompt!.tokens);
    const first = engine.pid!;
    // Held, so that it cannot have answered when it is killed.
    process.kill(first, 'SIGSTOP');
    const step = request.step(prompt!.ids.slice(0, 1));
    process.kill(first, 'SIGKILL');
    await assert.rejects(step, { code: 'engine-failed', retryable: true });
    // What was cached is gone: going on where it was would be wrong without anyone noticing.
    await assert.rejects(request.step([prompt!.ids[0]!]), { code: 'engine-failed', retryable: true });
    assert.notEqual(engine.pid, first);
    const again = open('again');
    assert.equal(greedy(await again.step(prompt!.tokens)), prompt!.ids[0]);
  },
);

withEngine(
  'several threads, spinning or not, choose the same tokens',
  { threads: 2, quiet: false },
  async (_, open) => {
    const request = open('r', 2);
    let logits = await request.step(prompt!.tokens);
    for (const id of prompt!.ids) {
      assert.equal(greedy(logits), id);
      logits = await request.step([id]);
    }
  },
);

withEngine('a step that does not continue its cache is refused, and the cache stays', {}, async (_, open) => {
  const request = open('r');
  await request.step(prompt!.tokens);
  for (const position of [0, prompt!.tokens.length - 1, prompt!.tokens.length + 1]) {
    const stray = open('r');
    stray.position = position;
    await assert.rejects(stray.step([5]), { code: 'engine-failed' });
  }
  assert.equal(greedy(await request.step([prompt!.ids[0]!])), prompt!.ids[1]);
});

withEngine(
  'a full budget turns new requests away and keeps those that are there',
  // Two layers of keys and values for 256 positions of one request, with a little room.
  { cacheBytesMax: 3_000_000 },
  async (_, open) => {
    const requests: ShardedRequest[] = [];
    let refused: unknown;
    for (let index = 0; index < 64 && refused === undefined; index += 1) {
      const request = open(`r${index}`);
      await request.step(prompt!.tokens).then(
        () => requests.push(request),
        (error: unknown) => {
          refused = error;
        },
      );
    }
    assert.ok(requests.length > 0);
    assert.equal((refused as { code?: string }).code, 'overloaded');
    for (const request of requests)
      assert.equal(greedy(await request.step([prompt!.ids[0]!])), prompt!.ids[1]);
    requests[0]!.release();
    assert.equal(greedy(await open('late').step(prompt!.tokens)), prompt!.ids[0]);
  },
);

withEngine(
  'a prompt longer than the model was made for is refused with both numbers',
  {},
  async (_, open) => {
    const contextLength = Number(model.config['max_position_embeddings']);
    const tokens = Array.from({ length: contextLength + 1 }, () => 5);
    await assert.rejects(open('long').step(tokens), (error: { code?: string; message?: string }) => {
      assert.equal(error.code, 'prompt-too-long');
      assert.match(error.message!, new RegExp(`${contextLength + 1}.*${contextLength}`));
      return true;
    });
    assert.equal(greedy(await open('next').step(prompt!.tokens)), prompt!.ids[0]);
  },
);

withEngine(
  'tokens that the model does not have are refused, and its neighbours in the run are served',
  {},
  async (_, open) => {
    const good = open('good');
    const [bad, neighbour] = [open('bad').step([1_000_000]), open('neighbour').step(prompt!.tokens)];
    await assert.rejects(bad, { code: 'tensor-invalid' });
    assert.equal(greedy(await neighbour), prompt!.ids[0]);
    assert.equal(greedy(await good.step(prompt!.tokens)), prompt!.ids[0]);
  },
);

withEngine('shards that nobody uses make room and are loaded again', { shardsMax: 2 }, async (_, open) => {
  for (const [index, parts] of [1, 2, 1, 2].entries()) {
    const request = open(`r${index}`, parts);
    assert.equal(greedy(await request.step(prompt!.tokens)), prompt!.ids[0]);
    request.release();
  }
});

withEngine(
  'weights that are cut short are refused by name, and the process lives',
  {},
  async (engine, open) => {
    const modelId = await written;
    const from = path.join(folder.directory, modelId);
    const to = path.join(folder.directory, 'cut');
    await cp(from, to, { recursive: true });
    truncateSync(path.join(to, 'model.safetensors'), 200_000);
    const shard = { modelId: 'cut', startLayer: 0, endLayer: model.layers - 1, nLayers: model.layers };
    await assert.rejects(engine.load(shard, new AbortController().signal), { code: 'checkpoint-invalid' });
    assert.equal(greedy(await open('next').step(prompt!.tokens)), prompt!.ids[0]);
  },
);

test('the process ends when the node is killed', async () => {
  const { argv } = program(new URL('./engine-holder-process.ts', import.meta.url));
  const holder = spawn(process.execPath, argv, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = new Promise((resolve) => holder.once('close', resolve));
  after(() => holder.kill('SIGKILL'));
  const pid = await new Promise<number>((resolve) => {
    holder.stdout.setEncoding('utf8').on('data', (text: string) => resolve(Number(text)));
  });
  assert.ok(isAlive(pid));
  holder.kill('SIGKILL');
  await closed;
  await eventually({ timeoutMs: 20_000, what: 'the end of the engine process' }, () => !isAlive(pid));
});
