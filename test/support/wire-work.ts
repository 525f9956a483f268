/** What either end of a connection can do to the other, and what it then has to tell: many requests at once; a large tensor. */
import assert from 'node:assert/strict';
import type { Connection, Message, TensorRequest } from '../../src/protocol/index.js';
import { type Random, randomInt, seededRandom, sleep, systemClock } from '../../src/shared/index.js';

const KIB = 1024;

/** A tensor for a model of the other end's (see `wire-end.ts`). */
export function tensorFor(modelId: string, data: Buffer): TensorRequest {
  return {
    kind: 'tensor-request',
    shard: { modelId, startLayer: 0, endLayer: 0, nLayers: 1 },
    tensor: { shape: [data.length], dtype: 'uint8', data },
    requestId: 'r',
    inferenceState: null,
  };
}

/** A request that can be told from all others by its number, and the check of its answer. */
export function numbered(index: number, random: Random): { request: Message; check(answer: Message): void } {
  if (index % 2 === 0) {
    const name = `n${index}`;
    return {
      request: { kind: 'topology-request', visited: [name], maxDepth: 1 },
      check: (answer) => assert.ok(answer.kind === 'topology-response' && answer.nodes.has(name), name),
    };
  }
  // One in fifty goes in fragments, each way.
  const bytes = index % 50 === 1 ? randomInt(random, 300 * KIB, 1_000 * KIB) : randomInt(random, 4, 16 * KIB);
  const data = Buffer.alloc(bytes, index % 251);
  data.writeUInt32BE(index);
  return {
    request: tensorFor('echo', data),
    check: (answer) =>
      assert.ok(answer.kind === 'tensor-response' && answer.tensor?.data.equals(data), `${index}`),
  };
}

/** What `askMany` saw. */
export interface AskReport {
  /** Requests without an answer at one moment. */
  readonly inFlight: number;
  readonly answered: number;
  /** Answers that came before one to an earlier request. */
  readonly overtaken: number;
  readonly tookMs: number;
}

/** Sends so many requests at once and checks every answer. Rejects when one is wrong. */
export async function askMany(connection: Connection, count: number): Promise<AskReport> {
  const random = seededRandom(count);
  const startedMs = systemClock.now();
  const order: number[] = [];
  const before = connection.stats.pending;
  const answers = Array.from({ length: count }, async (_, index) => {
    const { request, check } = numbered(index, random);
    check(await connection.request(request));
    order.push(index);
  });
  const inFlight = connection.stats.pending - before;
  await Promise.all(answers);
  let latest = -1;
  let overtaken = 0;
  for (const index of order) {
    if (index < latest) overtaken += 1;
    latest = Math.max(latest, index);
  }
  return { inFlight, answered: order.length, overtaken, tookMs: systemClock.now() - startedMs };
}

/** What `loadAndProbe` saw. */
export interface LoadReport {
  /** From the first byte of the tensor to its answer. */
  readonly tensorMs: number;
  /** Health checks and pings that began and ended while the tensor was on its way. */
  readonly healthMs: readonly number[];
  readonly pingMs: readonly number[];
  /** The longest time for which this end saw no life of the other. */
  readonly silentMsMax: number;
}

/** Time between two probes: most of the time none is on its way, as in life. */
const PROBE_EVERY_MS = 10;

/** Sends one tensor that the other end throws away, and probes the connection meanwhile. */
export async function loadAndProbe(connection: Connection, mib: number): Promise<LoadReport> {
  const data = Buffer.alloc(mib * KIB * KIB, 7);
  const startedMs = systemClock.now();
  let tensorMs: number | undefined;
  const sent = connection.request(tensorFor('take', data), { timeoutMs: 120_000 }).finally(() => {
    tensorMs = systemClock.now() - startedMs;
  });
  sent.catch(() => undefined);
  let silentMsMax = 0;
  const watch = systemClock.every(5, () => {
    silentMsMax = Math.max(silentMsMax, systemClock.now() - connection.aliveAtMs);
  });
  const healthMs: number[] = [];
  const pingMs: number[] = [];
  const probe = async (message: Message, times: number[]) => {
    const sinceMs = systemClock.now();
    await connection.request(message);
    if (tensorMs === undefined) times.push(systemClock.now() - sinceMs);
  };
  try {
    while (tensorMs === undefined) {
      await probe({ kind: 'health-request' }, healthMs);
      await probe({ kind: 'ping', data: Buffer.from('now') }, pingMs);
      await sleep(systemClock, PROBE_EVERY_MS);
    }
    await sent;
  } finally {
    watch.cancel();
  }
  return { tensorMs: tensorMs ?? Number.NaN, healthMs, pingMs, silentMsMax };
}
