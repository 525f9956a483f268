/** What two members that have nothing to say cost each other: whole nodes over the in-memory network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryNetwork } from '../../src/protocol/index.js';
import { LIMITS, seededRandom, VirtualClock } from '../../src/shared/index.js';
import '../support/leaks.js';
import { alive, meshNode } from '../support/memory-mesh.js';

const LATENCY_MS = 5;
const SETTLE_MS = 20_000;
const WATCHED_MS = 120_000;
/** No other message between idle nodes is this short: a question for life, or its answer. */
const PING_BYTES = 14;
const RTT_EVERY_MS = 10_000;

/** Who asked, and when. */
interface Question {
  readonly by: string;
  readonly atMs: number;
  /** Since anything was heard. */
  readonly silentMs: number;
}

/** `apartMs`: how much later than one end's timers the other end's run. */
async function questions(apartMs: number): Promise<Question[]> {
  const clock = new VirtualClock();
  const random = seededRandom(1);
  const asked: Question[] = [];
  let lastMs = Number.NEGATIVE_INFINITY;
  const network = createMemoryNetwork(
    { clock, random },
    {
      link: { latencyMs: LATENCY_MS },
      onEvent: ({ kind, bytes, from, atMs }) => {
        if (kind !== 'data') return;
        const silentMs = atMs - lastMs;
        if (bytes === PING_BYTES && silentMs > LATENCY_MS + 1) asked.push({ by: from, atMs, silentMs });
        lastMs = atMs;
      },
    },
  );
  const a = meshNode({ clock, random, network }, { id: 'a', dials: ['b'] });
  const b = meshNode({ clock, random, network }, { id: 'b', dials: [] });
  await b.start();
  await clock.advance(apartMs);
  await a.start();
  await clock.advance(SETTLE_MS);
  asked.length = 0;
  await clock.advance(WATCHED_MS);
  const stopped = Promise.all([alive(a), alive(b), a.stop(), b.stop()]);
  await clock.advance(5_000);
  assert.deepEqual((await stopped).slice(0, 2), [['b'], ['a']]);
  return asked;
}

for (const apartMs of [50, 150, 240, 260, 350, 450]) {
  test(`an idle pair asks one question in a heartbeat, and each end one in ten seconds, with timers ${apartMs} ms apart`, async () => {
    const asked = await questions(apartMs);
    const beats = WATCHED_MS / LIMITS.heartbeatMs;
    assert.ok(asked.length <= beats, `${asked.length} questions in ${beats} heartbeats`);
    for (const { silentMs } of asked) {
      assert.ok(silentMs <= LIMITS.heartbeatMs + 500, `silent for ${silentMs} ms`);
    }
    for (const end of ['a', 'b']) {
      const own = asked.filter(({ by }) => by === end);
      assert.ok(own.length > 0, `${end} never asked`);
      for (const [index, { atMs }] of own.slice(1).entries()) {
        const sinceMs = atMs - own[index]!.atMs;
        assert.ok(sinceMs <= RTT_EVERY_MS + 500, `${end} did not measure for ${sinceMs} ms`);
      }
    }
  });
}
