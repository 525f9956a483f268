/** A long prompt goes through the ring in parts: the members work at the same time, and one token comes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Generation } from '../../../src/inference/index.js';
import { StepLine } from '../../../src/inference/ring/step-line.js';
import { type Clock, LIMITS } from '../../../src/shared/index.js';
import { RingNet, type RingNetOptions } from '../../support/ring-net.js';
import { StatefulEngine } from '../../support/stateful-engine.js';

const CHUNK = LIMITS.prefillChunkTokens;
const PROMPT =
  'x'.repeat(7) + 'All work and no play. '.repeat(Math.ceil((5 * CHUNK) / 22)).slice(0, 5 * CHUNK);

interface Lab {
  readonly net: RingNet;
  readonly engines: ReadonlyMap<string, StatefulEngine>;
}

/** `elementMs`: how long one element takes, by node. */
async function withLab(
  options: Partial<RingNetOptions> & { readonly elementMs?: (id: string) => number },
  body: (lab: Lab) => Promise<void>,
): Promise<void> {
  const engines = new Map<string, StatefulEngine>();
  const lazy: { clock?: Clock } = {};
  const clock: Clock = {
    now: () => lazy.clock!.now(),
    wall: () => lazy.clock!.wall(),
    after: (delayMs, run) => lazy.clock!.after(delayMs, run),
    every: (periodMs, run) => lazy.clock!.every(periodMs, run),
  };
  const net = new RingNet({
    ids: ['a', 'b', 'c'],
    ring: { maxGenerateTokens: 3 },
    ...options,
    engine: (id) => {
      const engine = new StatefulEngine(clock, { elementMs: options.elementMs?.(id) ?? 0 });
      engines.set(id, engine);
      return engine;
    },
  });
  lazy.clock = net.clock;
  try {
    await body({ net, engines });
  } finally {
    await net.stop();
  }
}

async function read(generation: Generation): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of generation.tokens) tokens.push(token);
  return tokens;
}

const answer = (net: RingNet, prompt: string) =>
  net.run(net.node('a').generations.start({ prompt, temperature: 0 }).then(read));

test('a prompt of 5 parts and 7 tokens is computed in 6 steps on each member, and answered as in one', async () => {
  let whole: number[] = [];
  await withLab({ ids: ['a'] }, async ({ net }) => {
    whole = await answer(net, PROMPT);
  });
  for (const ids of [
    ['a', 'b'],
    ['a', 'b', 'c'],
    ['a', 'b', 'c', 'd', 'e'],
  ]) {
    await withLab({ ids }, async ({ net, engines }) => {
      assert.deepEqual(await answer(net, PROMPT), whole);
      for (const { steps } of engines.values()) {
        assert.deepEqual(
          steps.map(({ count }) => count),
          [CHUNK, CHUNK, CHUNK, CHUNK, CHUNK, 7, 1, 1],
        );
      }
      const results = net.sent.filter(({ message }) => message.kind === 'result');
      assert.equal(results.length, 3, 'one token for each position that asks for one');
    });
  }
});

test('a prompt of exactly two parts has no empty third one', async () => {
  await withLab({}, async ({ net, engines }) => {
    await answer(net, 'y'.repeat(2 * CHUNK));
    const counts = engines.get('c')!.steps.map(({ count }) => count);
    assert.deepEqual(counts, [CHUNK, CHUNK, 1, 1]);
  });
});

test('members compute different parts at the same time', async () => {
  await withLab({ elementMs: () => 1 }, async ({ net, engines }) => {
    await answer(net, PROMPT);
    const [a, b, c] = ['a', 'b', 'c'].map((id) => engines.get(id)!.steps);
    for (const part of [0, 1, 2, 3]) {
      assert.ok(
        a![part + 1]!.fromMs < b![part]!.toMs,
        `a begins part ${part + 1} before b is done with ${part}`,
      );
      assert.ok(
        b![part + 1]!.fromMs < c![part]!.toMs,
        `b begins part ${part + 1} before c is done with ${part}`,
      );
    }
    // One after the other would take three times as long as one of them alone.
    const ratio = (c![5]!.toMs - a![0]!.fromMs) / (5 * CHUNK + 7);
    assert.ok(ratio < 1.6, `${ratio} times the time of one member`);
  });
});

test('a slow member slows those before it, and no step is refused', async () => {
  const elementMs = (id: string) => (id === 'b' ? 2 : 0);
  await withLab({ elementMs, ring: { maxGenerateTokens: 1 } }, async ({ net, engines }) => {
    await answer(net, 'z'.repeat(40 * CHUNK));
    const [a, b] = ['a', 'b'].map((id) => engines.get(id)!.steps);
    // What waits at b, what b computes, what waits to be taken over, what is on its way.
    const ahead = LIMITS.ringStepsHeld + 3;
    for (let part = ahead; part < 40; part += 1) {
      assert.ok(a![part]!.fromMs >= b![part - ahead]!.fromMs, `a is at most ${ahead} parts ahead at ${part}`);
    }
  });
});

test('a ring with an old peer gets its prompt in one piece', async () => {
  await withLab({ ids: ['a', 'o'], legacy: ['o'] }, async ({ net }) => {
    const tensors: number[] = [];
    net.filter = ({ message, to }) => {
      if (message.kind === 'tensor-request' && to === 'o') tensors.push(message.tensor.shape[1]!);
      return to !== 'o';
    };
    const generation = await net.run(net.node('a').generations.start({ prompt: PROMPT }));
    await net.clock.advance(1_000);
    assert.deepEqual(tensors, [5 * CHUNK + 7]);
    generation.cancel();
  });
});

test('the state of a request is sent to each new member once, and to an old one each time', async () => {
  const states = (net: RingNet, to: string) =>
    net.sent
      .filter((sent) => sent.to === to && sent.message.kind === 'tensor-request')
      .map(({ message }) => ('inferenceState' in message ? message.inferenceState !== null : false));
  await withLab({}, async ({ net }) => {
    await answer(net, 'hello');
    assert.deepEqual(states(net, 'b'), [true, false, false]);
    assert.deepEqual(states(net, 'a'), [true, false]);
  });
});

test('step line sends in order, one at a time, and drops what waits when it ends', async () => {
  const abort = new AbortController();
  const line = new StepLine('r', abort.signal);
  const log: string[] = [];
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const fail = (error: unknown) => log.push(String(error));
  await line.send(async () => {
    log.push('first begins');
    await gate;
    log.push('first ends');
  }, fail);
  const second = line.send(async () => {
    log.push('second begins');
    throw new Error('refused');
  }, fail);
  log.push('computing');
  release();
  await second;
  await line.idle;
  assert.deepEqual(log, ['first begins', 'computing', 'first ends', 'second begins', 'Error: refused']);
  abort.abort();
  line.enqueue({ run: async () => void log.push('never'), onError: fail });
  await line.send(async () => void log.push('never'), fail);
  await line.idle;
  assert.equal(log.length, 5);
});
