/** Entry nodes that are connected to a part of the ring only: a member stands between, and nobody notices. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createEngine, type Generation, type GenerationRequest } from '../../../src/inference/index.js';
import { LIMITS } from '../../../src/shared/index.js';
import { RingNet, type RingNetOptions } from '../../support/ring-net.js';
import { WatchedEngine } from '../../support/watched-engine.js';

const TOKENS = [2, 3, 4, 5, 6, 7, 8, 9, 10, 69];
const ask: GenerationRequest = { messages: [{ role: 'user', content: 'hello' }] };

/** n1–n2–n3; the ring in both orders: n1 is connected to the holder of the last layer, then to that of the first. */
const LINES_OF_3 = [
  ['n3', 'n2'],
  ['n2', 'n3'],
].map((ring) => ({
  ids: [...ring, 'n1'],
  outside: ['n1'],
  links: [
    ['n1', 'n2'],
    ['n2', 'n3'],
  ] as const,
}));

/** n1–n2–n3–n4 with the ring in the middle, in both orders. */
const LINES_OF_4 = [
  ['n3', 'n2'],
  ['n2', 'n3'],
].map((ring) => ({
  ids: [...ring, 'n1', 'n4'],
  outside: ['n1', 'n4'],
  links: [
    ['n1', 'n2'],
    ['n2', 'n3'],
    ['n3', 'n4'],
  ] as const,
}));

const title = ({ ids }: { readonly ids: readonly string[] }) =>
  `line of ${ids.length}, ring ${ids[0]}-${ids[1]}`;

async function withNet(options: RingNetOptions, body: (net: RingNet) => Promise<void>): Promise<void> {
  // What happens to one attempt; how an answer is taken up is in generation-recovery.test.ts.
  const net = new RingNet({ ...options, generations: { recovery: false } });
  try {
    await body(net);
    await net.clock.advance(100);
    for (const id of net.here) {
      const { ring, generations } = net.node(id);
      assert.equal(ring.size + generations.size, 0, `requests on ${id}`);
    }
  } finally {
    await net.stop();
  }
  assert.equal(net.clock.pending, 0, 'no timer is left');
}

async function read(generation: Generation): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of generation.tokens) tokens.push(token);
  return tokens;
}

/** The token ids of the answer to one node. */
async function answer(net: RingNet, id: string, request: GenerationRequest = ask): Promise<number[]> {
  return read(await net.node(id).generations.start(request));
}

/** Reads at `id`, calls `at` when the token with this index has come, and resolves with what ended the answer. */
function failure(net: RingNet, id: string, index: number, at: () => void): Promise<{ code?: string }> {
  return net.run(
    (async () => {
      const generation = await net.node(id).generations.start(ask);
      try {
        for await (const token of generation.tokens) if (token.index === index) at();
      } catch (error) {
        return error as { code?: string };
      }
      throw new Error('the answer did not fail');
    })(),
  );
}

for (const line of [...LINES_OF_3, ...LINES_OF_4]) {
  describe(title(line), () => {
    test('answers whoever is asked, and sends nothing where there is no connection', async () => {
      await withNet(line, async (net) => {
        for (const { id } of net.nodes()) assert.deepEqual(await net.run(answer(net, id)), TOKENS, id);
        const strangers = net.sent.filter(({ from, to }) => !net.isConnected(from, to));
        assert.deepEqual(strangers, []);
        const cancelled = net.sent.filter(
          ({ from, message }) => message.kind === 'cancel-request' && from === 'n1',
        );
        assert.ok(
          cancelled.every(({ to }) => to === 'n2'),
          'n1 tells its gateway only',
        );
      });
    });

    test('answers when results overtake each other', async () => {
      for (let seed = 1; seed <= 10; seed += 1) {
        await withNet({ ...line, seed, reorder: true }, async (net) =>
          assert.deepEqual(await net.run(answer(net, 'n1')), TOKENS, `seed ${seed}`),
        );
      }
    });

    test('keeps 20 concurrent answers apart', async () => {
      await withNet({ ...line, seed: 20 }, async (net) => {
        const ids = Array.from({ length: 20 }, (_, index) => line.ids[index % line.ids.length]!);
        const answers = await net.run(Promise.all(ids.map((id) => answer(net, id))));
        assert.deepEqual(answers, Array(20).fill(TOKENS));
      });
    });

    test('frees a cancelled answer on every node', async () => {
      const engines = new Map<string, WatchedEngine>();
      const engine = (id: string) => {
        const watched = new WatchedEngine(createEngine('dummy'));
        engines.set(id, watched);
        return watched;
      };
      await withNet({ ...line, engine }, async (net) => {
        const abort = new AbortController();
        const generation = await net.run(net.node('n1').generations.start({ ...ask, signal: abort.signal }));
        const reading = (async () => {
          for await (const { index } of generation.tokens) if (index === 2) abort.abort();
        })();
        await assert.rejects(net.run(reading), { code: 'request-cancelled' });
        await net.clock.advance(100);
        for (const { id, ring } of net.nodes()) assert.equal(ring.size, 0, id);
        for (const id of ['n2', 'n3'])
          assert.ok(engines.get(id)!.released.includes(generation.requestId), id);
        const before = net.sent.length;
        await net.clock.advance(1_000);
        assert.equal(net.sent.length, before, 'nothing moves any more');
      });
    });

    test('fails at once when the gateway is lost in mid-answer, and the ring is freed', async () => {
      await withNet(line, async (net) => {
        let lostMs = 0;
        const error = await failure(net, 'n1', 2, () => {
          lostMs = net.clock.now();
          net.lose('n2');
        });
        assert.equal(error.code, 'peer-lost');
        assert.ok(net.clock.now() - lostMs <= 10, 'at once');
      });
    });

    test('tells the entry node of a member that is lost behind the gateway', async () => {
      await withNet(line, async (net) => {
        const error = await failure(net, 'n1', 2, () => net.lose('n3'));
        assert.equal(error.code, 'peer-lost');
        assert.match(String(error), /node n3 left the ring/);
      });
    });

    test('frees the gateway and the ring when the entry node is lost', async () => {
      await withNet(line, async (net) => {
        const generation = await net.run(net.node('n1').generations.start(ask));
        const reading = read(generation);
        reading.catch(() => undefined);
        await net.clock.advance(60);
        assert.equal(net.node('n2').ring.size, 1);
        net.lose('n1');
        await net.clock.advance(40);
        for (const id of ['n2', 'n3']) assert.equal(net.node(id).ring.size, 0, id);
        generation.cancel();
        await assert.rejects(reading);
      });
    });

    test('tells the entry node of an engine that fails on either member', async () => {
      for (const failing of ['n2', 'n3']) {
        const engine = (id: string) =>
          new WatchedEngine(createEngine('dummy'), {
            beforeForward: (step) => {
              if (id === failing && step === 3) throw new Error('out of memory');
            },
          });
        await withNet({ ...line, engine }, async (net) => {
          await assert.rejects(net.run(answer(net, 'n1')), {
            code: 'engine-failed',
            message: 'out of memory',
          });
        });
      }
    });

    test('tells the entry node of a gateway that stops', async () => {
      await withNet(line, async (net) => {
        const reading = net.run(answer(net, 'n1'));
        reading.catch(() => undefined);
        await net.clock.advance(60);
        await net.run(net.node('n2').ring.stop());
        await assert.rejects(reading, { code: 'peer-lost', message: /stopping/ });
      });
    });
  });
}

test('entry node connected with all members uses the first, and begins anew when that is lost before a token', async () => {
  const options = { ids: ['n3', 'n2', 'n1'], outside: ['n1'] };
  await withNet(options, async (net) => {
    net.filter = ({ message }) => message.kind !== 'tensor-request' || net.here.length < 3;
    net.view = (_, members) =>
      net.here.includes('n3')
        ? members
        : [{ nodeId: 'n2', shard: { modelId: 'dummy', startLayer: 0, endLayer: 7, nLayers: 8 } }];
    const reading = net.run(answer(net, 'n1'));
    await net.clock.advance(50);
    const prompts = () => net.sent.filter(({ message }) => message.kind === 'prompt').map(({ to }) => to);
    assert.deepEqual(prompts(), ['n3']);
    net.lose('n3');
    assert.deepEqual(await reading, TOKENS);
    assert.deepEqual(prompts(), ['n3', 'n2']);
  });
});

test('entry node does not mind that its own connection with a member behind the gateway is lost', async () => {
  await withNet({ ids: ['n3', 'n2', 'n1'], outside: ['n1'] }, async (net) => {
    const generation = await net.run(net.node('n1').generations.start(ask));
    net.node('n1').ring.onPeerLost('n2');
    assert.deepEqual(await net.run(read(generation)), TOKENS);
  });
});

test('gateway refuses a cancel that is not of its entry node', async () => {
  await withNet(LINES_OF_4[0]!, async (net) => {
    const generation = await net.run(net.node('n1').generations.start(ask));
    const { requestId } = generation;
    await net.clock.advance(30);
    for (const from of ['n3', 'n4'])
      net.node('n2').ring.onCancel({ kind: 'cancel-request', requestId }, from);
    assert.deepEqual(await net.run(read(generation)), TOKENS);
  });
});

test('ring with an old peer has no gateway: results go to the entry node directly', async () => {
  await withNet({ ids: ['n3', 'o', 'n2', 'n1'], legacy: ['o'], outside: ['n1'] }, async (net) => {
    assert.deepEqual(await net.run(answer(net, 'n1')), TOKENS);
    const heard = net.sent.filter(({ to, message }) => to === 'n1' && message.kind === 'result');
    assert.ok(heard.length > 0 && heard.every(({ from }) => from === 'n2'), 'from the last member alone');
  });
});

describe('line of 4 with the ring at the far end', () => {
  const line: RingNetOptions = {
    ids: ['n4', 'n3', 'n2', 'n1'],
    outside: ['n1', 'n2'],
    links: [
      ['n1', 'n2'],
      ['n2', 'n3'],
      ['n3', 'n4'],
    ],
  };

  test('answers whoever is one hop away, and tells the one two hops away at once what is missing', async () => {
    await withNet(line, async (net) => {
      for (const id of ['n4', 'n3', 'n2']) assert.deepEqual(await net.run(answer(net, id)), TOKENS, id);
      const sinceMs = net.clock.now();
      await assert.rejects(net.run(answer(net, 'n1')), {
        code: 'ring-incomplete',
        message: /^this node has no connection to any of n4, n3, which hold the layers of dummy; connect it/,
      });
      // After the round trip for the offers.
      assert.ok(net.clock.now() - sinceMs <= 50, `${net.clock.now() - sinceMs} ms`);
    });
  });

  test('tries for a while when the mesh is not steady', async () => {
    await withNet({ ...line, steady: false }, async (net) => {
      await assert.rejects(net.run(answer(net, 'n1')), {
        code: 'ring-incomplete',
        message: /no connection to any of n4, n3/,
      });
      assert.ok(net.clock.now() >= LIMITS.generationRetryMs - 300, `${net.clock.now()} ms`);
    });
  });
});
