/** What a shard computes, held against the definition: every property of every family, at every split. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SequenceCache } from '../../../src/inference/engines/ggml/cache/sequence-cache.js';
import { type Device, openDevice } from '../../../src/inference/engines/ggml/library/index.js';
import { Shard, type StepInput } from '../../../src/inference/engines/ggml/shard.js';
import { referenceLogits } from '../../support/reference-model.js';
import { TINY_MODELS, type TinyModel, tinyModel } from './tiny-models.js';

/** The bound of the issue, for float32. */
const ERROR_MAX = 1e-4;
const PROMPT = [3, 17, 99, 4, 4, 28, 150, 77, 5, 61, 12, 140, 8];
const ANSWER = 6;

let device: Device;
before(async () => {
  device = await openDevice({ device: 'cpu', threads: 1, quiet: true });
});
after(() => device.close());

/** A split of a model, with a cache per shard and request. */
class Split {
  readonly shards: readonly Shard[];

  constructor(model: TinyModel, parts: number) {
    this.shards = Array.from(
      { length: parts },
      (_, part) =>
        new Shard(
          device,
          {
            architecture: model.architecture,
            tensors: model.tensors,
            startLayer: Math.floor((part * model.layers) / parts),
            endLayer: Math.floor(((part + 1) * model.layers) / parts) - 1,
          },
          { cacheType: 'auto', quantisation: 'none' },
        ),
    );
  }

  /** Caches of a new request. */
  open(positions = 256): SequenceCache[] {
    return this.shards.map((shard) => {
      const cache = new SequenceCache(device, shard.cacheShape);
      cache.grow(positions);
      return cache;
    });
  }

  /** Tokens of several requests in one step through all shards: logits of each last token. */
  async step(requests: readonly { caches: readonly SequenceCache[]; tokens: readonly number[] }[]) {
    let hidden = requests.map(({ tokens }) => this.shards[0]!.embed(tokens));
    for (const [index, shard] of this.shards.entries()) {
      const inputs = requests.map(
        ({ caches, tokens }, at): StepInput => ({
          cache: caches[index]!,
          sequence: tokens.length,
          wantsLogits: shard.isLast,
          hidden: hidden[at]!,
        }),
      );
      hidden = (await shard.step(inputs)).map((values) => values!);
    }
    return hidden;
  }

  close(): void {
    for (const shard of this.shards) shard.close();
  }
}

function errorOf(logits: Float32Array, expected: Float64Array): number {
  return logits.reduce((worst, value, index) => Math.max(worst, Math.abs(value - expected[index]!)), 0);
}

function greedy(logits: ArrayLike<number>): number {
  let best = 0;
  for (let index = 1; index < logits.length; index += 1) if (logits[index]! > logits[best]!) best = index;
  return best;
}

/** Tokens and logits by the definition. */
function expectedAnswer(model: TinyModel): { tokens: number[]; logits: Float64Array[] } {
  const tokens: number[] = [];
  const logits: Float64Array[] = [];
  for (let count = 0; count < ANSWER; count += 1) {
    const last = referenceLogits(model.architecture, model.read, [...PROMPT, ...tokens]).at(-1)!;
    logits.push(last);
    tokens.push(greedy(last));
  }
  return { tokens, logits };
}

for (const name of TINY_MODELS) {
  describe(name, () => {
    const model = tinyModel(name);
    after(() => model.remove());
    const expected = expectedAnswer(model);

    for (const parts of [1, 2, 3, 5]) {
      test(`${name}: logits at ${parts} shards are those of the definition`, async () => {
        const split = new Split(model, parts);
        const caches = split.open();
        let next: readonly number[] = PROMPT;
        for (const [index, token] of expected.tokens.entries()) {
          const [logits] = await split.step([{ caches, tokens: next }]);
          const error = errorOf(logits!, expected.logits[index]!);
          assert.ok(error <= ERROR_MAX, `token ${index}: error ${error}`);
          assert.equal(greedy(logits!), token);
          next = [token];
        }
        for (const cache of caches) cache.close();
        split.close();
      });
    }

    test(`${name}: a prompt in chunks and requests in one step change nothing`, async () => {
      const split = new Split(model, 2);
      const [one, two, three] = [split.open(), split.open(), split.open()];
      await split.step([{ caches: one, tokens: PROMPT.slice(0, 5) }]);
      await split.step([
        { caches: two, tokens: PROMPT.slice(0, 1) },
        { caches: one, tokens: PROMPT.slice(5, 12) },
        { caches: three, tokens: PROMPT.slice(0, 12) },
      ]);
      await split.step([{ caches: two, tokens: PROMPT.slice(1, 12) }]);
      let next = PROMPT.slice(12);
      for (const [index, token] of expected.tokens.entries()) {
        // A cache that grows keeps what it holds.
        if (index === 2) for (const cache of two) cache.grow(512);
        const all = await split.step([one, two, three].map((caches) => ({ caches, tokens: next })));
        for (const logits of all) {
          const error = errorOf(logits, expected.logits[index]!);
          assert.ok(error <= ERROR_MAX, `token ${index}: error ${error}`);
        }
        next = [token];
      }
      for (const cache of [one, two, three].flat()) cache.close();
      split.close();
    });
  });
}
