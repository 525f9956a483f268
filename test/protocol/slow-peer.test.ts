import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Sender, SendLedger } from '../../src/protocol/send-ledger.js';
import { WriteProgress } from '../../src/protocol/write-progress.js';
import { LIMITS } from '../../src/shared/index.js';
import { closePair, establishedPair, helloOf } from '../support/connection-pair.js';

const MIB = 2 ** 20;
const LONG = LIMITS.sendQueueBytesSoft + 1;

describe('the progress of writes', () => {
  /** Ticks every 50 ms with what `at` says; returns the code and the time of the verdict. */
  function verdict(
    at: (nowMs: number) => { taken: number; queuedBytes: number; heardAtMs?: number },
    untilMs: number,
  ): [string, number] | undefined {
    const progress = new WriteProgress(0, 'x');
    let before = 0;
    for (let nowMs = 0; nowMs <= untilMs; nowMs += 50) {
      const { taken, queuedBytes, heardAtMs = Number.NEGATIVE_INFINITY } = at(nowMs);
      if (taken > before) progress.moved();
      before = taken;
      progress.heard(heardAtMs);
      try {
        progress.check(1_000, queuedBytes, taken + 1_000, nowMs);
      } catch (error) {
        return [(error as { code: string }).code, nowMs];
      }
    }
    return undefined;
  }

  it('that stand still with little waiting and nothing heard is a dead path', () => {
    assert.deepEqual(
      verdict(() => ({ taken: 0, queuedBytes: 0 }), 20_000),
      ['connection-closed', LIMITS.stalledWriteMs],
    );
  });

  it('that stand still while the other side goes on speaking is a slow peer', () => {
    assert.deepEqual(
      verdict((nowMs) => ({ taken: 0, queuedBytes: 0, heardAtMs: nowMs }), 20_000),
      ['slow-peer', LIMITS.stalledWriteMs],
    );
  });

  it('that stand still with much waiting is a slow peer', () => {
    assert.deepEqual(
      verdict(() => ({ taken: 0, queuedBytes: LONG }), 20_000),
      ['slow-peer', LIMITS.stalledWriteMs],
    );
  });

  it('that creep with much waiting is a slow peer within 12 s', () => {
    const perMs = (LIMITS.slowBodyBytesPerSecondMin * 0.9) / 1000;
    const found = verdict((nowMs) => ({ taken: nowMs * perMs, queuedBytes: LONG }), 20_000);
    assert.equal(found?.[0], 'slow-peer');
    assert.ok(found[1] <= 12_000, `${found[1]} ms`);
  });

  it('that are slow but not that slow are let be, however long the queue', () => {
    const perMs = (LIMITS.slowBodyBytesPerSecondMin * 1.2) / 1000;
    assert.equal(
      verdict((nowMs) => ({ taken: nowMs * perMs, queuedBytes: 256 * MIB }), 120_000),
      undefined,
    );
  });

  it('that were long once and are long again later are two queues', () => {
    const progress = new WriteProgress(0, 'x');
    progress.check(1_000, LONG, 1_000, 0);
    progress.moved();
    progress.emptied();
    progress.moved();
    const laterMs = 15 * 60_000;
    progress.check(1_000, LONG, 11 * MIB, laterMs);
    progress.moved();
    progress.check(1_000, LONG, 12 * MIB, laterMs + LIMITS.slowPeerMs - 1);
  });

  it('that creep with little waiting are let be', () => {
    assert.equal(
      verdict((nowMs) => ({ taken: nowMs / 10, queuedBytes: LIMITS.sendQueueBytesSoft }), 120_000),
      undefined,
    );
  });
});

describe('the ledger of send queues', () => {
  const sender = (cut: number[]): Sender => ({ cutQueue: (bytes) => cut.push(bytes) });

  it('cuts the longest queue when all together are over the bound', () => {
    const ledger = new SendLedger(100 * MIB);
    const [first, second]: [number[], number[]] = [[], []];
    const [a, b] = [sender(first), sender(second)];
    ledger.note(a, 60 * MIB);
    ledger.note(b, 30 * MIB);
    assert.equal(ledger.totalBytes, 90 * MIB);
    ledger.note(b, 45 * MIB);
    assert.deepEqual([first, second], [[60 * MIB], []]);
    assert.equal(ledger.totalBytes, 45 * MIB);
  });

  it('forgets a queue that was emptied', () => {
    const ledger = new SendLedger(100 * MIB);
    const cut: number[] = [];
    const a = sender(cut);
    for (let round = 0; round < 10; round++) {
      ledger.note(a, 60 * MIB);
      ledger.note(a, 0);
    }
    assert.deepEqual([cut, ledger.totalBytes], [[], 0]);
  });
});

describe('a peer that does not read', () => {
  const status = { kind: 'opaque-status', requestId: 'r', status: 'x'.repeat(200_000) } as const;

  it('is closed as a slow peer when more than the hard bound has piled up, and counted', async () => {
    const pair = await establishedPair();
    pair.diallerStream.allowance = 0;
    let sent = 0;
    while (pair.dialler.state !== 'closed' && sent < 2 * LIMITS.sendQueueBytesHard) {
      assert.ok(pair.dialler.stats.queuedBytes <= LIMITS.sendQueueBytesHard + 2 * status.status.length);
      pair.dialler.notify(status);
      sent += status.status.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await pair.dialler.closed).error?.code, 'slow-peer');
    assert.equal(pair.shared.sheds.count('slow-peer'), 1);
    assert.equal(pair.shared.ledger.totalBytes, 0);
    await closePair(pair);
  });

  it('is not closed for one message that is larger than that', async () => {
    const pair = await establishedPair({ acceptor: { onHello: () => helloOf('b') } });
    pair.diallerStream.allowance = 0;
    const data = Buffer.alloc(LIMITS.sendQueueBytesHard * 2);
    const asked = pair.dialler.request({ kind: 'ping', data }).catch(() => undefined);
    pair.dialler.notify(status);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(pair.dialler.state, 'established');
    const closing = closePair(pair);
    await pair.clock.advance(LIMITS.closeGraceMs);
    await closing;
    await asked;
  });
});
