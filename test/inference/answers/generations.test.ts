import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IncrementalDecoder } from '../../../src/inference/answers/incremental-decoder.js';
import {
  ActiveNode,
  type ChatMessage,
  createEngine,
  type GeneratedToken,
  type Generation,
  type Tokenizer,
} from '../../../src/inference/index.js';
import { ResultOrder } from '../../../src/inference/ring/result-order.js';
import type { Result } from '../../../src/protocol/index.js';
import { LIMITS, seededRandom } from '../../../src/shared/index.js';
import { RingNet, type RingNetOptions } from '../../support/ring-net.js';
import { type EngineHooks, WatchedEngine } from '../../support/watched-engine.js';

const ask = { messages: [{ role: 'user', content: 'hello' }] as const };

const bytesOf = (text: string): readonly number[] => [...Buffer.from(text)];

/** One byte of UTF-8 is one token; 256 is the end. */
const BYTES: Tokenizer = {
  eosTokenIds: new Set([256]),
  encode: async (text) => bytesOf(text),
  decode: (tokens) => Buffer.from(tokens.filter((token) => token < 256)).toString('utf8'),
  applyChatTemplate: async (messages) =>
    messages.map(({ role, content }) => `${role}: ${content}`).join('\n'),
};

interface Watched {
  readonly net: RingNet;
  readonly engines: Map<string, WatchedEngine>;
}

async function withNet(
  options: Omit<RingNetOptions, 'engine'> & { readonly hooks?: EngineHooks },
  body: (watched: Watched) => Promise<void>,
): Promise<void> {
  const engines = new Map<string, WatchedEngine>();
  const engine = (id: string) => {
    const watched = new WatchedEngine(createEngine('dummy'), options.hooks);
    engines.set(id, watched);
    return watched;
  };
  const net = new RingNet({ ...options, engine });
  try {
    await body({ net, engines });
  } finally {
    await net.stop();
  }
  for (const { ring, generations } of net.nodes()) assert.equal(ring.size + generations.size, 0);
}

async function read(generation: Generation): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  for await (const token of generation.tokens) tokens.push(token);
  return tokens;
}

test('generation streams whole characters only, and all of them', async () => {
  const text = 'grüße, 世界 👩‍🚀!';
  const ids = [...bytesOf(text), 256];
  let next = 0;
  await withNet({ ids: ['a'], hooks: { tokenizer: BYTES, sample: () => ids[next++]! } }, async ({ net }) => {
    const generation = await net.run(net.node('a').generations.start(ask));
    const tokens = await net.run(read(generation));
    assert.equal(tokens.map((token) => token.text).join(''), text);
    assert.ok(!tokens.some((token) => token.text.includes('\ufffd')), 'no half characters');
    assert.deepEqual(
      tokens.map(({ token }) => token),
      ids,
    );
    assert.equal(generation.promptTokens, bytesOf('user: hello').length);
    assert.deepEqual(await generation.result, { finishReason: 'stop', completionTokens: ids.length });
  });
});

test('incremental decoder gives the text of any bytes, in any language and broken', () => {
  const random = seededRandom(11);
  for (let round = 0; round < 200; round += 1) {
    const words = ['a', ' ', 'é', '世', '👍🏽', '\ufffd', 'ẞ', '\n'];
    const text = Array.from({ length: 12 }, () => words[Math.floor(random.next() * words.length)]).join('');
    const decoder = new IncrementalDecoder(BYTES);
    const parts = bytesOf(text).map((token) => decoder.push(token));
    assert.equal(parts.join('') + decoder.flush(), text);
  }
  const decoder = new IncrementalDecoder(BYTES);
  const broken = Array.from({ length: 100 }, () => decoder.push(0xff)).join('');
  assert.ok(broken.length > 90, 'bytes that are no text are not held for ever');
  const cut = new IncrementalDecoder(BYTES);
  assert.equal(cut.push(0xe4), '');
  assert.equal(cut.flush(), '\ufffd', 'the end shows what is left');
});

test('generation ends at max tokens with length and frees the ring', async () => {
  await withNet({ ids: ['a', 'b', 'c'] }, async ({ net }) => {
    const generation = await net.run(net.node('b').generations.start({ ...ask, maxTokens: 3 }));
    const tokens = await net.run(read(generation));
    assert.deepEqual(
      tokens.map(({ token }) => token),
      [2, 3, 4],
    );
    assert.deepEqual(await generation.result, { finishReason: 'length', completionTokens: 3 });
    await net.clock.advance(200);
    for (const { ring } of net.nodes()) assert.equal(ring.size, 0);
    const exact = await net.run(net.node('b').generations.start({ ...ask, maxTokens: 10 }));
    assert.equal((await net.run(read(exact))).length, 10);
    assert.equal((await exact.result).finishReason, 'stop');
  });
});

test('generation ends at --max-generate-tokens of the node that samples', async () => {
  await withNet({ ids: ['a', 'b'], ring: { maxGenerateTokens: 4 } }, async ({ net }) => {
    const generation = await net.run(net.node('a').generations.start(ask));
    assert.equal((await net.run(read(generation))).length, 4);
    assert.deepEqual(await generation.result, { finishReason: 'length', completionTokens: 4 });
  });
});

test('generation fails at its deadline', async () => {
  await withNet({ ids: ['a', 'b'], generations: { responseTimeoutMs: 900 } }, async ({ net }) => {
    net.filter = ({ message }) => message.kind !== 'tensor-request';
    const generation = await net.run(net.node('a').generations.start(ask));
    const failure = net.run(read(generation));
    await assert.rejects(failure, { code: 'generation-timeout', message: /0.9 s.*response-timeout/ });
    await assert.rejects(generation.result, { code: 'generation-timeout' });
    assert.ok(net.clock.now() < 1_000, 'not later');
  });
});

test('generation refuses more than the node serves at once', async () => {
  await withNet({ ids: ['a', 'b'] }, async ({ net }) => {
    net.filter = ({ message }) => message.kind !== 'tensor-request';
    const { generations } = net.node('a');
    const all = Array.from({ length: LIMITS.generationsMax }, () => generations.start(ask));
    await assert.rejects(generations.start(ask), { code: 'overloaded', retryable: true });
    for (const generation of await net.run(Promise.all(all))) generation.cancel();
    assert.equal(generations.size, 0);
    net.filter = undefined;
    assert.equal((await net.run(read(await net.run(generations.start(ask))))).length, 10);
  });
});

test('generation cuts a client that does not read', async () => {
  await withNet({ ids: ['a'], hooks: { sample: () => 5 } }, async ({ net }) => {
    const generation = await net.run(net.node('a').generations.start(ask));
    await assert.rejects(net.run(generation.result), { code: 'overloaded', message: /not read/ });
    await assert.rejects(read(generation), { code: 'overloaded' });
    assert.equal(net.node('a').ring.size, 0);
  });
});

test('generation is cancelled by its signal before, during and after', async () => {
  await withNet({ ids: ['a', 'b'] }, async ({ net }) => {
    const { generations } = net.node('b');
    await assert.rejects(generations.start({ ...ask, signal: AbortSignal.abort() }), {
      code: 'request-cancelled',
    });
    const early = new AbortController();
    const starting = net.run(generations.start({ ...ask, signal: early.signal }));
    early.abort();
    await assert.rejects(starting, { code: 'request-cancelled' });
    const late = new AbortController();
    const generation = await net.run(generations.start({ ...ask, signal: late.signal }));
    assert.equal((await net.run(read(generation))).length, 10);
    late.abort();
    generation.cancel();
    assert.equal((await generation.result).finishReason, 'stop');
    await net.clock.advance(200);
  });
});

test('generation carries its temperature to the node that samples, and the default is that node’s', async () => {
  await withNet({ ids: ['a', 'b', 'c'], ring: { defaultTemperature: 0.3 } }, async ({ net, engines }) => {
    await net.run(read(await net.run(net.node('b').generations.start({ ...ask, temperature: 0.7 }))));
    const { sampled } = engines.get('c')!;
    assert.deepEqual(
      sampled,
      Array.from({ length: 10 }, () => ({ temperature: 0.7 })),
    );
    await net.run(read(await net.run(net.node('b').generations.start(ask))));
    assert.deepEqual(sampled.at(-1), { temperature: 0.3 });
  });
});

test('generation counts positions without a gap', async () => {
  await withNet({ ids: ['a', 'b'] }, async ({ net, engines }) => {
    await net.run(read(await net.run(net.node('b').generations.start(ask))));
    for (const { steps } of engines.values()) {
      assert.deepEqual(
        steps.map(({ position }) => position),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      );
    }
  });
});

test('generation puts the system prompt in front only where the conversation has none', async () => {
  const seen: Array<readonly ChatMessage[]> = [];
  const tokenizer: Tokenizer = {
    ...BYTES,
    applyChatTemplate: async (messages) => {
      seen.push(messages);
      return BYTES.applyChatTemplate(messages);
    },
  };
  const generationsOptions = { systemPrompt: 'be brief' };
  await withNet({ ids: ['a'], hooks: { tokenizer }, generations: generationsOptions }, async ({ net }) => {
    const { generations } = net.node('a');
    const encoded = await generations.encode('gpt-4', ask.messages);
    assert.deepEqual(encoded, {
      prompt: 'system: be brief\nuser: hello',
      tokens: bytesOf(encoded.prompt),
    });
    const own: ChatMessage[] = [{ role: 'system', content: 'be long' }, ...ask.messages];
    assert.equal((await generations.encode('dummy', own)).prompt, 'system: be long\nuser: hello');
    assert.equal(seen.length, 2);
  });
});

test('encoding is bounded as a question is: by the context, before the template is asked, and by its client', async () => {
  const asked: Array<number | undefined> = [];
  let rendered = 0;
  const tokenizer: Tokenizer = {
    ...BYTES,
    applyChatTemplate: async (messages) => {
      rendered += 1;
      return BYTES.applyChatTemplate(messages);
    },
    encode: async (text, signal, tokensMax) => {
      signal?.throwIfAborted();
      asked.push(tokensMax);
      return BYTES.encode(text);
    },
  };
  const generationsOptions = { contextTokensMax: 100 };
  await withNet({ ids: ['a'], hooks: { tokenizer }, generations: generationsOptions }, async ({ net }) => {
    const { generations } = net.node('a');
    const many = Array.from({ length: 101 }, () => ask.messages[0]!);
    await assert.rejects(generations.encode('dummy', many), {
      code: 'prompt-too-long',
      message: /100 tokens, and there are 101 messages/,
    });
    assert.equal(rendered, 0);
    await generations.encode('dummy', ask.messages);
    assert.deepEqual(asked, [100]);
    const client = new AbortController();
    client.abort(new Error('the client left'));
    await assert.rejects(generations.encode('dummy', ask.messages, client.signal), {
      code: 'request-cancelled',
    });
  });
});

test('generation refuses unknown models and prompts that no message holds', async () => {
  await withNet({ ids: ['a'] }, async ({ net }) => {
    const { generations } = net.node('a');
    await assert.rejects(generations.start({ ...ask, model: 'llama' }), {
      code: 'model-unknown',
      message: /dummy/,
    });
    const prompt = 'x'.repeat(LIMITS.promptBytesMax + 1);
    await assert.rejects(generations.start({ prompt }), { code: 'prompt-too-long' });
    await assert.rejects(generations.encode('llama', ask.messages), { code: 'model-unknown' });
    assert.equal(generations.size, 0);
    assert.deepEqual(generations.models(), [{ id: 'dummy', name: 'Dummy', nLayers: 8, ready: true }]);
    assert.equal(generations.defaultModel, 'dummy');
  });
});

test('generation that begins after the stop is refused', async () => {
  await withNet({ ids: ['a'] }, async ({ net }) => {
    await net.node('a').generations.stop();
    await assert.rejects(net.node('a').generations.start(ask), { code: 'request-cancelled' });
  });
});

test('result order gives every token once and in order', () => {
  const random = seededRandom(5);
  const result = (index: number): Result => ({
    kind: 'result',
    requestId: 'r',
    result: [index],
    isFinished: false,
    index,
  });
  for (let round = 0; round < 50; round += 1) {
    const order = new ResultOrder();
    const came = Array.from({ length: 30 }, (_, index) => index).sort(() => random.next() - 0.5);
    const read = [...came, ...came].flatMap((index) => order.accept(result(index)).flatMap((r) => r.result));
    assert.deepEqual(
      read,
      Array.from({ length: 30 }, (_, index) => index),
    );
  }
  const order = new ResultOrder();
  const flood = () => {
    for (let index = 1; index <= LIMITS.resultsReorderedMax + 1; index += 1) order.accept(result(index));
  };
  assert.throws(flood, { code: 'protocol-violation' });
});

test('active node is who began last, until the same one ends', () => {
  let changes = 0;
  const active = new ActiveNode(() => {
    changes += 1;
  });
  const apply = (nodeId: string, status: string) => active.apply({ nodeId, status, model: null });
  apply('a', 'start_process_prompt');
  apply('b', 'start_train_example');
  apply('a', 'end_process_prompt');
  assert.equal(active.id, 'b');
  apply('b', 'unknown');
  apply('b', 'end_eval_example');
  assert.equal(active.id, null);
  apply('c', 'start_process_prompt');
  active.clear('c');
  assert.equal(active.id, null);
  assert.equal(changes, 5);
});
