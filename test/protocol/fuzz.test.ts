/**
 * Random and mutated bytes against sessions in every state: only errors of our own come out, each with a code for
 * hostile input, and memory is given back. The seed is printed on failure; EXO_FUZZ_SEED replays it, EXO_FUZZ_MS sets the time.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type ConnectionRole,
  createWireShared,
  FLAG_ABANDON,
  FLAG_MORE,
  FLAG_TOTAL,
  MemoryBudget,
  type Message,
  PayloadPool,
  Session,
} from '../../src/protocol/index.js';
import { ExoError, type Random, randomInt, seededRandom } from '../../src/shared/index.js';
import { DUMMY_SHARD, helloOf } from '../support/connection-pair.js';
import { baseFrame, correlatedFrame, rawFrame } from '../support/frames.js';
import { GOLDEN_FRAMES } from '../support/golden-frames.js';
import { promise } from '../support/promise.js';
import { fuzzMs } from '../support/scale.js';

const HOSTILE_CODES = new Set([
  'frame-bad-magic',
  'frame-unknown-type',
  'frame-too-large',
  'frame-malformed',
  'protocol-violation',
  'version-mismatch',
  'overloaded',
]);
const HELLO = baseFrame({ kind: 'health-request', hello: helloOf('peer') });
const HELLO_ANSWER = baseFrame({ kind: 'health-response', isHealthy: true, hello: helloOf('peer') });
const SEEDS: readonly Buffer[] = [
  ...Object.values(GOLDEN_FRAMES).map((hex) => Buffer.from(hex, 'hex')),
  HELLO,
  HELLO_ANSWER,
  correlatedFrame({ kind: 'ping', data: Buffer.alloc(20) }, 1),
  correlatedFrame({ kind: 'prompt-response' }, 1),
  correlatedFrame({ kind: 'topology-sync', versions: new Map([['a', [1, 2]]]) }, 3),
  correlatedFrame({ kind: 'topology-update', entries: [] }, 0),
  correlatedFrame({ kind: 'goodbye', reason: 'stopping' }, 0),
  correlatedFrame({ kind: 'error-response', code: 'x', message: 'y', retryable: true }, 1),
  rawFrame(0x12, Buffer.alloc(100), 5, FLAG_MORE | FLAG_TOTAL, 300),
  rawFrame(0x12, Buffer.alloc(100), 5, FLAG_MORE),
  rawFrame(0x12, Buffer.alloc(100), 5),
  rawFrame(0x12, Buffer.alloc(0), 5, FLAG_ABANDON),
  rawFrame(0x50, Buffer.alloc(70_000), 6, FLAG_MORE | FLAG_TOTAL, 140_000),
  rawFrame(0x50, Buffer.alloc(70_000), 6),
  rawFrame(0x60, Buffer.alloc(5), 7),
];

const PROMPT: Message = {
  kind: 'prompt',
  shard: DUMMY_SHARD,
  prompt: 'p',
  requestId: null,
  inferenceState: null,
};

function answerTo(message: Message): Message | undefined {
  switch (message.kind) {
    case 'prompt':
      return { kind: 'prompt-response' };
    case 'tensor-request':
      return { kind: 'tensor-response', tensor: message.tensor };
    case 'topology-request':
      return { kind: 'topology-response', nodes: new Map(), peerGraph: new Map() };
    case 'topology-sync':
      return { kind: 'topology-synced', entries: [], wanted: [] };
    default:
      return undefined;
  }
}

function session(random: Random, budget: MemoryBudget): { session: Session; failures: unknown[] } {
  const role: ConnectionRole = random.next() < 0.7 ? 'acceptor' : 'dialler';
  const failures: unknown[] = [];
  const made = new Session(
    {
      role,
      trusted: random.next() < 0.5,
      budget,
      pool: new PayloadPool(),
      slabs: createWireShared().slabs,
      nowMs: 0,
    },
    {
      onHello: () => helloOf('self'),
      onMessage: (message) => {
        const answer = answerTo(message);
        // a base topology request whose handler fails ends the session, which is another test
        if (message.kind === 'topology-request') return answer;
        if (random.next() < 0.2) throw new ExoError('request-failed', 'on purpose');
        return random.next() < 0.5 ? answer : Promise.resolve(answer);
      },
      onSilentFailure: () => undefined,
      wake: () => undefined,
      end: (reason) => {
        if (reason.error) failures.push(reason.error);
        made.close(reason.error ?? new ExoError('connection-closed', 'end'));
      },
    },
  );
  const ignore = () => undefined;
  if (role === 'dialler') {
    made.request({ kind: 'health-request', hello: helloOf('self') }, 0, 1_000, ignore, ignore);
    if (random.next() < 0.6) made.receive(HELLO_ANSWER, 1);
    if (made.state === 'established') made.request(PROMPT, 1, 1_000, ignore, ignore);
  } else if (random.next() < 0.6) made.receive(random.next() < 0.7 ? HELLO : SEEDS[0]!, 1);
  return { session: made, failures };
}

function mutate(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  for (let times = randomInt(random, 0, 3); times > 0; times--) {
    const at = randomInt(random, 0, copy.length - 1);
    if (random.next() < 0.5) copy[at]! ^= 1 << randomInt(random, 0, 7);
    else copy[at] = randomInt(random, 0, 255);
  }
  return random.next() < 0.1 ? copy.subarray(0, randomInt(random, 0, copy.length)) : copy;
}

/** One session, fed until it refuses. */
function attack(seed: number): void {
  const random = seededRandom(seed);
  const budget = new MemoryBudget();
  const { session: target, failures } = session(random, budget);
  try {
    for (let round = 0; round < 8; round++) {
      const frame =
        random.next() < 0.15
          ? random.bytes(randomInt(random, 1, 40))
          : mutate(SEEDS[randomInt(random, 0, SEEDS.length - 1)]!, random);
      const cut = randomInt(random, 0, frame.length);
      target.receive(frame.subarray(0, cut), round);
      target.receive(frame.subarray(cut), round);
    }
    target.tick(10);
  } catch (error) {
    failures.push(error);
  }
  for (const error of failures) {
    assert.ok(error instanceof ExoError, String(error));
    assert.ok(HOSTILE_CODES.has(error.code), `${error.code}: ${error.message}`);
  }
  target.close(new ExoError('connection-closed', 'over'));
  assert.equal(budget.usedBytes, 0);
}

describe('hostile bytes', () => {
  it('cause only errors of our own, and lose no memory', (t) => {
    const replay = process.env['EXO_FUZZ_SEED'];
    if (replay !== undefined) {
      attack(Number(replay));
      return;
    }
    const untilMs = performance.now() + fuzzMs();
    const first = Math.floor(performance.timeOrigin);
    let count = 0;
    for (; performance.now() < untilMs; count++) {
      try {
        attack(first + count);
      } catch (error) {
        throw new Error(`EXO_FUZZ_SEED=${first + count} replays this`, { cause: error });
      }
    }
    assert.ok(count > 100, `only ${count} sessions in the time`);
    promise(t, 'P3', `${count} sessions in ${fuzzMs() / 1000} s: 0 foreign errors, 0 bytes of memory lost`);
  });
});
