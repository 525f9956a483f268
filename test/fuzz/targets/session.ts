/** A whole session in any of its states, fed any bytes: it refuses with a code for hostile input, and gives all memory back. */
import assert from 'node:assert/strict';
import {
  createWireShared,
  MemoryBudget,
  type Message,
  PayloadPool,
  Session,
} from '../../../src/protocol/index.js';
import { type ErrorCode, ExoError, type Random, randomInt } from '../../../src/shared/index.js';
import { DUMMY_SHARD, helloOf } from '../../support/connection-pair.js';
import { baseFrame, correlatedFrame, rawFrame } from '../../support/frames.js';
import { GOLDEN_FRAMES } from '../../support/golden-frames.js';
import type { FuzzTarget } from '../target.js';

const CODES: readonly ErrorCode[] = [
  ...(['frame-bad-magic', 'frame-unknown-type', 'frame-too-large', 'frame-malformed'] as const),
  ...(['protocol-violation', 'version-mismatch', 'overloaded'] as const),
];
const HELLO = baseFrame({ kind: 'health-request', hello: helloOf('peer') });
const HELLO_ANSWER = baseFrame({ kind: 'health-response', isHealthy: true, hello: helloOf('peer') });
const PROMPT: Message = {
  kind: 'prompt',
  shard: DUMMY_SHARD,
  prompt: 'p',
  requestId: null,
  inferenceState: null,
};
const FRAMES: readonly Buffer[] = [
  ...Object.values(GOLDEN_FRAMES).map((hex) => Buffer.from(hex, 'hex')),
  HELLO,
  HELLO_ANSWER,
  correlatedFrame({ kind: 'ping', data: Buffer.alloc(20) }, 1),
  correlatedFrame({ kind: 'prompt-response' }, 1),
  correlatedFrame({ kind: 'topology-sync', versions: new Map([['a', [1, 2]]]) }, 3),
  correlatedFrame({ kind: 'topology-update', entries: [] }, 0),
  correlatedFrame({ kind: 'goodbye', reason: 'stopping' }, 0),
  correlatedFrame({ kind: 'error-response', code: 'x', message: 'y', retryable: true }, 1),
  rawFrame(0x12, Buffer.alloc(100), 5, 3, 300),
  rawFrame(0x12, Buffer.alloc(100), 5, 1),
  rawFrame(0x12, Buffer.alloc(100), 5),
  rawFrame(0x12, Buffer.alloc(0), 5, 4),
  rawFrame(0x60, Buffer.alloc(5), 7),
];
/** The first byte of an input says how the session begins. */
const [DIALLER, TRUSTED, SHAKEN, FAILING] = [1, 2, 4, 8];

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

export const session: FuzzTarget = {
  name: 'session',
  bytesMax: 32 * 1024,
  words: ['EXO\u0001', '"hello":', '"version_max":2', '"features":[]'],
  codes: CODES,
  seeds: () =>
    [0, TRUSTED, SHAKEN, SHAKEN | TRUSTED, SHAKEN | FAILING, DIALLER, DIALLER | SHAKEN].flatMap((mode) =>
      FRAMES.map((bytes) => Buffer.concat([Buffer.from([mode]), bytes])),
    ),
  /** Another frame behind it, or the same in another state. */
  vary(input: Buffer, random: Random) {
    const next = FRAMES[randomInt(random, 0, FRAMES.length - 1)]!;
    return random.next() < 0.7
      ? Buffer.concat([input, next])
      : Buffer.concat([Buffer.from([randomInt(random, 0, 15)]), input.subarray(1)]);
  },
  run(input) {
    const mode = input[0] ?? 0;
    const budget = new MemoryBudget();
    let failure: unknown;
    const made = new Session(
      {
        role: (mode & DIALLER) === 0 ? 'acceptor' : 'dialler',
        trusted: (mode & TRUSTED) !== 0,
        budget,
        pool: new PayloadPool(),
        slabs: createWireShared().slabs,
        nowMs: 0,
      },
      {
        onHello: () => helloOf('self'),
        onMessage: (message) => {
          const answer = answerTo(message);
          if ((mode & FAILING) !== 0 && message.kind !== 'topology-request') {
            throw new ExoError('request-failed', 'on purpose');
          }
          return answer;
        },
        onSilentFailure: () => undefined,
        onDropped: () => undefined,
        wake: () => undefined,
        end: (reason) => {
          failure ??= reason.error;
          made.close(reason.error ?? new ExoError('connection-closed', 'end'));
        },
      },
    );
    const ignore = () => undefined;
    if (made.role === 'dialler') {
      made.request({ kind: 'health-request', hello: helloOf('self') }, 0, 1_000, ignore, ignore);
      if ((mode & SHAKEN) !== 0) made.receive(HELLO_ANSWER, 1);
      if (made.state === 'established') made.request(PROMPT, 1, 1_000, ignore, ignore);
    } else if ((mode & SHAKEN) !== 0) made.receive(HELLO, 1);
    try {
      const cut = 1 + (input.length >> 1);
      made.receive(input.subarray(1, cut), 2);
      made.receive(input.subarray(cut), 3);
      made.tick(10);
    } catch (error) {
      failure ??= error;
    }
    const { state } = made;
    made.close(new ExoError('connection-closed', 'over'));
    assert.equal(budget.usedBytes, 0, 'memory is lost');
    if (failure !== undefined) throw failure;
    return `${made.role} ${state}`;
  },
};
