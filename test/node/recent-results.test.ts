/** Results that nobody acknowledges reach their reader although the connection that they were sent on is lost, once each. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ResultOrder } from '../../src/inference/ring/result-order.js';
import { PeerTable } from '../../src/node/peer-table.js';
import { createRingPort } from '../../src/node/ring-port.js';
import { type Connection, createWireShared, type Result } from '../../src/protocol/index.js';
import { LIMITS, seededRandom, silentLogger, VirtualClock } from '../../src/shared/index.js';
import { establishedPair, helloOf, type Pair } from '../support/connection-pair.js';
import '../support/leaks.js';

const turns = async () => {
  for (let count = 0; count < 6; count += 1) await new Promise<void>((resolve) => setImmediate(resolve));
};

/** The node that sends, as far as its port and peers go, and what its reader has read. */
function sender() {
  const clock = new VirtualClock();
  const port: { current?: ReturnType<typeof createRingPort> } = {};
  const noted: string[] = [];
  const peers = new PeerTable({
    clock,
    random: seededRandom(1),
    logger: silentLogger,
    isMeeting: () => false,
    events: {
      onUp: () => noted.push('up'),
      onDown: () => noted.push('down'),
      onLost: () => noted.push('lost'),
      onLink: (peer) => port.current?.linkChanged(peer),
      onLinkLost: () => undefined,
      onChange: () => undefined,
      onDuplicateId: () => undefined,
    },
  });
  port.current = createRingPort({
    selfId: 'sender',
    peers,
    clock,
    snapshot: () => {
      throw new Error('no view is needed here');
    },
    changedAtMs: () => 0,
  });
  // One node numbers all of its connections.
  const shared = createWireShared();
  const order = new ResultOrder();
  const read: number[] = [];
  let arrived = 0;
  const connect = async (): Promise<Pair> => {
    const pair = await establishedPair({
      clock,
      shared,
      dialler: {
        onMessage: (_connection, message) => {
          if (message.kind !== 'result') return undefined;
          arrived += 1;
          for (const each of order.accept(message)) read.push(...each.result);
          return undefined;
        },
      },
      acceptor: { onClose: (connection, reason) => peers.lose(connection, reason) },
    });
    await peers.adopt(linkOf(pair.acceptor), helloOf('reader'));
    return pair;
  };
  const send = (index: number) => port.current!.sendResult('reader', resultOf(index));
  return { clock, connect, send, read, noted, arrivals: () => arrived };
}

const resultOf = (index: number): Result => ({
  kind: 'result',
  requestId: 'r1',
  result: [100 + index],
  isFinished: false,
  index,
});

const linkOf = (connection: Connection) => ({
  connection,
  diallerId: 'reader',
  outgoing: false,
  priority: 1,
  serial: connection.serial,
  description: 'MAN',
  targetKey: undefined,
});

const close = async (...pairs: readonly Pair[]) => {
  for (const { dialler, acceptor } of pairs) await Promise.all([dialler.close(), acceptor.close()]);
};

describe('results', () => {
  it('that were on their way on a connection that broke come over the next one', async () => {
    const { connect, send, read, noted } = sender();
    const first = await connect();
    send(0);
    await turns();
    first.acceptorStream.stall();
    send(1);
    await turns();
    assert.deepEqual(read, [100]);
    first.acceptorStream.destroy();
    await turns();
    // There is none now: the peer is a member that is dialled again.
    send(2);
    assert.deepEqual(noted, ['up', 'lost']);
    const second = await connect();
    send(3);
    await turns();
    assert.deepEqual(read, [100, 101, 102, 103]);
    await close(second);
  });

  it('that went into a connection which the other end has lost come over the newer one', async () => {
    const { clock, connect, send, read } = sender();
    const first = await connect();
    // The other end is gone without a word: nothing arrives, and nothing tells.
    first.acceptorStream.stall();
    const second = await connect();
    send(0);
    await turns();
    const isInUse = read.length > 0;
    for (let ms = 0; ms < 3 * LIMITS.linkDoubtMs; ms += 100) {
      await clock.advance(100);
      await turns();
    }
    send(1);
    await turns();
    assert.deepEqual(read, [100, 101], isInUse ? 'over the newer one from the start' : 'sent once more');
    assert.equal(isInUse, false, 'the rule of ids preferred the former: else nothing was to be sent again');
    first.acceptorStream.destroy();
    await turns();
    await close(second);
  });

  it('of long ago are not sent again', async () => {
    const { clock, connect, send, read, arrivals } = sender();
    const first = await connect();
    send(0);
    await turns();
    await clock.advance(LIMITS.resultsRememberedMs + 1);
    send(1);
    await turns();
    first.acceptorStream.destroy();
    await turns();
    const second = await connect();
    await turns();
    assert.deepEqual(read, [100, 101]);
    assert.equal(arrivals(), 3, 'the second came twice, the first once');
    await close(second);
  });
});
