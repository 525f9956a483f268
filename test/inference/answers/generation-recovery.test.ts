/** A ring that changes in mid-answer: the same tokens come as if it had not, each once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  GeneratedToken,
  Generation,
  GenerationRequest,
  RingMember,
} from '../../../src/inference/index.js';
import { type Clock, ExoError, LIMITS, sleep } from '../../../src/shared/index.js';
import { RingNet, type RingNetOptions } from '../../support/ring-net.js';
import { StatefulEngine, type StatefulEngineOptions } from '../../support/stateful-engine.js';

const LENGTH = 16;
const ask: GenerationRequest = { prompt: 'who holds the layers of this model?', requestId: 'question' };
const WAYS: ReadonlyArray<readonly [string, GenerationRequest]> = [
  ['greedy', { ...ask, temperature: 0, repetitionPenalty: 1.2 }],
  ['seeded', { ...ask, temperature: 1, seed: 11, topP: 0.95, frequencyPenalty: 0.4, presencePenalty: 0.2 }],
];

interface Lab {
  readonly net: RingNet;
  readonly engines: ReadonlyMap<string, StatefulEngine>;
}

interface LabOptions extends Partial<RingNetOptions> {
  readonly stateful?: (id: string) => StatefulEngineOptions;
}

async function withLab(
  { stateful, ...options }: LabOptions,
  body: (lab: Lab) => Promise<void>,
): Promise<void> {
  const engines = new Map<string, StatefulEngine>();
  const late: { clock?: Clock } = {};
  const clock: Clock = {
    now: () => late.clock!.now(),
    wall: () => late.clock!.wall(),
    after: (delayMs, run) => late.clock!.after(delayMs, run),
    every: (periodMs, run) => late.clock!.every(periodMs, run),
  };
  const net = new RingNet({
    ids: ['a', 'b', 'c', 'd'],
    ring: { maxGenerateTokens: LENGTH },
    ...options,
    engine: (id) => {
      const engine = new StatefulEngine(clock, stateful?.(id));
      engines.set(id, engine);
      return engine;
    },
  });
  late.clock = net.clock;
  try {
    await body({ net, engines });
    await net.clock.advance(200);
    for (const id of net.here) {
      const { ring, generations } = net.node(id);
      assert.equal(ring.size + generations.size + engines.get(id)!.size, 0, `requests or caches on ${id}`);
    }
  } finally {
    await net.stop();
  }
  assert.equal(net.clock.pending, 0, 'no timer is left');
}

/** The ring of some nodes, in even shards. */
function ringOf(...ids: string[]): readonly RingMember[] {
  return ids.map((nodeId, place) => ({
    nodeId,
    shard: {
      modelId: 'dummy',
      startLayer: Math.floor((place * 8) / ids.length),
      endLayer: Math.floor(((place + 1) * 8) / ids.length) - 1,
      nLayers: 8,
    },
  }));
}

/** Reads an answer to its end; `onToken` may break something. */
async function read(generation: Generation, onToken?: (index: number) => void): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token, index } of generation.tokens) {
    assert.equal(index, tokens.length);
    tokens.push(token);
    onToken?.(index);
  }
  return tokens;
}

function answer(
  net: RingNet,
  id: string,
  request = ask,
  onToken?: (index: number) => void,
): Promise<number[]> {
  return net.run(
    (async () => {
      const generation = await net.node(id).generations.start(request);
      const tokens = await read(generation, onToken);
      const { completionTokens, finishReason } = await generation.result;
      assert.deepEqual([completionTokens, finishReason], [tokens.length, 'length']);
      return tokens;
    })(),
  );
}

/** What comes undisturbed, from a ring of one. */
async function undisturbed(request: GenerationRequest): Promise<number[]> {
  let tokens: number[] = [];
  await withLab({ ids: ['solo'] }, async ({ net }) => {
    tokens = await answer(net, 'solo', request);
  });
  assert.equal(tokens.length, LENGTH);
  assert.ok(new Set(tokens).size > 5, 'tokens that tell places apart');
  return tokens;
}

const attempts = (net: RingNet) =>
  new Set(net.sent.map(({ message }) => (message.kind === 'tensor-request' ? message.requestId : 'question')))
    .size;

for (const [way, request] of WAYS) {
  for (const lost of ['a', 'c', 'd']) {
    test(`${way}: ${lost} of the ring a-b-c-d is killed after any token, and b's client gets the same answer`, async () => {
      const expected = await undisturbed(request);
      for (let at = 0; at < LENGTH - 1; at += 1) {
        await withLab({ seed: at + 1 }, async ({ net }) => {
          const left = ['a', 'b', 'c', 'd'].filter((id) => id !== lost);
          let brokenMs = 0;
          const tokens = await answer(net, 'b', request, (index) => {
            if (index === at + 1) assert.ok(net.clock.now() - brokenMs < 1_000, 'goes on in under a second');
            if (index !== at) return;
            brokenMs = net.clock.now();
            net.view = () => ringOf(...left);
            net.lose(lost);
          });
          assert.deepEqual(tokens, expected, `killed at ${at}`);
          assert.ok(attempts(net) >= 2, 'the ring was another one');
        });
      }
    });
  }

  test(`${way}: a member stops, engines forget, another is killed, in one answer`, async () => {
    const expected = await undisturbed(request);
    await withLab({}, async ({ net, engines }) => {
      let stopped: Promise<void> | undefined;
      const tokens = await answer(net, 'b', request, (index) => {
        if (index === 2) {
          stopped = net.node('a').ring.stop();
          net.view = () => ringOf('b', 'c', 'd');
        }
        if (index === 6) engines.get('c')!.forget();
        if (index === 9) {
          net.view = () => ringOf('c', 'b');
          net.lose('d');
        }
      });
      await stopped;
      assert.deepEqual(tokens, expected);
    });
  });

  test(`${way}: nodes join in mid-answer, before and behind the others, and nothing changes`, async () => {
    const expected = await undisturbed(request);
    for (const [before, after] of [
      [
        ['b', 'c'],
        ['a', 'b', 'c', 'd'],
      ],
      [
        ['b', 'c'],
        ['d', 'c', 'a', 'b'],
      ],
      [['b'], ['a', 'b']],
    ] as const) {
      await withLab({}, async ({ net }) => {
        net.view = () => ringOf(...before);
        const tokens = await answer(net, 'b', request, (index) => {
          if (index === 5) net.view = () => ringOf(...after);
        });
        assert.deepEqual(tokens, expected);
      });
    }
  });

  test(`${way}: the entry node is outside the ring, and its gateway or a member behind it is killed`, async () => {
    const expected = await undisturbed(request);
    for (const lost of ['b', 'c']) {
      await withLab({ outside: ['a'], reorder: true }, async ({ net }) => {
        net.view = () => ringOf('b', 'c', 'd');
        const tokens = await answer(net, 'a', request, (index) => {
          if (index !== 4) return;
          net.view = () => ringOf(...['b', 'c', 'd'].filter((id) => id !== lost));
          net.lose(lost);
        });
        assert.deepEqual(tokens, expected);
      });
    }
  });
}

test('log probabilities come with each token, over the wire and after the ring has changed', async () => {
  const request = { ...ask, temperature: 0, logprobs: 3 };
  const collect = async (net: RingNet, onIndex: (index: number) => void) => {
    const generation = await net.node('a').generations.start(request);
    const all: GeneratedToken[] = [];
    for await (const token of generation.tokens) {
      all.push(token);
      onIndex(token.index);
    }
    return all;
  };
  const nothing = () => undefined;
  let expected: GeneratedToken[] = [];
  await withLab({ ids: ['a'] }, async ({ net }) => {
    expected = await net.run(collect(net, nothing));
  });
  for (const { token, logprobs } of expected) {
    assert.deepEqual([logprobs?.token, logprobs?.text], [token, ` ${token}`]);
    // The highest is chosen, so it is the first of the likeliest.
    assert.deepEqual(logprobs?.top[0], { token, text: ` ${token}`, logprob: logprobs?.logprob });
    const [one, two, three, four] = logprobs!.top.map((each) => each.logprob);
    assert.ok(one! < 0 && one! >= two! && two! >= three! && four === undefined);
  }
  await withLab({}, async ({ net }) => {
    const break4 = (index: number) => {
      if (index !== 4) return;
      net.view = () => ringOf('b', 'a', 'c');
      net.lose('d');
    };
    assert.deepEqual(await net.run(collect(net, break4)), expected);
  });
});

test('a line of nodes takes an answer up behind its gateway', async () => {
  const expected = await undisturbed(ask);
  const links = [
    ['a', 'b'],
    ['b', 'c'],
    ['b', 'd'],
  ] as const;
  await withLab({ outside: ['a'], links }, async ({ net }) => {
    net.view = () => ringOf('c', 'b');
    const tokens = await answer(net, 'a', ask, (index) => {
      if (index !== 4) return;
      net.view = () => ringOf('d', 'b');
      net.lose('c');
    });
    assert.deepEqual(tokens, expected);
  });
});

test('what still comes of the ring before is dropped, also where it works on', async () => {
  const expected = await undisturbed(ask);
  for (let seed = 1; seed <= 10; seed += 1) {
    await withLab({ seed, reorder: true }, async ({ net }) => {
      // Nobody hears the cancel, and the member that b has lost sight of is still there.
      net.filter = ({ message }) => message.kind !== 'cancel-request';
      const tokens = await answer(net, 'b', ask, (index) => {
        if (index !== 3) return;
        net.view = () => ringOf('b', 'c');
        net.node('b').ring.onPeerLost('d');
      });
      net.filter = undefined;
      assert.deepEqual(tokens, expected);
      for (const id of net.here) net.node(id).ring.end('question');
      await net.clock.advance(1_000);
    });
  }
});

test('an engine that has to start anew is tried again, before and after the first token', async () => {
  const expected = await undisturbed(ask);
  for (const position of [0, 40]) {
    let failures = 2;
    const stateful = (id: string): StatefulEngineOptions => ({
      before: (request) => {
        if (id !== 'c' || request.position < position || failures === 0) return;
        failures -= 1;
        throw new ExoError('engine-failed', 'the process that computes has ended', { retryable: true });
      },
    });
    await withLab({ stateful }, async ({ net }) => {
      assert.deepEqual(await answer(net, 'b', ask), expected);
      assert.equal(failures, 0);
    });
  }
});

test('control: with recovery switched off the same loss ends the answer', async () => {
  await withLab({ generations: { recovery: false } }, async ({ net }) => {
    const answered = answer(net, 'b', ask, (index) => {
      if (index !== 3) return;
      net.view = () => ringOf('a', 'b', 'c');
      net.lose('d');
    });
    await assert.rejects(answered, { code: 'peer-lost' });
  });
});

test('an answer cannot be taken up with an old peer, and the client is told so', async () => {
  await withLab({ ids: ['a', 'b', 'c', 'o'], legacy: ['o'], outside: ['o'] }, async ({ net }) => {
    net.view = () => ringOf('a', 'b', 'c');
    const answered = answer(net, 'b', ask, (index) => {
      if (index !== 3) return;
      net.view = () => ringOf('a', 'o', 'b');
      net.lose('c');
    });
    await assert.rejects(answered, { code: 'ring-incomplete', message: /old peer, which cannot take up/ });
  });
});

test('a ring that does not come back ends the answer within the bound', async () => {
  await withLab({}, async ({ net }) => {
    let lostMs = 0;
    const answered = answer(net, 'b', ask, (index) => {
      if (index !== 3) return;
      lostMs = net.clock.now();
      net.lose('d');
    });
    await assert.rejects(answered, { code: 'peer-lost', message: /did not come to one ring in [45]\.\d s/ });
    assert.ok(net.clock.now() - lostMs <= LIMITS.generationRetryMs + 500, `${net.clock.now() - lostMs} ms`);
  });
});

test('an answer is taken up a bounded number of times', async () => {
  let breaks = 0;
  const stateful = (id: string): StatefulEngineOptions => ({
    before: ({ input }) => {
      // Each attempt gives one token.
      if (id !== 'a' || input.kind !== 'tokens' || input.tokens.length > 1) return;
      breaks += 1;
      throw new ExoError('engine-failed', 'again', { retryable: true });
    },
  });
  await withLab({ stateful, ring: { maxGenerateTokens: 100 } }, async ({ net }) => {
    await assert.rejects(answer(net, 'b', ask), { code: 'engine-failed', message: 'again' });
    // A failure may overtake the token before it; then that try was in vain.
    assert.ok(
      breaks > LIMITS.generationBreaksMax && breaks < 2 * LIMITS.generationBreaksMax,
      `${breaks} breaks`,
    );
  });
});

test('cancel in the pause between two rings ends at once', async () => {
  await withLab({}, async ({ net }) => {
    const abort = new AbortController();
    const answered = answer(net, 'b', { ...ask, signal: abort.signal }, (index) => {
      if (index === 3) net.lose('d');
    });
    answered.catch(() => undefined);
    await net.clock.advance(1_500);
    abort.abort();
    await assert.rejects(answered, { code: 'request-cancelled' });
  });
});

test('a member that is still fetching the model is waited for, however often it says so', async () => {
  const waits = LIMITS.generationBreaksMax + 8;
  let fetching = 0;
  const late: { clock?: Clock } = {};
  const stateful = (id: string): StatefulEngineOptions => ({
    before: async () => {
      if (id !== 'd' || fetching >= waits) return;
      fetching += 1;
      await sleep(late.clock!, LIMITS.generationRetryMs + 1_000);
      throw new ExoError('model-fetching', 'not here yet', { retryable: true });
    },
  });
  await withLab({ stateful, generations: { responseTimeoutMs: 900_000 } }, async ({ net }) => {
    late.clock = net.clock;
    assert.equal((await answer(net, 'b', ask)).length, LENGTH);
    assert.equal(fetching, waits);
  });
});
