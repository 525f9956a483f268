/**
 * What every inference engine does, whatever computes in it. An engine's test calls this with its own name, a maker and
 * a model that it can run; shards and tokens come from there, nothing here knows a particular model.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ForwardResult, InferenceEngine } from '../../src/inference/index.js';
import type { Shard } from '../../src/protocol/index.js';

export interface EngineUnderTest {
  readonly engine: InferenceEngine;
  readonly modelId: string;
  readonly layers: number;
}

/** Tokens of each generation; short, because real engines run this too. */
const TOKENS = 6;
const never = new AbortController().signal;

export function engineSuite(name: string, makeEngine: () => Promise<EngineUnderTest>): void {
  const withEngine = (title: string, body: (under: EngineUnderTest) => Promise<void>) =>
    test(`${name} engine ${title}`, async () => {
      const under = await makeEngine();
      await under.engine.start();
      try {
        await body(under);
      } finally {
        await under.engine.stop();
      }
    });

  describe(`${name} engine`, () => {
    withEngine('loads a shard again without harm', async ({ engine, modelId, layers }) => {
      const [shard] = split(modelId, layers, 1);
      await engine.load(shard!, never);
      await Promise.all([engine.load(shard!, never), engine.load(shard!, never)]);
      assert.equal((await generate(engine, [shard!], 'r')).length, TOKENS);
    });

    withEngine('refuses an unknown model', async ({ engine, layers }) => {
      const shard = { modelId: 'no-such-model', startLayer: 0, endLayer: layers - 1, nLayers: layers };
      await assert.rejects(engine.load(shard, never), { code: 'model-unknown' });
      await assert.rejects(engine.tokenizer('no-such-model', never), { code: 'model-unknown' });
    });

    withEngine('refuses layers that the model does not have', async ({ engine, modelId, layers }) => {
      for (const [startLayer, endLayer, nLayers] of [
        [0, layers, layers],
        [-1, 0, layers],
        [2, 1, layers],
        [0, layers, layers + 1],
        [0, 0.5, layers],
      ] as const) {
        await assert.rejects(engine.load({ modelId, startLayer, endLayer, nLayers }, never), {
          code: 'engine-failed',
        });
      }
    });

    withEngine('gives the same tokens solo and split', async ({ engine, modelId, layers }) => {
      const solo = await generate(engine, split(modelId, layers, 1), 'solo');
      for (let parts = 2; parts <= Math.min(layers, 5); parts += 1) {
        const tokens = await generate(engine, split(modelId, layers, parts), `split-${parts}`);
        assert.deepEqual(tokens, solo, `${parts} shards`);
      }
    });

    withEngine('gives the same tokens where only the likeliest is asked for', async (opened) => {
      const { engine, modelId, layers } = opened;
      const shards = split(modelId, layers, Math.min(2, layers));
      const solo = await generate(engine, shards, 'solo');
      assert.deepEqual(await generate(engine, shards, 'greedy', true), solo);
    });

    withEngine('keeps requests apart that run at once', async ({ engine, modelId, layers }) => {
      const shards = split(modelId, layers, Math.min(2, layers));
      const solo = await generate(engine, shards, 'solo');
      const ids = Array.from({ length: 8 }, (_, index) => `r${index}`);
      const all = await Promise.all(ids.map((id) => generate(engine, shards, id)));
      for (const tokens of all) assert.deepEqual(tokens, solo);
    });

    withEngine('begins a released request anew', async ({ engine, modelId, layers }) => {
      const shards = split(modelId, layers, 1);
      engine.release('never-seen');
      const first = await generate(engine, shards, 'r');
      engine.release(cacheOf('r', shards[0]!));
      engine.release(cacheOf('r', shards[0]!));
      assert.deepEqual(await generate(engine, shards, 'r'), first);
    });

    withEngine(
      'rejects a cancelled step and serves the next request',
      async ({ engine, modelId, layers }) => {
        const [shard] = split(modelId, layers, 1);
        const tokenizer = await engine.tokenizer(modelId, never);
        const input = { kind: 'tokens', tokens: await tokenizer.encode('hello') } as const;
        const abort = new AbortController();
        const step = engine.forward({
          requestId: 'c',
          shard: shard!,
          input,
          position: 0,
          signal: abort.signal,
        });
        abort.abort();
        await assert.rejects(step, { code: 'request-cancelled' });
        engine.release('c');
        assert.equal((await generate(engine, [shard!], 'd')).length, TOKENS);
      },
    );

    withEngine('refuses input that is none', async ({ engine, modelId, layers }) => {
      const [solo] = split(modelId, layers, 1);
      const [, second] = split(modelId, layers, 2);
      const base = { requestId: 'bad', position: 0, signal: never };
      const hidden = { shape: [1, 3], dtype: 'float32', data: Buffer.alloc(4) } as const;
      const step = (shard: Shard, input: Parameters<InferenceEngine['forward']>[0]['input']) =>
        engine.forward({ ...base, shard, input });
      await assert.rejects(step(solo!, { kind: 'tokens', tokens: [] }), { code: 'tensor-invalid' });
      await assert.rejects(step(second!, { kind: 'hidden', hidden }), { code: 'tensor-invalid' });
      await assert.rejects(step(second!, { kind: 'tokens', tokens: [1] }), { code: 'engine-failed' });
      engine.release('bad');
      assert.equal((await generate(engine, [solo!], 'good')).length, TOKENS);
    });

    withEngine('chooses no token from NaN', async ({ engine }) => {
      const data = Buffer.alloc(4);
      data.writeFloatLE(Number.NaN);
      assert.throws(
        () =>
          engine.sample({ shape: [1], dtype: 'float32', data }, { temperature: 0 }, { seed: 0, index: 0 }),
        {
          code: 'engine-failed',
        },
      );
    });

    withEngine('says what it can do for a model, also when it has computed it', async (under) => {
      const { engine, modelId, layers } = under;
      for (const requestId of ['first', 'second']) {
        const profile = await engine.profile(modelId, never);
        assert.equal(profile.layers.length, layers);
        for (const rate of [profile.memoryBytes, profile.bytesPerS, profile.multiplyAddsPerS])
          assert.ok(Number.isFinite(rate) && rate > 0, `${rate}`);
        for (const cost of profile.layers)
          for (const value of Object.values(cost)) assert.ok(Number.isSafeInteger(value) && value >= 0);
        await generate(engine, split(modelId, layers, 1), requestId);
      }
      await assert.rejects(engine.profile('no-such-model', never), { code: 'model-unknown' });
    });

    withEngine('has a tokenizer with an end and a template', async ({ engine, modelId }) => {
      const tokenizer = await engine.tokenizer(modelId, never);
      assert.ok(tokenizer.eosTokenIds.size > 0, 'an end');
      const chat = [{ role: 'user', content: 'hello' }] as const;
      const prompt = await tokenizer.applyChatTemplate(chat);
      assert.equal(await tokenizer.applyChatTemplate(chat), prompt);
      assert.ok((await tokenizer.encode(prompt)).length > 0, 'tokens');
    });

    withEngine('refuses work after its stop', async ({ engine, modelId, layers }) => {
      const [shard] = split(modelId, layers, 1);
      await engine.stop();
      await engine.stop();
      await assert.rejects(generate(engine, [shard!], 'r'), { code: 'engine-failed' });
    });
  });
}

/** Even shards of a model. */
export function split(modelId: string, layers: number, parts: number): Shard[] {
  return Array.from({ length: parts }, (_, part) => ({
    modelId,
    startLayer: Math.floor((part * layers) / parts),
    endLayer: Math.floor(((part + 1) * layers) / parts) - 1,
    nLayers: layers,
  }));
}

/** The request as one shard knows it: each shard of a split has its own cache, as if on its own node. */
function cacheOf(requestId: string, shard: Shard): string {
  return `${requestId}/${shard.startLayer}`;
}

async function generate(
  engine: InferenceEngine,
  shards: readonly Shard[],
  requestId: string,
  isGreedy = false,
): Promise<number[]> {
  const tokens: number[] = [];
  const tokenizer = await engine.tokenizer(shards[0]!.modelId, never);
  let next: readonly number[] = await tokenizer.encode(
    await tokenizer.applyChatTemplate([{ role: 'user', content: 'hi' }]),
  );
  let position = 0;
  while (tokens.length < TOKENS) {
    let output: ForwardResult | undefined;
    for (const shard of shards) {
      const input =
        output === undefined
          ? ({ kind: 'tokens', tokens: next } as const)
          : ({ kind: 'hidden', hidden: hiddenOf(output) } as const);
      await engine.load(shard, never);
      output = await engine.forward({
        requestId: cacheOf(requestId, shard),
        shard,
        input,
        position,
        signal: never,
        isGreedy,
      });
    }
    const token = tokenOf(engine, output!, isGreedy, tokens.length);
    tokens.push(token);
    position += next.length;
    next = [token];
  }
  return tokens;
}

/** The likeliest token; an engine chooses it only where it was asked to. */
function tokenOf(engine: InferenceEngine, output: ForwardResult, isGreedy: boolean, index: number): number {
  if (output.kind === 'token') {
    assert.ok(isGreedy);
    return output.token;
  }
  assert.equal(output.kind, 'logits');
  if (output.kind !== 'logits') throw new Error('no logits');
  return engine.sample(output.logits, { temperature: 0 }, { seed: 0, index }).token;
}

function hiddenOf(output: ForwardResult) {
  assert.equal(output.kind, 'hidden');
  if (output.kind !== 'hidden') throw new Error('not hidden');
  return output.hidden;
}
