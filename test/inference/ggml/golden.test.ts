/** The engine in its process, held against Hugging Face transformers: every family, every split, batched and not. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { GgmlEngine } from '../../../src/inference/engines/ggml/index.js';
import { promise } from '../../support/promise.js';
import {
  errorOf,
  GOLDEN_NAMES,
  type GoldenPrompt,
  goldenEngine,
  goldenModel,
  greedy,
  ModelFolder,
  ShardedRequest,
} from './golden-models.js';

/** The bound of the issue, for float32. */
const ERROR_MAX = 1e-4;

const folder = new ModelFolder();
// Eleven shards of a model at once. Longrope is computed for the whole length, as the vectors are.
const engine: GgmlEngine = goldenEngine(folder, { shardsMax: 12, contextLength: 80 });
before(() => engine.start());
after(async () => {
  await engine.stop();
  folder.remove();
});

/** Prompt and greedy answer in pieces that end where logits are known; the worst error. */
async function compare(request: ShardedRequest, prompt: GoldenPrompt): Promise<number> {
  let worst = 0;
  const { tokens, ids, logits: known } = prompt;
  let last: Float32Array | undefined;
  for (const at of [...known.keys()].filter((position) => position < tokens.length)) {
    last = await request.step(tokens.slice(request.position, at + 1));
    worst = Math.max(worst, errorOf(last, known.get(at)!));
  }
  if (request.position < tokens.length) last = await request.step(tokens.slice(request.position));
  for (const [index, id] of ids.entries()) {
    assert.equal(greedy(last!), id, `greedy id ${index}`);
    const at = request.position;
    last = await request.step([id]);
    if (known.has(at)) worst = Math.max(worst, errorOf(last, known.get(at)!));
  }
  request.release();
  return worst;
}

/** Largest error of each model that was compared. */
const largest = new Map<string, number>();

for (const name of GOLDEN_NAMES) {
  test(`${name} gives the logits and greedy ids of transformers at 1, 2, 3 and 5 shards, batched and in chunks`, async () => {
    const model = goldenModel(name);
    const modelId = await folder.write(model);
    // All prompts of all splits at once: steps of different requests meet in one run.
    const errors = await Promise.all(
      [1, 2, 3, 5].flatMap((parts) =>
        model.prompts.map(async (prompt, index) => {
          const request = new ShardedRequest(
            engine,
            modelId,
            model.layers,
            parts,
            `${name}-${parts}-${index}`,
          );
          return compare(request, prompt);
        }),
      ),
    );
    assert.ok(Math.max(...errors) <= ERROR_MAX, `largest error ${Math.max(...errors)}`);
    largest.set(name, Math.max(...errors));
  });
}

test('R1 every model that has vectors was compared', (t) => {
  assert.deepEqual([...largest.keys()], GOLDEN_NAMES);
  const [worst, error] = [...largest].reduce((a, b) => (b[1] > a[1] ? b : a));
  promise(
    t,
    'R1',
    `${largest.size} models at 1, 2, 3 and 5 shards, batched and in chunks: largest error ${error.toExponential(1)} (${worst}), all greedy ids equal`,
  );
});
