/** The file of a loaded shard gets another name, as when the last of it has been fetched, or is removed: what runs goes on. */
import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import {
  GOLDEN_NAMES,
  goldenEngine,
  goldenModel,
  greedy,
  ModelFolder,
  ShardedRequest,
} from './golden-models.js';

const folder = new ModelFolder();
const engine = goldenEngine(folder, {});
before(() => engine.start());
after(async () => {
  await engine.stop();
  folder.remove();
});

test('a shard whose file is renamed and then removed computes on', async () => {
  const model = goldenModel(GOLDEN_NAMES.find((name) => name === 'llama')!);
  const modelId = await folder.write(model);
  const [prompt] = model.prompts;
  const request = new ShardedRequest(engine, modelId, model.layers, 2, 'moved');
  let id = greedy(await request.step(prompt!.tokens));
  const file = path.join(folder.directory, modelId, 'model.safetensors');
  const away = [() => renameSync(file, `${file}.moved`), () => rmSync(`${file}.moved`)];
  for (const known of prompt!.ids.slice(0, 6)) {
    assert.equal(id, known);
    away.shift()?.();
    id = greedy(await request.step([id]));
  }
  request.release();
});
