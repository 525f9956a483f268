/** Rings that the entry node decides on, over a net of real rings: offers, placements, and what is told to whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createEngine,
  type EngineProfile,
  type GenerationRequest,
  type InferenceEngine,
  type Placement,
} from '../../../src/inference/index.js';
import { RingPlanner } from '../../../src/inference/planner/index.js';
import type { RingPort } from '../../../src/inference/ring/ring-port.js';
import type { Prompt, TensorRequest } from '../../../src/protocol/index.js';
import { ExoError, LIMITS, VirtualClock } from '../../../src/shared/index.js';
import { RingNet, type RingNetOptions } from '../../support/ring-net.js';

const TOKENS = [2, 3, 4, 5, 6, 7, 8, 9, 10, 69];
const LAYERS = 8;

/** The dummy engine, with a profile of equal layers of 1 MB and a head. */
function measured({
  memoryMb = 1_000,
  mbPerS = 1_000,
  fault = undefined as ExoError | undefined,
} = {}): InferenceEngine {
  const engine = createEngine('dummy');
  const profile: EngineProfile = {
    memoryBytes: memoryMb * 1e6,
    bytesPerS: mbPerS * 1e6,
    multiplyAddsPerS: mbPerS * 1e7,
    layers: Array.from({ length: LAYERS }, () => ({ weightBytes: 1e6, multiplyAdds: 5e5, cacheBytes: 0 })),
  };
  engine.profile = async () => {
    if (fault !== undefined) throw fault;
    return profile;
  };
  return engine;
}

async function withNet(options: RingNetOptions, body: (net: RingNet) => Promise<void>): Promise<void> {
  const net = new RingNet(options);
  try {
    await body(net);
    await net.clock.advance(1_000);
    for (const id of net.here) assert.equal(net.node(id).ring.size, 0, `requests on ${id}`);
  } finally {
    await net.stop();
  }
  assert.equal(net.clock.pending, 0, 'no timer is left');
}

/** The answer, and `a 0-3, b 4-7`: where it was computed. */
async function ask(net: RingNet, id: string, placement?: Placement) {
  const request: GenerationRequest = {
    messages: [{ role: 'user', content: 'hello' }],
    ...(placement === undefined ? {} : { placement }),
  };
  const work = (async () => {
    const generation = await net.node(id).generations.start(request);
    const tokens: number[] = [];
    for await (const { token } of generation.tokens) tokens.push(token);
    return { tokens, plan: generation.plan };
  })();
  const { tokens, plan } = await net.run(work);
  assert.deepEqual(tokens, TOKENS);
  const ring = plan?.ring?.map(({ nodeId, shard }) => `${nodeId} ${shard.startLayer}-${shard.endLayer}`);
  return { ring: ring?.join(', '), plan };
}

const sizes: Readonly<Record<string, number>> = { a: 6, b: 5, c: 20 };

test('planner keeps an answer on one node where a split would be slower', async () => {
  await withNet({ ids: ['a', 'b'], engine: () => measured() }, async (net) => {
    const { ring, plan } = await ask(net, 'b');
    assert.equal(ring, 'b 0-7');
    assert.match(plan!.reason, /split would be slower/);
    assert.ok(plan!.prediction!.tokensPerS > 50);
    assert.equal(net.sent.filter(({ message }) => message.kind === 'tensor-request').length, 0);
  });
});

test('planner sends it to a node that is faster, and over two where none has the memory', async () => {
  const speeds: Readonly<Record<string, number>> = { a: 100, b: 2_000 };
  await withNet({ ids: ['a', 'b'], engine: (id) => measured({ mbPerS: speeds[id]! }) }, async (net) => {
    assert.equal((await ask(net, 'a')).ring, 'b 0-7');
  });
  await withNet({ ids: ['a', 'b'], engine: (id) => measured({ memoryMb: sizes[id]! }) }, async (net) => {
    const { ring, plan } = await ask(net, 'a');
    assert.match(ring!, /^(a 0-[2-5], b [3-6]-7|b 0-[2-4], a [3-5]-7)$/);
    assert.match(plan!.reason, /memory/);
    const told = net.sent.filter(({ message }) => (message as TensorRequest).ring !== undefined);
    assert.ok(told.length > 0, 'the other one is told');
  });
});

test('planner predicts with what another entry node has learnt, until it has learnt itself', async () => {
  const speeds: Readonly<Record<string, number>> = { a: 1_000, b: 1_000, c: 100 };
  await withNet({ ids: ['a', 'b', 'c'], engine: (id) => measured({ mbPerS: speeds[id]! }) }, async (net) => {
    const plan = async (id: string, nodeId: string) => {
      const { prediction } = await net.run(
        net.node(id).planner.plan({
          model: net.node(id).engine.models.list()[0]!,
          placement: { kind: 'solo', nodeId },
          promptTokens: 1,
          isRetry: true,
          isTrial: true,
          signal: new AbortController().signal,
        }),
      );
      return prediction!;
    };
    const { record } = net.node('a').planner;
    const model = net.node('a').engine.models.list()[0]!.id;
    const before = await plan('b', 'c');
    assert.equal(before.isLoadAssumed, true);
    // An answer of `a` that showed 4 MB/s, and 2 ms for each step.
    record.loads.learn({ model, loadBytes: 8e6, predictedMs: 108, loadMs: 8, measuredMs: 2_100 });
    for (let round = 0; round < 20; round += 1) {
      record.steps.learn({ model, members: 1, predictedMs: 10, stepsMs: 1, measuredMs: 11 });
    }
    for (const nodeId of ['a', 'c']) {
      const told = await plan('b', nodeId);
      assert.equal(told.isLoadAssumed, false);
      assert.equal(Math.round(told.loadMs), 2_000);
      assert.ok(Math.abs(told.stepsMs - 2) < 0.01, `${told.stepsMs} ms`);
    }
    const own = net.node('b').planner.record;
    own.loads.learn({ model, loadBytes: 8e6, predictedMs: 108, loadMs: 8, measuredMs: 1_100 });
    assert.equal(Math.round((await plan('b', 'c')).loadMs), 1_000);
    // Hearsay is not told on: whoever asks `b` hears what `b` has learnt.
    assert.deepEqual(Object.keys(own.learnt(model)), ['loadBytesPerS']);
  });
});

test('planner gives no layers to a node that cannot compute the model, and says why', async () => {
  const fault = new ExoError('tokenizer-invalid', 'tokenizer.json is missing');
  const engine = (id: string) => measured(id === 'b' ? { fault } : {});
  await withNet({ ids: ['a', 'b', 'c'], engine }, async (net) => {
    const { ring, plan } = await ask(net, 'a', { kind: 'split' });
    assert.ok(!ring!.includes('b'), ring);
    assert.deepEqual(plan!.outsiders, [{ id: 'b', reason: 'tokenizer.json is missing' }]);
    // The one that is asked cannot itself: another one does it.
    assert.ok(!(await ask(net, 'b')).ring!.includes('b'));
  });
});

test('planner says who is known and was not considered, and why', async () => {
  const engine = (id: string) => (id === 'b' ? createEngine('dummy') : measured());
  await withNet({ ids: ['a', 'b', 'c', 'd'], engine }, async (net) => {
    net.part('a', 'c');
    net.away = [{ nodeId: 'e', reason: 'not a member yet: lost 5 times within a minute' }];
    const { plan, ring } = await ask(net, 'a', { kind: 'solo', nodeId: 'a' });
    assert.equal(ring, 'a 0-7');
    const said = Object.fromEntries(plan!.outsiders.map(({ id, reason }) => [id, reason]));
    assert.deepEqual(said, {
      b: 'has measured nothing of this model yet',
      c: 'in the mesh, but without a connection to this node',
      e: 'not a member yet: lost 5 times within a minute',
    });
    // `d` could, and was not needed.
    assert.deepEqual(net.node('a').planner.record.notes.at(-1)?.outsiders, plan!.outsiders);
  });
});

test('planner tells what keeps the only node from it, in its own words and at once', async () => {
  const fault = new ExoError('checkpoint-invalid', 'model.safetensors is cut off');
  await withNet({ ids: ['a'], engine: () => measured({ fault }) }, async (net) => {
    await assert.rejects(ask(net, 'a'), { code: 'checkpoint-invalid', message: fault.message });
    assert.ok(net.clock.now() < 300, `${net.clock.now()} ms`);
  });
});

test('planner waits longer for a node without which there is no ring', async () => {
  await withNet({ ids: ['a', 'b'], engine: () => measured() }, async (net) => {
    let asked = 0;
    net.filter = ({ message }) => {
      if (message.kind !== 'offer-request') return true;
      asked += 1;
      // The first one finds a machine that is busy.
      return asked > 1;
    };
    const ranges = [
      { nodeId: 'a', startLayer: 0, endLayer: 3 },
      { nodeId: 'b', startLayer: 4, endLayer: 7 },
    ];
    const { ring } = await ask(net, 'a', { kind: 'manual', ranges });
    assert.equal(ring, 'a 0-3, b 4-7');
    net.filter = ({ message }) => message.kind !== 'offer-request';
    await net.clock.advance(LIMITS.offersKeptMs);
    const fromMs = net.clock.now();
    await assert.rejects(ask(net, 'a', { kind: 'manual', ranges }), {
      code: 'ring-incomplete',
      message: /b: did not say/,
    });
    const { offerWaitMs, offerPatienceMs, generationRetryMs } = LIMITS;
    assert.ok(net.clock.now() - fromMs < offerWaitMs + offerPatienceMs + generationRetryMs + 300);
  });
});

test('planner waits for a silent node once, and no longer than a person notices', async () => {
  await withNet({ ids: ['a', 'b'], engine: () => measured() }, async (net) => {
    let asked = 0;
    net.filter = ({ message }) => {
      if (message.kind !== 'offer-request') return true;
      asked += 1;
      return false;
    };
    const { plan } = await ask(net, 'a');
    assert.ok(net.clock.now() < LIMITS.offerWaitMs + 300, `${net.clock.now()} ms`);
    assert.deepEqual(
      plan!.outsiders.map(({ id }) => id),
      ['b'],
    );
    assert.match(plan!.outsiders[0]!.reason, /0\.5 s/);
    await ask(net, 'a');
    assert.equal(asked, 1);
    await net.clock.advance(LIMITS.offersKeptMs);
    await ask(net, 'a');
    assert.equal(asked, 2);
  });
});

test('planner asks for offers once for many questions', async () => {
  await withNet({ ids: ['a', 'b'], engine: () => measured() }, async (net) => {
    await Promise.all(Array.from({ length: 4 }, () => ask(net, 'a')));
    assert.equal(net.sent.filter(({ message }) => message.kind === 'offer-request').length, 1);
  });
});

test('planner does as it is asked: solo, a named node, split, layers by hand', async () => {
  await withNet({ ids: ['a', 'b', 'c'], engine: () => measured() }, async (net) => {
    assert.match((await ask(net, 'a', { kind: 'solo' })).ring!, /^[abc] 0-7$/);
    assert.equal((await ask(net, 'a', { kind: 'solo', nodeId: 'c' })).ring, 'c 0-7');
    assert.equal((await ask(net, 'a', { kind: 'split' })).ring, 'a 0-1, b 2-4, c 5-7');
    const ranges = [
      { nodeId: 'c', startLayer: 0, endLayer: 0 },
      { nodeId: 'a', startLayer: 1, endLayer: 7 },
    ];
    assert.equal((await ask(net, 'b', { kind: 'manual', ranges })).ring, 'c 0-0, a 1-7');
    const prompts = net.sent.filter(({ message }) => message.kind === 'prompt');
    assert.deepEqual((prompts.at(-1)!.message as Prompt).ring, ranges);
  });
});

test('planner splits by free memory where the original’s shares do not fit', async () => {
  const engine = (id: string) => measured({ memoryMb: id === 'c' ? 1.5 : 5 });
  await withNet({ ids: ['a', 'b', 'c'], engine }, async (net) => {
    const { ring, plan } = await ask(net, 'a', { kind: 'split' });
    assert.match(ring!, /c \d-\d$/);
    assert.equal(plan!.ring!.at(-1)!.shard.startLayer, 7);
  });
});

for (const [what, placement, code, says] of [
  [
    'a gap',
    [
      ['a', 0, 2],
      ['b', 4, 7],
    ],
    'placement-invalid',
    /b begins with layer 4, and layer 3 is to come/,
  ],
  ['too few layers', [['a', 0, 6]], 'placement-invalid', /last layer named is 6, that of dummy is 7/],
  [
    'one node twice',
    [
      ['a', 0, 3],
      ['a', 4, 7],
    ],
    'placement-invalid',
    /named twice/,
  ],
  ['a node that is not there', [['x', 0, 7]], 'ring-incomplete', /node x.*there are a, b/],
  ['more than fits', [['b', 0, 7]], 'out-of-memory', /layers 0-7 need.*on b/],
] as const satisfies ReadonlyArray<
  readonly [string, ReadonlyArray<readonly [string, number, number]>, string, RegExp]
>) {
  test(`planner refuses layers by hand with ${what}`, async () => {
    await withNet({ ids: ['a', 'b'], engine: (id) => measured({ memoryMb: sizes[id]! }) }, async (net) => {
      const ranges = placement.map(([nodeId, startLayer, endLayer]) => ({ nodeId, startLayer, endLayer }));
      await assert.rejects(ask(net, 'a', { kind: 'manual', ranges }), { code, message: says });
    });
  });
}

test('planner refuses a model that fits nowhere, with what is needed and what there is', async () => {
  await withNet({ ids: ['a', 'b'], engine: () => measured({ memoryMb: 3 }) }, async (net) => {
    await assert.rejects(ask(net, 'a'), {
      code: 'out-of-memory',
      message: /dummy needs 0\.0 GB of memory; free are: a 0\.0 GB, b/,
    });
  });
});

test('planner leaves the ring to the members where an old peer is among them', async () => {
  const options: RingNetOptions = { ids: ['a', 'o', 'b'], legacy: ['o'], engine: () => measured() };
  await withNet(options, async (net) => {
    const { ring, plan } = await ask(net, 'a', { kind: 'solo' });
    assert.equal(ring, undefined);
    assert.match(plan!.reason, /old peer/);
    assert.equal(net.sent.filter(({ message }) => (message as Prompt).ring !== undefined).length, 0);
  });
});

test('planner makes a new ring at a token boundary when a member is lost', async () => {
  await withNet({ ids: ['a', 'b', 'c'], engine: (id) => measured({ memoryMb: sizes[id]! }) }, async (net) => {
    let isLost = false;
    net.filter = ({ message }) => {
      const index = message.kind === 'result' ? message.index : undefined;
      if (index === 3 && !isLost) {
        isLost = true;
        net.lose('c');
      }
      return true;
    };
    // All on c, then it is gone, and only both others together have the memory.
    const { ring } = await ask(net, 'a');
    assert.ok(isLost);
    assert.match(ring!, /a.*b|b.*a/);
    const { notes } = net.node('a').planner.record;
    assert.deepEqual(
      notes[0]!.ring!.map(({ nodeId }) => nodeId),
      ['c'],
    );
    assert.equal(notes[0]!.measured, null, 'it broke');
  });
});

test('planner keeps what it predicted beside what came of it', async () => {
  await withNet({ ids: ['a', 'b'], engine: (id) => measured({ memoryMb: sizes[id]! }) }, async (net) => {
    await ask(net, 'a');
    const { notes, lastErrors } = net.node('a').planner.record;
    const [note] = notes;
    assert.ok(note?.predicted != null && note.measured != null);
    assert.equal(note.model, 'dummy');
    assert.ok(note.measured.tokensPerS > 0 && note.measured.firstTokenMs > 0);
    const error = note.predicted.tokensPerS / note.measured.tokensPerS - 1;
    assert.equal(lastErrors!.tokensPerSRatio, error);
    for (let round = 0; round < 40; round += 1) await ask(net, 'a');
    assert.equal(net.node('a').planner.record.notes.length, 32, 'bounded');
  });
});

test('planner measures an answer that its client bounds, too', async () => {
  await withNet({ ids: ['a'], engine: () => measured() }, async (net) => {
    const messages = [{ role: 'user' as const, content: 'hello' }];
    const work = (async () => {
      const generation = await net.node('a').generations.start({ messages, maxTokens: 9 });
      for await (const _ of generation.tokens);
      return generation.result;
    })();
    assert.equal((await net.run(work)).finishReason, 'length');
    assert.ok(net.node('a').planner.record.notes[0]!.measured!.tokensPerS > 0);
  });
});

test('plan ends with who waits for it, and goes on for others until an engine that is stuck is left out', async () => {
  const stuck = measured();
  stuck.profile = () => new Promise(() => undefined);
  await withNet({ ids: ['a', 'b'], engine: (id) => (id === 'a' ? stuck : measured()) }, async (net) => {
    const leaves = new AbortController();
    const model = { id: 'dummy', name: 'dummy', layers: LAYERS, ready: true };
    const auto = { kind: 'auto' } as const;
    const question = { model, placement: auto, promptTokens: 1, isRetry: false };
    const plan = (signal: AbortSignal) => net.node('a').planner.plan({ ...question, signal });
    const one = plan(leaves.signal);
    const other = plan(new AbortController().signal);
    const gone = assert.rejects(one, { code: 'request-cancelled' });
    await net.clock.advance(1_000);
    leaves.abort(new ExoError('request-cancelled', 'the client left'));
    await gone;
    const { ring, outsiders } = await net.run(other);
    assert.deepEqual(
      ring!.map(({ nodeId }) => nodeId),
      ['b'],
    );
    assert.deepEqual(outsiders, [{ id: 'a', reason: 'did not say within 20 s what it offers' }]);
    assert.equal(net.clock.now() >= LIMITS.ownOfferMs, true);
    await assert.rejects(plan(leaves.signal), { code: 'request-cancelled' }, 'at once');
  });
});

test('plan where the only engine is not ready in time says that, not that somebody cancelled', async () => {
  const slow = measured();
  slow.profile = (_model, signal) =>
    new Promise((_resolve, reject) => {
      const cancelled = () => reject(new ExoError('request-cancelled', 'the request was cancelled'));
      signal.addEventListener('abort', cancelled, { once: true });
    });
  await withNet({ ids: ['a'], engine: () => slow }, async (net) => {
    const model = { id: 'dummy', name: 'dummy', layers: LAYERS, ready: true };
    const { signal } = new AbortController();
    const placement = { kind: 'auto' } as const;
    const question = { model, placement, promptTokens: 1, isRetry: false, signal };
    await assert.rejects(net.run(net.node('a').planner.plan(question)), (error: ExoError) => {
      assert.deepEqual([error.code, error.retryable], ['engine-failed', true]);
      assert.match(error.message, /not ready within 20 s.*ask again/);
      return true;
    });
  });
});

test('plan that needs a node that still learns about the model says so, and the answer waits for it', async () => {
  let hasLearnt = () => {};
  const learnt = new Promise<void>((resolve) => {
    hasLearnt = resolve;
  });
  const learner = measured({ memoryMb: 100 });
  const { models: known } = learner;
  const models = {
    defaultId: known.defaultId,
    list: () => known.list(),
    find: (id: string) => known.find(id),
    learn: () => learnt,
    fetching: () => 'its configuration and tokenizer are being fetched: 3.4 of 10.2 MB',
  };
  const engine = (id: string) =>
    id === 'a' ? measured({ memoryMb: 5 }) : Object.assign(learner, { models });
  await withNet({ ids: ['a', 'b'], engine }, async (net) => {
    for (const placement of [{ kind: 'auto' }, { kind: 'solo', nodeId: 'b' }] as const) {
      const work = net.node('a').generations.plan(undefined, { placement, mayFetch: true });
      await assert.rejects(net.run(work), (error: ExoError) => {
        assert.deepEqual([error.code, error.retryable], ['model-fetching', true], error.message);
        assert.match(error.message, /^b is still learning about dummy, and .*ask again.*3\.4 of 10\.2 MB/);
        if (placement.kind === 'auto') assert.match(error.message, /needs 0\.0 GB.*free are: a 0\.0 GB/);
        return true;
      });
    }
    const answered = ask(net, 'a');
    await net.clock.advance(45_000);
    hasLearnt();
    assert.match((await answered).ring!, /b/);
  });
});

test('plan that needs a node that has not said yet what it offers asks for another try', async () => {
  const stuck = measured();
  stuck.profile = () => new Promise(() => undefined);
  const engine = (id: string) => (id === 'a' ? measured({ memoryMb: 5 }) : stuck);
  await withNet({ ids: ['a', 'b'], engine }, async (net) => {
    await assert.rejects(net.run(net.node('a').generations.plan(undefined)), {
      code: 'ring-incomplete',
      retryable: true,
      message:
        /free are: a 0\.0 GB; not counted is b, which did not say within 5 s what it offers: ask again/,
    });
    await net.clock.advance(LIMITS.ownOfferMs);
  });
});

test('plan of named nodes of which one is not there is refused before anybody is asked for an offer', async () => {
  const stuck = measured();
  stuck.profile = () => new Promise(() => undefined);
  await withNet({ ids: ['a', 'b'], engine: () => stuck }, async (net) => {
    const ranges = [
      { nodeId: 'a', startLayer: 0, endLayer: 3 },
      { nodeId: 'gone', startLayer: 4, endLayer: 7 },
    ];
    const placement = { kind: 'manual', ranges } as const;
    const startMs = net.clock.now();
    await assert.rejects(net.node('a').generations.plan(undefined, { placement }), {
      code: 'ring-incomplete',
      message: /node gone, which is to hold layers, is not in the mesh; there are a, b; start or connect it/,
    });
    assert.equal(net.clock.now(), startMs, 'at once');
    // Who asks for an answer waits for a node that may come, and no longer.
    const messages = [{ role: 'user', content: 'hello' } as const];
    await assert.rejects(net.run(net.node('a').generations.start({ messages, placement })), {
      code: 'ring-incomplete',
      message: /node gone/,
    });
    assert.ok(net.clock.now() - startMs <= LIMITS.generationRetryMs + 500, `${net.clock.now() - startMs} ms`);
  });
});

test('planner that gave up offers still counts them while an engine hangs at them', async () => {
  const stuck = measured();
  let resolve: (profile: EngineProfile) => void = () => undefined;
  const profiled = new Promise<EngineProfile>((settle) => {
    resolve = settle;
  });
  stuck.profile = () => profiled;
  await withNet({ ids: ['a'], engine: () => stuck }, async (net) => {
    const question = { kind: 'offer-request', modelId: 'dummy', nLayers: LAYERS } as const;
    const { signal } = new AbortController();
    const ask = () => net.node('a').planner.onOffer(question, 'b', signal);
    const given = Array.from({ length: LIMITS.offersInFlight }, () =>
      assert.rejects(ask(), { code: 'request-timeout' }),
    );
    await net.clock.advance(LIMITS.ownOfferMs);
    await Promise.all(given);
    await assert.rejects(ask(), { code: 'overloaded' });
    resolve(await measured().profile('dummy', signal));
    await net.clock.advance(1_000);
    assert.equal((await net.run(ask())).reason, undefined);
  });
});

test('plan that is only looked at has nobody fetch anything, and leaves the ring of answers as it is', async () => {
  await withNet({ ids: ['a', 'b'], engine: () => measured() }, async (net) => {
    const { generations } = net.node('a');
    const asked = () =>
      net.sent.flatMap(({ message }) => (message.kind === 'offer-request' ? [message.mayFetch] : []));
    const { plan } = await net.run(generations.plan(undefined, { placement: { kind: 'solo', nodeId: 'b' } }));
    assert.equal(plan.ring![0]!.nodeId, 'b');
    assert.deepEqual(asked(), [false]);
    assert.equal((await ask(net, 'a')).ring, 'a 0-7', 'one that b computes would be kept there');
    assert.deepEqual(asked(), [false, undefined]);
    await net.run(generations.plan(undefined, { mayFetch: true }));
    assert.deepEqual(asked(), [false, undefined], 'as an answer asks');
  });
});

test('plan tells the paths that the answer takes, and what was measured of them', async () => {
  await withNet({ ids: ['a', 'b', 'c'], engine: () => measured() }, async (net) => {
    const paths = async (placement: Placement) => {
      const { plan } = await net.run(net.node('a').generations.plan(undefined, { placement }));
      return plan.paths!.map(({ from, to, isAssumed }) => `${from}-${to}${isAssumed ? ' assumed' : ''}`);
    };
    assert.deepEqual(await paths({ kind: 'solo', nodeId: 'a' }), []);
    assert.deepEqual(await paths({ kind: 'solo', nodeId: 'b' }), ['a-b assumed']);
    assert.deepEqual(await paths({ kind: 'split' }), ['a-b assumed', 'b-c assumed', 'c-a assumed']);
  });
});

for (const [what, ring] of [
  ['without the receiver', [['x', 0, 7]]],
  [
    'with a gap',
    [
      ['a', 0, 2],
      ['b', 4, 7],
    ],
  ],
  ['that ends early', [['a', 0, 6]]],
  ['that ends late', [['a', 0, 8]]],
] as const satisfies ReadonlyArray<readonly [string, ReadonlyArray<readonly [string, number, number]>]>) {
  test(`ring refuses one that is told ${what}, and keeps nothing of the request`, async () => {
    await withNet({ ids: ['a', 'b'] }, async (net) => {
      const message: Prompt = {
        kind: 'prompt',
        shard: { modelId: 'dummy', startLayer: 0, endLayer: 7, nLayers: LAYERS },
        prompt: 'x',
        requestId: 'r',
        inferenceState: null,
        origin: 'b',
        ring: ring.map(([nodeId, startLayer, endLayer]) => ({ nodeId, startLayer, endLayer })),
      };
      await assert.rejects(net.run(net.send('b', 'a', message)), {
        code: 'protocol-violation',
        message: /told/,
      });
      assert.equal(net.node('a').ring.size, 0);
    });
  });
}

test('planner of a retry does without members that have fallen silent, and asks them all the same where it cannot', async () => {
  const asked: string[] = [];
  const engines = { a: measured({ memoryMb: 1_000 }), b: measured({ memoryMb: 1_000 }) };
  const planner = (memoryMb: number) => {
    const mesh = { present: ['a', 'b'], hasOldPeer: false, isLinked: () => true };
    const port = {
      selfId: 'a',
      mesh: () => mesh,
      isConnected: () => true,
      away: () => [],
      isSilent: (id: string) => id === 'b',
      paths: () => [],
      measurePaths: async () => undefined,
      askOffer: async (id: string) => {
        asked.push(id);
        const profile = await engines.b.profile('dummy', new AbortController().signal);
        return {
          kind: 'offer-response',
          engine: 'dummy',
          ...profile,
          stored: [],
          paths: [],
          fetchBytesPerS: null,
        };
      },
    } as unknown as RingPort;
    return new RingPlanner({ port, engine: measured({ memoryMb }), clock: new VirtualClock() });
  };
  const model = { id: 'dummy', name: 'dummy', layers: LAYERS, ready: true };
  const { signal } = new AbortController();
  const auto = { kind: 'auto' } as const;
  const question = { model, placement: auto, promptTokens: 1, maxTokens: 10, signal };

  const whole = await planner(1_000).plan({ ...question, isRetry: true });
  assert.deepEqual(
    whole.ring?.map(({ nodeId }) => nodeId),
    ['a'],
  );
  assert.deepEqual(asked, [], 'nobody waits for it');
  const trial = planner(4).plan({ ...question, isRetry: true, isTrial: true });
  await assert.rejects(trial, { code: 'out-of-memory' });
  assert.deepEqual(asked, []);
  const both = await planner(4).plan({ ...question, isRetry: true });
  assert.ok(both.ring?.some(({ nodeId }) => nodeId === 'b'));
  assert.deepEqual(asked, ['b']);
});
