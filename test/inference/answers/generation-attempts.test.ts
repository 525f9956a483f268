/** A prompt at a moment when the nodes see different rings, or one of them goes: tried again until its first token. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createEngine,
  type GeneratedToken,
  type Generation,
  type GenerationRequest,
} from '../../../src/inference/index.js';
import { ExoError, LIMITS } from '../../../src/shared/index.js';
import { RingNet, type RingNetOptions } from '../../support/ring-net.js';
import { WatchedEngine } from '../../support/watched-engine.js';

const TOKENS = [2, 3, 4, 5, 6, 7, 8, 9, 10, 69];
const ask: GenerationRequest = { messages: [{ role: 'user', content: 'hello' }], requestId: 'question' };

/** Ends with a look at what is left: no request on any node, and not one timer. */
async function withNet(options: RingNetOptions, body: (net: RingNet) => Promise<void>): Promise<void> {
  const net = new RingNet(options);
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

async function read(generation: Generation): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  for await (const token of generation.tokens) tokens.push(token);
  return tokens;
}

/** The whole answer of a question to one node, and the id under which the client knows it. */
async function answer(net: RingNet, id: string, request: GenerationRequest = ask) {
  const generation = await net.node(id).generations.start(request);
  const tokens = await read(generation);
  return { tokens: tokens.map(({ token }) => token), requestId: generation.requestId };
}

/** Every node sees only itself until `untilMs`. */
function strangers(net: RingNet, untilMs: number): void {
  net.view = (selfId, members) => {
    if (net.clock.now() >= untilMs) return members;
    const own = members.find(({ nodeId }) => nodeId === selfId);
    return own === undefined ? [] : [{ ...own, shard: { ...own.shard, startLayer: 0, endLayer: 7 } }];
  };
}

/** Every node puts itself last until `untilMs`: whoever is asked gives the prompt away, and gets it back. */
function disagreement(net: RingNet, untilMs: number): void {
  net.view = (selfId, members) => {
    if (net.clock.now() >= untilMs) return members;
    const others = members.filter(({ nodeId }) => nodeId !== selfId);
    return [...others, ...members.filter(({ nodeId }) => nodeId === selfId)];
  };
}

const prompts = (net: RingNet) => net.sent.filter(({ message }) => message.kind === 'prompt');

for (const entry of ['a', 'b', 'c']) {
  test(`a prompt to ${entry} while the nodes disagree for a second is answered soon after`, async () => {
    await withNet({ told: false, ids: ['a', 'b', 'c'], seed: 3 }, async (net) => {
      disagreement(net, 1_000);
      const got = await net.run(answer(net, entry));
      assert.deepEqual(got, { tokens: TOKENS, requestId: 'question' });
      assert.ok(net.clock.now() < 1_000 + LIMITS.generationRetryDelayMsMax + 1_000, `${net.clock.now()} ms`);
    });
  });
}

test('a prompt to a node that already sees another, which does not see it yet, is answered', async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    await withNet({ ids: ['a', 'b'], seed }, async (net) => {
      strangers(net, 1_000);
      const alone = net.view!;
      net.view = (selfId, members) => (selfId === 'b' ? alone(selfId, members) : members);
      assert.deepEqual((await net.run(answer(net, 'a'))).tokens, TOKENS);
    });
  }
});

test('a prompt to a node whose own ring is not whole yet is answered when it is', async () => {
  await withNet({ ids: ['a', 'b'] }, async (net) => {
    net.view = (_, members) => {
      if (net.clock.now() >= 1_000) return members;
      throw new ExoError('ring-incomplete', 'no node of the mesh can hold a layer of dummy');
    };
    assert.deepEqual((await net.run(answer(net, 'a'))).tokens, TOKENS);
  });
});

for (const lost of ['a', 'c']) {
  test(`a member (${lost}) lost between prompt and first token is left out of the next try`, async () => {
    await withNet({ ids: ['a', 'b', 'c'] }, async (net) => {
      let isGone = false;
      net.view = (_, members) => (isGone ? survivors(members, lost) : members);
      net.filter = ({ message }) => {
        // The moment at which the prompt has gone through its first shard.
        if (message.kind === 'tensor-request' && !isGone) {
          isGone = true;
          net.lose(lost);
          return false;
        }
        return true;
      };
      const got = await net.run(answer(net, 'b'));
      assert.deepEqual(got, { tokens: TOKENS, requestId: 'question' });
    });
  });
}

test('a member that stops before the first token is left out of the next try', async () => {
  await withNet({ ids: ['a', 'b'] }, async (net) => {
    const answered = answer(net, 'a');
    answered.catch(() => undefined);
    const stopped = net.node('b').ring.stop();
    await net.clock.advance(300);
    net.view = (_, members) => survivors(members, 'b');
    assert.deepEqual((await net.run(answered)).tokens, TOKENS);
    await stopped;
  });
});

test('a member that the view keeps after it is gone is tried until the view has dropped it', async () => {
  await withNet({ ids: ['a', 'b'] }, async (net) => {
    net.view = (_, members) => (net.clock.now() < 1_000 ? members : survivors(members, 'b'));
    net.lose('b');
    assert.deepEqual((await net.run(answer(net, 'a'))).tokens, TOKENS);
  });
});

test('tries come 50 to 250 ms after the failure before, each under an id of its own', async () => {
  await withNet({ told: false, ids: ['a', 'b'], seed: 9 }, async (net) => {
    disagreement(net, Number.POSITIVE_INFINITY);
    const tries: Array<{ readonly id: string | null; readonly atMs: number }> = [];
    net.filter = ({ message, from }) => {
      if (message.kind === 'prompt' && from === 'a')
        tries.push({ id: message.requestId, atMs: net.clock.now() });
      return true;
    };
    await assert.rejects(net.run(answer(net, 'a')), { code: 'ring-incomplete' });
    assert.deepEqual(
      tries.map(({ id }) => id),
      tries.map((_, index) => (index === 0 ? 'question' : `question.${index + 1}`)),
    );
    const gaps = tries.slice(1).map(({ atMs }, index) => atMs - tries[index]!.atMs);
    // A failure comes back one message later, and the messages of this net take up to 15 ms.
    assert.ok(Math.min(...gaps) >= LIMITS.generationRetryDelayMsMin, `${gaps}`);
    assert.ok(Math.max(...gaps) <= LIMITS.generationRetryDelayMsMax + 2 * 15, `${gaps}`);
    assert.ok(Math.max(...gaps) - Math.min(...gaps) > 100, 'not all the same');
  });
});

test('a disagreement that stays ends within the bound, with the last error and how often it was tried', async () => {
  await withNet({ told: false, ids: ['a', 'b'] }, async (net) => {
    disagreement(net, Number.POSITIVE_INFINITY);
    await assert.rejects(net.run(answer(net, 'a')), {
      code: 'ring-incomplete',
      retryable: true,
      message: /not come to one ring in [34]\.\d s \(\d+ tries; "exo topology".*agree who is first/,
    });
    assert.ok(net.clock.now() <= LIMITS.generationRetryMs + 100, `${net.clock.now()} ms`);
    assert.ok(net.clock.now() >= LIMITS.generationRetryMs - 300, `${net.clock.now()} ms`);
  });
});

test('a disagreement ends before the deadline of the request, not with a timeout', async () => {
  await withNet({ told: false, ids: ['a', 'b'], generations: { responseTimeoutMs: 900 } }, async (net) => {
    disagreement(net, Number.POSITIVE_INFINITY);
    await assert.rejects(net.run(answer(net, 'a')), { code: 'ring-incomplete', message: /\d tries/ });
    assert.ok(net.clock.now() < 900, `${net.clock.now()} ms`);
  });
});

for (const code of [
  'overloaded',
  'engine-failed',
  'model-unknown',
  'request-timeout',
  'tensor-invalid',
] as const) {
  test(`${code} is not tried again`, async () => {
    const engine = (id: string) =>
      new WatchedEngine(createEngine('dummy'), {
        beforeForward: () => {
          if (id === 'b') throw new ExoError(code, 'so it is', { retryable: code !== 'engine-failed' });
        },
      });
    await withNet({ ids: ['a', 'b'], engine }, async (net) => {
      await assert.rejects(net.run(answer(net, 'a')), { code, message: 'so it is' });
      assert.ok(net.clock.now() < 100, 'at once');
    });
  });
}

for (const how of ['signal', 'stop'] as const) {
  test(`cancel (${how}) during the wait ends at once`, async () => {
    await withNet({ told: false, ids: ['a', 'b'] }, async (net) => {
      disagreement(net, Number.POSITIVE_INFINITY);
      const abort = new AbortController();
      const answered = answer(net, 'a', { ...ask, signal: abort.signal });
      answered.catch(() => undefined);
      await net.clock.advance(2_000);
      const before = prompts(net).length;
      assert.ok(before > 5, `${before} prompts`);
      // Between two tries: nobody works on it.
      while (net.node('a').ring.size > 0) await net.clock.advance(1);
      const atMs = net.clock.now();
      if (how === 'signal') abort.abort();
      else await net.node('a').generations.stop();
      await assert.rejects(answered, { code: 'request-cancelled' });
      assert.equal(net.clock.now(), atMs);
      const sent = prompts(net).length;
      await net.clock.advance(1_000);
      assert.equal(prompts(net).length, sent, 'no further try');
    });
  });
}

/** The ring without one member: even shards over the rest. */
function survivors(members: Parameters<NonNullable<RingNet['view']>>[1], lost: string) {
  const rest = members.filter(({ nodeId }) => nodeId !== lost);
  return rest.map((member, place) => ({
    ...member,
    shard: {
      ...member.shard,
      startLayer: (place * 8) / rest.length,
      endLayer: ((place + 1) * 8) / rest.length - 1,
    },
  }));
}
