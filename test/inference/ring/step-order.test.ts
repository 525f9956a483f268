/** What a member does first with a step: the engines are asked before anybody is told, and for nothing that nobody reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEngine, type ForwardRequest, type InferenceEngine } from '../../../src/inference/index.js';
import { StepLine } from '../../../src/inference/ring/step-line.js';
import { tokenTensor } from '../../../src/inference/token-tensor.js';
import type { Shard, TensorRequest } from '../../../src/protocol/index.js';
import { type Clock, LIMITS, sleep } from '../../../src/shared/index.js';
import { RingNet } from '../../support/ring-net.js';
import { StatefulEngine } from '../../support/stateful-engine.js';

const never = new AbortController().signal;
const fail = (error: unknown) => assert.fail(String(error));

/**
 * A ring of engines that take `elementMs` for each element, and `moreMs` for the step at a position; `steps` have the member's id
 * and the position.
 */
async function withRing(
  ids: readonly string[],
  body: (net: RingNet, steps: ReadonlyArray<readonly [id: string, position: number]>) => Promise<void>,
  elementMs = 1,
  moreMs: Readonly<Record<number, number>> = {},
): Promise<void> {
  const lazy: { clock?: Clock } = {};
  const steps: Array<readonly [string, number]> = [];
  const net = new RingNet({
    ids,
    engine: (id) =>
      new StatefulEngine(
        {
          now: () => lazy.clock!.now(),
          wall: () => lazy.clock!.wall(),
          after: (delayMs, run) => lazy.clock!.after(delayMs, run),
          every: (periodMs, run) => lazy.clock!.every(periodMs, run),
        },
        {
          elementMs,
          before: async ({ position }: ForwardRequest) => {
            steps.push([id, position]);
            if (moreMs[position] !== undefined) await sleep(lazy.clock!, moreMs[position]);
          },
        },
      ),
  });
  lazy.clock = net.clock;
  try {
    await body(net, steps);
  } finally {
    await net.stop();
  }
}

/** The tokens of an answer of the node, of `maxTokens` at most. */
function answer(net: RingNet, id: string, maxTokens: number): Promise<number[]> {
  return net.run(
    (async () => {
      const generation = await net.node(id).generations.start({ prompt: 'hello', temperature: 0, maxTokens });
      const tokens: number[] = [];
      for await (const { token } of generation.tokens) tokens.push(token);
      return tokens;
    })(),
  );
}

test('a token goes to the first member before anybody is told of it', async () => {
  await withRing(['a', 'b'], async (net) => {
    await answer(net, 'a', 3);
    const fromB = net.sent.filter(({ from }) => from === 'b').map(({ message }) => message.kind);
    const kinds = fromB.filter((kind) => kind === 'tensor-request' || kind === 'result');
    assert.deepEqual(kinds.slice(0, 4), ['tensor-request', 'result', 'tensor-request', 'result']);
  });
});

for (const { ids, entry, computed } of [
  { ids: ['a'], entry: 'a', computed: ['a 0', 'a 5', 'a 6'] },
  { ids: ['a', 'b'], entry: 'a', computed: ['a 0', 'b 0', 'a 5', 'b 5', 'a 6', 'b 6'] },
  { ids: ['a', 'b'], entry: 'b', computed: ['a 0', 'b 0', 'a 5', 'b 5', 'a 6', 'b 6'] },
]) {
  test(`no layer computes the last token that is wanted of ${entry} in a ring of ${ids.length}`, async () => {
    await withRing(ids, async (net, steps) => {
      assert.equal((await answer(net, entry, 3)).length, 3);
      await net.clock.advance(1_000);
      assert.deepEqual(
        steps.map(([id, position]) => `${id} ${position}`),
        computed,
      );
    });
  });
}

test('a member asks its engine in the call that brings a tensor of a known request, and in order before that', async () => {
  const positions: number[] = [];
  const engine: InferenceEngine = createEngine('dummy');
  const forward = engine.forward.bind(engine);
  engine.forward = (request) => {
    positions.push(request.position);
    return forward(request);
  };
  const net = new RingNet({ ids: ['a', 'b'], engine: (id) => (id === 'b' ? engine : createEngine('dummy')) });
  try {
    const { shard } = net.members('dummy', 8)[1]!;
    const send = (first: boolean) => net.node('b').ring.onTensor(tensorFor(shard, first), 'a', never);
    const taken = [send(true), send(false)];
    assert.deepEqual(positions, [], 'the model is learnt first');
    await net.run(Promise.all(taken));
    assert.equal(positions[0], 0);
    await net.clock.advance(100);
    assert.deepEqual(positions, [0, 1]);
    const third = send(false);
    assert.deepEqual(positions, [0, 1, 2]);
    await net.run(third);
  } finally {
    await net.stop();
  }
});

for (const { what, elementMs, moreMs, answeredMs } of [
  { what: 'take 1 ms is answered with them', elementMs: 1, moreMs: {}, answeredMs: [0, 0, 1, 1] },
  { what: 'take long is answered at once', elementMs: 200, moreMs: {}, answeredMs: [0, 0, 0, 0] },
  {
    what: 'took 1 ms before one that takes 5 s is answered in time',
    elementMs: 1,
    moreMs: { 7: 5_000 },
    answeredMs: [0, 0, 1, LIMITS.ringAnswerMs],
  },
]) {
  test(`the tensor of a token of a ring whose steps ${what}, a prompt at once`, async () => {
    const body = async (net: RingNet) => {
      const { ring } = net.node('b');
      const onTensor = ring.onTensor.bind(ring);
      const heldMs: number[] = [];
      ring.onTensor = async (message, from, signal) => {
        const sinceMs = net.clock.now();
        const taken = await onTensor(message, from, signal);
        heldMs.push(net.clock.now() - sinceMs);
        return taken;
      };
      await answer(net, 'a', 4);
      assert.deepEqual(heldMs, answeredMs);
    };
    await withRing(['a', 'b'], body, elementMs, moreMs);
  });
}

/** A part of a prompt: no token is chosen after it. */
function tensorFor(shard: Shard, first: boolean): TensorRequest {
  return {
    kind: 'tensor-request',
    requestId: 'r',
    shard,
    tensor: tokenTensor([2]),
    inferenceState: null,
    origin: 'a',
    more: true,
    ...(first && { first }),
  };
}

test('step line does what is left of a step behind the beginning of the next one', async () => {
  const line = new StepLine('r', never);
  const log: string[] = [];
  const step = (name: string, done = false) => ({
    run: async () => {
      log.push(`${name} begins`);
      await Promise.resolve();
      log.push(`${name} ends`);
      return () => void log.push(`rest of ${name}`);
    },
    onError: fail,
    ...(done && { onDone: () => void log.push(`${name} is done`) }),
  });
  line.enqueue(step('one', true));
  assert.deepEqual(log, ['one begins'], 'in the call that brings it');
  line.enqueue(step('two'));
  await line.idle;
  assert.deepEqual(log, [
    'one begins',
    'one ends',
    'one is done',
    'two begins',
    'rest of one',
    'two ends',
    'rest of two',
  ]);
});
