/** Groups of requests that take turns: what a group computes is what each of its requests computes alone, and no step builds its graph anew. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SequenceCache } from '../../../src/inference/engines/ggml/cache/sequence-cache.js';
import { type Device, openDevice } from '../../../src/inference/engines/ggml/library/index.js';
import { Shard } from '../../../src/inference/engines/ggml/shard.js';
import { TINY_MODELS, tinyModel } from './tiny-models.js';

const PROMPT = [3, 17, 99, 4, 4, 28, 150, 77, 5, 61, 12, 140, 8, 9, 33, 2, 7, 21, 40];
const STEPS = 6;
const ERROR_MAX = 1e-4;

const model = tinyModel(TINY_MODELS[0]!);
let opened: Device;
/** The same, and how many graphs were built on it. */
let device: Device;
let built = 0;
before(async () => {
  opened = await openDevice({ device: 'cpu', threads: 1, quiet: true });
  const { ggml } = opened;
  const { ggml_new_graph_custom: build } = ggml;
  const counted = (...args: Parameters<typeof build>) => {
    built += 1;
    return build(...args);
  };
  const functions = { ...ggml, ggml_new_graph_custom: Object.assign(counted, { async: build.async }) };
  device = { ...opened, ggml: functions };
});
after(() => {
  opened.close();
  model.remove();
});

/** One shard with all layers, and requests on it that have had their prompt. */
class Requests {
  readonly shard = new Shard(
    device,
    {
      architecture: model.architecture,
      tensors: model.tensors,
      startLayer: 0,
      endLayer: model.layers - 1,
    },
    { cacheType: 'auto', quantisation: 'none' },
  );
  readonly #caches: SequenceCache[] = [];

  async open(tokens: readonly number[]): Promise<SequenceCache> {
    const cache = new SequenceCache(device, this.shard.cacheShape);
    cache.grow(256);
    this.#caches.push(cache);
    await this.step([cache], tokens);
    return cache;
  }

  /** The same tokens for all of a group. */
  step(group: readonly SequenceCache[], tokens: readonly number[]) {
    const hidden = this.shard.embed(tokens);
    return this.shard.step(
      group.map((cache) => ({ cache, sequence: tokens.length, wantsLogits: true, hidden })),
    );
  }

  close(): void {
    for (const cache of this.#caches) cache.close();
    this.shard.close();
  }
}

/** Logits of a request that is alone, by step. */
async function alone(): Promise<Float32Array[]> {
  const requests = new Requests();
  const cache = await requests.open(PROMPT);
  const all: Float32Array[] = [];
  for (let step = 0; step < STEPS; step += 1) all.push((await requests.step([cache], [step + 1]))[0]!);
  requests.close();
  return all;
}

function assertEqual(all: readonly (Float32Array | undefined)[], expected: Float32Array): void {
  for (const logits of all) {
    const error = logits!.reduce((worst, value, at) => Math.max(worst, Math.abs(value - expected[at]!)), 0);
    assert.ok(error <= ERROR_MAX, `error ${error}`);
  }
}

test('groups that take turns have their graphs built once, also beside prompts, and right logits', async () => {
  const expected = await alone();
  const requests = new Requests();
  const members: SequenceCache[] = [];
  for (let count = 0; count < 8; count += 1) members.push(await requests.open(PROMPT));
  const groups = [members.slice(0, 3), members.slice(3, 4), members.slice(4, 6), members.slice(6)];
  for (const [step, logits] of expected.entries()) {
    const before = built;
    for (const group of groups) assertEqual(await requests.step(group, [step + 1]), logits);
    assert.equal(built - before, step === 0 ? groups.length : 0, `step ${step}`);
    // It has another place, and does not cost the groups theirs.
    await requests.open(PROMPT);
  }
  requests.close();
});

test('more groups than graphs are kept compute the same, and so do requests whose caches have grown', async () => {
  const expected = await alone();
  const requests = new Requests();
  const members: SequenceCache[] = [];
  for (let count = 0; count < 7; count += 1) members.push(await requests.open(PROMPT));
  for (const [step, logits] of expected.entries()) {
    for (const member of members) assertEqual(await requests.step([member], [step + 1]), logits);
    if (step === 2) for (const member of members.slice(3)) member.grow(512);
  }
  requests.close();
});
