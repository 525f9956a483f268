/** What was fetched for a shard alone is a checkpoint for that shard. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { Checkpoint, downloadModel, Hub } from '../../src/models/index.js';
import { systemClock, systemRandom } from '../../src/shared/index.js';
import { startHub } from '../support/fetching.js';

import { Cleanup } from '../support/processes.js';
import { writeRandomCheckpoint } from '../support/random-checkpoint.js';
import '../support/leaks.js';

const never = new AbortController().signal;
const cleanup = new Cleanup();
after(() => cleanup.dispose());

test('a shard that was fetched as ranges of a file opens as a checkpoint: its tensors, the same bytes, and no others', async () => {
  const whole = cleanup.folder();
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: 256,
    intermediate_size: 1024,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: 512,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 128,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  };
  await writeRandomCheckpoint(whole, config as never, { seed: 1, type: 'BF16' });
  const hub = await startHub(cleanup);
  hub.put(
    'mesh/tiny',
    Object.fromEntries(readdirSync(whole).map((name) => [name, readFileSync(path.join(whole, name))])),
  );
  const directory = path.join(cleanup.folder(), 'mesh--tiny');
  const components = { clock: systemClock, random: systemRandom };
  await downloadModel(
    { repository: 'mesh/tiny', directory, parallelMax: 2, shard: { startLayer: 1, endLayer: 2 } },
    { hub: new Hub({ endpoint: hub.endpoint }, components), ...components },
    never,
  );
  const [part, all] = [await Checkpoint.open(directory, never), await Checkpoint.open(whole, never)];
  const names = part.tensorsOf(1, 2);
  assert.deepEqual(names, all.tensorsOf(1, 2));
  const bytesOf = (checkpoint: Checkpoint, name: string) => {
    const { file, offset, bytes } = checkpoint.tensors.get(name)!;
    return readFileSync(file).subarray(offset, offset + bytes);
  };
  for (const name of names) assert.deepEqual(bytesOf(part, name), bytesOf(all, name), name);
  assert.throws(() => part.tensorsOf(0, 1), { code: 'checkpoint-invalid' });
  assert.throws(() => part.tensorsOf(2, 3), { code: 'checkpoint-invalid' });
});
