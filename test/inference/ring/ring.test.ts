import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createEngine,
  type GeneratedToken,
  type Generation,
  type GenerationRequest,
} from '../../../src/inference/index.js';
import type { TensorRequest } from '../../../src/protocol/index.js';
import { RingNet, type RingNetOptions } from '../../support/ring-net.js';
import { WatchedEngine } from '../../support/watched-engine.js';

const TOKENS = [2, 3, 4, 5, 6, 7, 8, 9, 10, 69];
const IDS = ['a', 'b', 'c', 'd', 'e'];
const ask: GenerationRequest = { messages: [{ role: 'user', content: 'hello' }] };
const never = new AbortController().signal;

async function withNet(options: RingNetOptions, body: (net: RingNet) => Promise<void>): Promise<void> {
  // What happens to one attempt; how an answer is taken up is in generation-recovery.test.ts.
  const net = new RingNet({ ...options, generations: { recovery: false } });
  try {
    await body(net);
  } finally {
    await net.stop();
  }
  assertFree(net);
}

async function read(generation: Generation): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  for await (const token of generation.tokens) tokens.push(token);
  return tokens;
}

/** The whole answer of a question to one node. */
function answer(net: RingNet, id: string, request: GenerationRequest = ask) {
  return net.run(
    (async () => {
      const generation = await net.node(id).generations.start(request);
      const tokens = await read(generation);
      return { tokens, generation, ...(await generation.result) };
    })(),
  );
}

function assertDummy(got: Awaited<ReturnType<typeof answer>>): void {
  assert.deepEqual(
    got.tokens,
    TOKENS.map((token, index) => ({ token, index, text: 'dummy' })),
  );
  assert.equal(got.generation.promptTokens, 1);
  assert.equal(got.completionTokens, 10);
  assert.equal(got.finishReason, 'stop');
}

function assertFree(net: RingNet): void {
  for (const { id, ring, generations } of net.nodes()) {
    assert.equal(ring.size, 0, `requests on ${id}`);
    assert.equal(generations.size, 0, `generations on ${id}`);
  }
}

for (const count of [1, 2, 3, 5]) {
  test(`ring of ${count} gives the same answer from whichever node is asked`, async () => {
    await withNet({ ids: IDS.slice(0, count), seed: count }, async (net) => {
      for (const id of IDS.slice(0, count)) {
        assertDummy(await answer(net, id));
        await net.clock.advance(100);
        assertFree(net);
      }
      assert.equal(net.clock.pending, 0, 'no timer is left');
    });
  });
}

test('ring of one needs no network but statuses to nobody', async () => {
  await withNet({ ids: ['a'] }, async (net) => {
    assertDummy(await answer(net, 'a'));
    assert.deepEqual(net.sent, []);
  });
});

test('ring sends one tensor per hop and token, and each result only to the node that serves the client', async () => {
  await withNet({ ids: ['a', 'b', 'c'] }, async (net) => {
    assertDummy(await answer(net, 'b'));
    const count = (kind: string) => net.sent.filter(({ message }) => message.kind === kind).length;
    assert.equal(count('prompt'), 1);
    assert.equal(count('tensor-request'), 10 * 2 + 9);
    assert.equal(count('result'), 10);
    const results = net.sent.filter(({ message }) => message.kind === 'result');
    assert.ok(
      results.every(({ from, to }) => from === 'c' && to === 'b'),
      'only from c to b',
    );
  });
});

test('ring restores the order of results that overtake each other', async () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    await withNet({ ids: ['a', 'b'], reorder: true, seed }, async (net) =>
      assertDummy(await answer(net, 'a')),
    );
  }
});

test('ring answers a node that holds no layer', async () => {
  await withNet({ ids: ['a', 'b', 'c'], outside: ['c'] }, async (net) => assertDummy(await answer(net, 'c')));
});

test('ring keeps 20 concurrent generations apart', async () => {
  await withNet({ ids: ['a', 'b', 'c'], seed: 20 }, async (net) => {
    const ids = Array.from({ length: 20 }, (_, index) => IDS[index % 3]!);
    const started = ids.map(async (id) => {
      const generation = await net.node(id).generations.start(ask);
      const tokens = await read(generation);
      return { tokens, generation, ...(await generation.result) };
    });
    for (const got of await net.run(Promise.all(started))) assertDummy(got);
  });
});

for (const place of [0, 1, 2]) {
  test(`ring with an old peer at place ${place} answers whoever is asked`, async () => {
    const old = IDS[place]!;
    await withNet({ ids: ['a', 'b', 'c'], legacy: [old], seed: 7 + place }, async (net) => {
      for (const { id } of net.nodes()) assertDummy(await answer(net, id));
      net.legacy(old).ask('old-1');
      await net.clock.advance(2_000);
      assert.deepEqual(net.legacy(old).results.get('old-1'), TOKENS);
      assert.ok(net.legacy(old).finished.has('old-1'), 'the old peer hears the end');
      assertFree(net);
    });
  });
}

test('ring with an old first member that makes more tokens of a prompt gives as many as were asked for', async () => {
  await withNet({ ids: ['o', 'b', 'c'], legacy: ['o'], legacyPromptTokens: 3 }, async (net) => {
    const answerOf = async (id: string) => {
      const generation = await net.node(id).generations.start({ ...ask, maxTokens: 3 });
      return { tokens: await read(generation), ...(await generation.result) };
    };
    for (const id of ['b', 'c']) {
      const { tokens, finishReason } = await net.run(answerOf(id));
      assert.equal(tokens.length, 3, id);
      assert.equal(finishReason, 'length');
    }
  });
});

test('ring answers an old peer that holds no layer', async () => {
  await withNet({ ids: ['a', 'b', 'o'], legacy: ['o'], outside: ['o'] }, async (net) => {
    net.legacy('o').ask('old-1');
    net.legacy('o').ask('old-2');
    await net.clock.advance(2_000);
    for (const id of ['old-1', 'old-2']) assert.deepEqual(net.legacy('o').results.get(id), TOKENS);
    assertFree(net);
  });
});

function failingAt(node: string, step: number, error: Error): Partial<RingNetOptions> {
  return {
    engine: (id) =>
      new WatchedEngine(createEngine('dummy'), {
        beforeForward: (at) => {
          if (id === node && at === step) throw error;
        },
      }),
  };
}

for (const node of ['a', 'b', 'c']) {
  test(`ring tells the client of an engine that fails on ${node} in mid-answer`, async () => {
    await withNet(
      { ids: ['a', 'b', 'c'], ...failingAt(node, 3, new Error('out of memory')) },
      async (net) => {
        for (const entry of ['a', 'b', 'c']) {
          const got = answer(net, entry);
          if (entry === 'a') await assert.rejects(got, { code: 'engine-failed', message: 'out of memory' });
          else assertDummy(await got);
          await net.clock.advance(100);
          assertFree(net);
        }
      },
    );
  });
}

test('ring tells a new entry node of a failure behind an old peer, and an old entry node that it is over', async () => {
  const options = { ids: ['a', 'o', 'c'], legacy: ['o'], ...failingAt('c', 2, new Error('no memory')) };
  await withNet(options, async (net) => {
    await assert.rejects(answer(net, 'a'), { code: 'engine-failed', message: 'no memory' });
  });
  await withNet(options, async (net) => {
    net.legacy('o').ask('old-1');
    await net.clock.advance(2_000);
    assert.deepEqual(net.legacy('o').results.get('old-1'), [2, 3]);
    assert.ok(net.legacy('o').finished.has('old-1'), 'the old peer hears the end');
    assertFree(net);
  });
});

test('ring frees a cancelled request on every node, and late tensors do not revive it', async () => {
  const engines = new Map<string, WatchedEngine>();
  const engine = (id: string) => {
    const watched = new WatchedEngine(createEngine('dummy'));
    engines.set(id, watched);
    return watched;
  };
  await withNet({ ids: ['a', 'b', 'c'], engine }, async (net) => {
    const late: TensorRequest[] = [];
    net.filter = ({ message }) => {
      if (message.kind === 'tensor-request') {
        late.push({ ...message, tensor: { ...message.tensor, data: Buffer.from(message.tensor.data) } });
      }
      return true;
    };
    const id = await net.run(
      (async () => {
        const generation = await net.node('b').generations.start(ask);
        for await (const { index } of generation.tokens) if (index === 2) break;
        await assert.rejects(generation.result, { code: 'request-cancelled' });
        return generation.requestId;
      })(),
    );
    await net.clock.advance(100);
    assertFree(net);
    const steps = [...engines.values()].map((watched) => watched.steps.length);
    for (const watched of engines.values()) assert.ok(watched.released.includes(id), 'the cache is freed');
    for (const message of late) {
      const target = net.members('dummy', 8).find((m) => m.shard.startLayer === message.shard.startLayer);
      const revived = net.node(target!.nodeId).ring.onTensor(message, 'a', never);
      await assert.rejects(revived, { code: 'request-cancelled' });
    }
    await net.clock.advance(1_000);
    assert.deepEqual(
      [...engines.values()].map((watched) => watched.steps.length),
      steps,
    );
    assertFree(net);
  });
});

test('ring stops the zombie of a cancelled request behind an old peer', async () => {
  await withNet({ ids: ['a', 'o', 'c'], legacy: ['o'] }, async (net) => {
    const abort = new AbortController();
    await net.run(
      (async () => {
        const generation = await net.node('a').generations.start({ ...ask, signal: abort.signal });
        const reading = (async () => {
          for await (const { index } of generation.tokens) if (index === 1) abort.abort();
        })();
        await assert.rejects(reading, { code: 'request-cancelled' });
      })(),
    );
    await net.clock.advance(1_000);
    assertFree(net);
    const before = net.sent.length;
    await net.clock.advance(1_000);
    assert.equal(net.sent.length, before, 'nothing moves any more');
  });
});

test('ring fails at once when a member is lost, and the others drop it', async () => {
  for (const lost of ['a', 'c']) {
    await withNet({ ids: ['a', 'b', 'c', 'd'] }, async (net) => {
      const error = await net.run(
        (async () => {
          const generation = await net.node('b').generations.start(ask);
          let lostMs = 0;
          try {
            for await (const { index } of generation.tokens) {
              if (index !== 2) continue;
              lostMs = net.clock.now();
              net.lose(lost);
            }
          } catch (cause) {
            assert.ok(net.clock.now() - lostMs <= 10, 'at once');
            return cause;
          }
          return undefined;
        })(),
      );
      assert.equal((error as { code?: string }).code, 'peer-lost');
      await net.clock.advance(100);
      for (const { id, ring } of net.nodes()) if (id !== lost) assert.equal(ring.size, 0, id);
    });
  }
});

test('ring members drop the requests of an entry node that is lost', async () => {
  await withNet({ ids: ['a', 'b', 'c'], outside: ['c'] }, async (net) => {
    const generation = await net.run(net.node('c').generations.start(ask));
    net.lose('c');
    await net.clock.advance(100);
    for (const id of ['a', 'b']) assert.equal(net.node(id).ring.size, 0, id);
    generation.cancel();
  });
});

test('ring tells an entry node that one member alone has lost, through the others, wherever the request is then', async () => {
  for (const member of ['b', 'c', 'd']) {
    for (const laterMs of [0, 5, 10, 15, 20, 25, 30]) {
      await withNet({ ids: ['a', 'b', 'c', 'd'] }, async (net) => {
        const generation = await net.run(net.node('a').generations.start(ask));
        // With a token the client's answer has begun: it is not asked again behind its back.
        const tokens = generation.tokens[Symbol.asyncIterator]();
        await net.run(tokens.next());
        const reading = (async () => {
          while ((await tokens.next()).done !== true);
        })();
        reading.catch(() => undefined);
        await net.clock.advance(laterMs);
        const before = net.sent.length;
        net.part(member, 'a');
        await net.clock.advance(60);
        for (const { id, ring } of net.nodes())
          assert.equal(ring.size, 0, `${id}, ${member} ${laterMs} ms later`);
        await assert.rejects(net.run(reading), { code: 'peer-lost', message: new RegExp(`node ${member} `) });
        const results = net.sent.slice(before).filter(({ message }) => message.kind === 'result');
        assert.ok(results.length <= 8, `${results.length} results`);
      });
    }
  }
});

test('ring passes back what one member says of a lost entry node only for members of that ring', async () => {
  await withNet({ ids: ['a', 'b', 'c', 'x'], outside: ['x'] }, async (net) => {
    const generation = await net.run(net.node('a').generations.start(ask));
    const { requestId } = generation;
    await net.clock.advance(20);
    const error = { code: 'peer-lost', message: 'made up' };
    net.node('b').ring.onResult({ kind: 'result', requestId, result: [], isFinished: true, error }, 'x');
    const tokens = await net.run(read(generation));
    assert.deepEqual(
      tokens.map(({ token }) => token),
      TOKENS,
    );
  });
});

test('ring tells the entry node when a member beside the lost one notices it alone', async () => {
  await withNet({ ids: ['a', 'b', 'c'] }, async (net) => {
    const generation = await net.run(net.node('a').generations.start(ask));
    const reading = read(generation);
    reading.catch(() => undefined);
    await net.clock.advance(40);
    net.node('b').ring.onPeerLost('c');
    await assert.rejects(net.run(reading), { code: 'peer-lost' });
  });
});

test('ring refuses a request id that is in use', async () => {
  await withNet({ ids: ['a', 'b'] }, async (net) => {
    const { generations, ring } = net.node('a');
    const first = await net.run(generations.start({ ...ask, requestId: 'same' }));
    await assert.rejects(generations.start({ ...ask, requestId: 'same' }), { code: 'protocol-violation' });
    const shard = { modelId: 'dummy', startLayer: 0, endLayer: 3, nLayers: 8 };
    const prompt = { kind: 'prompt', shard, prompt: 'x', requestId: 'same', inferenceState: null } as const;
    await assert.rejects(ring.onPrompt(prompt, 'b', never), { code: 'protocol-violation' });
    await assert.rejects(ring.onPrompt(prompt, null, never), { code: 'protocol-violation' });
    const tokens = await net.run(read(first));
    assert.deepEqual(
      tokens.map(({ token }) => token),
      TOKENS,
      'the first one goes on',
    );
  });
});

test('ring fails in words when the nodes see different rings', async () => {
  await withNet({ told: false, ids: ['a', 'b'] }, async (net) => {
    net.view = (selfId, members) => {
      const other = members.filter(({ nodeId }) => nodeId !== selfId);
      return [...other, ...members.filter(({ nodeId }) => nodeId === selfId)];
    };
    await assert.rejects(answer(net, 'a'), { code: 'ring-incomplete', message: /agree/ });
  });
  await withNet({ told: false, ids: ['a', 'b'] }, async (net) => {
    net.view = (selfId, members) =>
      selfId === 'a'
        ? members
        : members.map((m) => ({ ...m, shard: { ...m.shard, startLayer: 0, endLayer: 2 } }));
    await assert.rejects(answer(net, 'a'), { code: 'ring-incomplete', message: /layers 0-2.*ask again/ });
  });
});

test('ring frees what an old entry node has forgotten', async () => {
  await withNet({ ids: ['a', 'b', 'o'], legacy: ['o'], outside: ['o'] }, async (net) => {
    net.filter = ({ message }) => message.kind !== 'tensor-request';
    net.legacy('o').ask('r');
    await net.clock.advance(1_000);
    assert.equal(net.node('a').ring.size, 1);
    await net.clock.advance(60_000);
    assertFree(net);
    assert.ok(net.legacy('o').finished.has('r'), 'the old peer hears the end');
  });
});

test('ring refuses tensors that it cannot work on, and keeps nothing of them', async () => {
  await withNet({ ids: ['a', 'b'] }, async (net) => {
    const { ring } = net.node('b');
    const tensor = { shape: [1, 1], dtype: 'int64', data: Buffer.alloc(8) } as const;
    const good: TensorRequest = {
      kind: 'tensor-request',
      shard: { modelId: 'dummy', startLayer: 4, endLayer: 7, nLayers: 8 },
      tensor,
      requestId: 'r',
      inferenceState: null,
      origin: 'a',
      first: true,
    };
    const refused = (change: Partial<TensorRequest>, code: string) =>
      assert.rejects(ring.onTensor({ ...good, ...change }, 'a', never), { code });
    await refused({ shard: { ...good.shard, modelId: 'nope' } }, 'model-unknown');
    await refused({ shard: { ...good.shard, nLayers: 9 } }, 'model-unknown');
    await refused({ shard: { ...good.shard, startLayer: 3 } }, 'ring-incomplete');
    await refused({ tensor: { ...tensor, shape: [2, 1] } }, 'tensor-invalid');
    // One that goes on, where nothing has begun: this node is new under an id that the sender knew.
    const { first: _, ...later } = good;
    await assert.rejects(ring.onTensor(later, 'a', never), {
      code: 'ring-incomplete',
      message: /has changed/,
    });
    await refused({ tensor: { ...tensor, dtype: 'float99' as 'int64' } }, 'tensor-invalid');
    await assert.rejects(ring.onTensor(good, 'a', AbortSignal.abort()), { code: 'request-cancelled' });
    assertFree(net);
    const { origin, ...unnamed } = good;
    const first = { ...unnamed, shard: { ...good.shard, startLayer: 0, endLayer: 3 } };
    const bad = { shape: [1], dtype: 'float32', data: Buffer.from('0000c07f', 'hex') } as const;
    await assert.rejects(net.node('a').ring.onTensor({ ...first, tensor: bad }, origin!, never), {
      code: 'tensor-invalid',
    });
    // A node that has just joined as the first has none of what was computed before: its answer would be wrong.
    await assert.rejects(net.node('a').ring.onTensor({ ...first, origin: 'b' }, 'b', never), {
      code: 'ring-incomplete',
    });
    assertFree(net);
  });
});

test('ring tells everyone when work of an old peer is refused, at a bounded rate', async () => {
  await withNet({ ids: ['a', 'b'] }, async (net) => {
    const shard = { modelId: 'nope', startLayer: 0, endLayer: 0, nLayers: 8 };
    for (let index = 0; index < 50; index += 1) {
      const prompt = {
        kind: 'prompt',
        shard,
        prompt: '',
        requestId: `r${index}`,
        inferenceState: null,
      } as const;
      await assert.rejects(net.node('a').ring.onPrompt(prompt, null, never), { code: 'model-unknown' });
    }
    await net.clock.advance(100);
    const told = net.sent.filter(({ message }) => message.kind === 'result' && message.isFinished);
    assert.equal(told.length, 10);
  });
});

test('ring reports the node that stops to the entry node', async () => {
  await withNet({ ids: ['a', 'b'] }, async (net) => {
    const generation = await net.run(net.node('a').generations.start(ask));
    const reading = read(generation);
    reading.catch(() => undefined);
    await net.clock.advance(30);
    await net.run(net.node('b').ring.stop());
    await assert.rejects(net.run(reading), { code: 'peer-lost', message: /stopping/ });
  });
});

test('ring sends statuses in the original’s form and shows the active node', async () => {
  await withNet({ ids: ['a', 'b'] }, async (net) => {
    const seen: Array<string | null> = [];
    const statuses: unknown[] = [];
    net.filter = ({ message, from, to }) => {
      if (message.kind !== 'opaque-status') return true;
      statuses.push({ from, to, ...JSON.parse(message.status) });
      queueMicrotask(() => seen.push(net.node('a').activeNode.id));
      return true;
    };
    const { generation } = await answer(net, 'b');
    await net.clock.advance(100);
    const [first] = statuses as Array<Record<string, unknown>>;
    assert.deepEqual(first, {
      from: 'b',
      to: 'a',
      type: 'node_status',
      node_id: 'b',
      status: 'start_process_prompt',
      base_shard: { model_id: 'dummy', start_layer: 0, end_layer: 0, n_layers: 8 },
      shard: { model_id: 'dummy', start_layer: 4, end_layer: 7, n_layers: 8 },
      prompt: 'dummy_tokenized_prompt',
      request_id: generation.requestId,
      ring: [
        { node_id: 'a', start_layer: 0, end_layer: 3 },
        { node_id: 'b', start_layer: 4, end_layer: 7 },
      ],
    });
    const ends = (statuses as Array<Record<string, unknown>>).filter(
      ({ status }) => status === 'end_process_prompt',
    );
    assert.deepEqual(ends.map(({ node_id }) => node_id).sort(), ['a', 'b']);
    assert.ok(
      ends.every(({ elapsed_time_ns }) => Number.isInteger(elapsed_time_ns)),
      'whole nanoseconds',
    );
    assert.ok(seen.includes('b'), `a saw ${seen}`);
    for (const { activeNode } of net.nodes()) assert.equal(activeNode.id, null);
  });
});

test('ring loads the own shard when another node begins a prompt', async () => {
  const engines = new Map<string, WatchedEngine>();
  const engine = (id: string) => {
    const watched = new WatchedEngine(createEngine('dummy'));
    engines.set(id, watched);
    return watched;
  };
  await withNet({ ids: ['a', 'b', 'c'], engine }, async (net) => {
    net.filter = ({ message }) => message.kind !== 'tensor-request';
    const generation = await net.run(net.node('a').generations.start(ask));
    await net.clock.advance(100);
    assert.deepEqual(
      engines.get('c')!.loaded.map(({ startLayer }) => startLayer),
      [5],
    );
    generation.cancel();
    await net.clock.advance(100);
    for (const status of [
      '{',
      '[]',
      '{"type":"node_status"}',
      '{"type":"node_status","node_id":7,"status":"start_x"}',
    ]) {
      net.node('a').ring.onStatus({ kind: 'opaque-status', requestId: '', status });
    }
    assert.equal(net.node('a').activeNode.id, null);
  });
});
