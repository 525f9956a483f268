/**
 * One connection takes over from another: nothing that is on its way on the loser is lost, in either direction, one-way messages
 * included. (A token that was lost so let a chat wait for its whole deadline.)
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LinkSettlement } from '../../src/node/link-settlement.js';
import { type Link, Peer } from '../../src/node/peer.js';
import type { Connection, ConnectionHandlers, Message } from '../../src/protocol/index.js';
import { LIMITS, VirtualClock } from '../../src/shared/index.js';
import { establishedPair, type Pair } from '../support/connection-pair.js';

/** Until what was written has arrived: a turn to write it and one to deliver it, on each end. */
const turns = async () => {
  for (let count = 0; count < 6; count += 1) await new Promise<void>((resolve) => setImmediate(resolve));
};
const result = (index: number): Message => ({
  kind: 'result',
  requestId: 'r1',
  result: [index],
  isFinished: false,
  index,
});

/** A connection, what arrived at its dialling end, and both ends for the settlement. */
async function setUp(clock: VirtualClock): Promise<{ readonly pair: Pair; readonly arrived: number[] }> {
  const arrived: number[] = [];
  const onMessage: ConnectionHandlers['onMessage'] = (_connection, message) => {
    if (message.kind === 'result') arrived.push(message.index ?? -1);
    return undefined;
  };
  return { pair: await establishedPair({ clock, dialler: { onMessage } }), arrived };
}

function linkOf(connection: Connection, diallerId: string, outgoing: boolean): Link {
  return {
    connection,
    diallerId,
    outgoing,
    priority: 1,
    serial: 1,
    description: 'MAN',
    targetKey: outgoing ? `to ${connection.remote}` : undefined,
  };
}

function settlementOf(clock: VirtualClock) {
  const moves: string[] = [];
  const events = {
    onLink: () => void moves.push('moved'),
    onLinkLost: () => void moves.push('off'),
    onChange: () => undefined,
  };
  return { settlement: new LinkSettlement({ clock, events }), moves };
}

describe('a connection that another one takes over from', () => {
  it('still takes what was on its way to the end that retires it', async () => {
    const clock = new VirtualClock();
    const [loser, winner] = [await setUp(clock), await setUp(clock)];
    const { settlement } = settlementOf(clock);
    const peer = new Peer('a', 'exo');
    settlement.add(peer, linkOf(loser.pair.dialler, 'b', true));
    // The other end knows of one connection only, and its words need a while to get here.
    loser.pair.acceptorStream.stall();
    loser.pair.acceptor.notify(result(0));
    settlement.add(peer, linkOf(winner.pair.dialler, 'a', false));
    assert.equal(peer.links.length, 1);
    loser.pair.acceptor.notify(result(1));
    await turns();
    await clock.advance(300);
    loser.pair.acceptorStream.flow();
    await turns();
    assert.deepEqual(loser.arrived, [0, 1]);
    assert.notEqual(loser.pair.dialler.state, 'closed');
    // An end that does not answer a goodbye is not waited for without end.
    await clock.advance(6_000);
    await turns();
    assert.equal(loser.pair.dialler.state, 'closed');
    await Promise.all([
      winner.pair.dialler.close(),
      winner.pair.acceptor.close(),
      loser.pair.acceptor.close(),
    ]);
  });

  it('is left and closed by the other end, which sends on the one that stays', async () => {
    const clock = new VirtualClock();
    const [loser, winner] = [await setUp(clock), await setUp(clock)];
    const { settlement, moves } = settlementOf(clock);
    const peer = new Peer('b', 'exo');
    const losing = linkOf(loser.pair.acceptor, 'b', false);
    settlement.add(peer, losing);
    peer.link?.connection.notify(result(0));
    // It is the only one that this end knows: it stays in use until another is there.
    settlement.leave(peer, losing);
    assert.equal(peer.link, losing);
    peer.link?.connection.notify(result(1));
    const staying = linkOf(winner.pair.acceptor, 'a', false);
    settlement.add(peer, staying);
    assert.equal(peer.link, staying);
    assert.deepEqual(moves, ['off']);
    await turns();
    assert.deepEqual(loser.arrived, [0, 1]);
    await clock.advance(100);
    await turns();
    assert.equal(loser.pair.dialler.state, 'closed', 'nothing is left to send on it');
    await Promise.all([winner.pair.dialler.close(), winner.pair.acceptor.close()]);
  });
});

describe('a connection that does not answer when another one comes', () => {
  /** `a`, which dialled the first one, is preferred by both ends; nothing of its far end arrives. */
  async function doubted(outgoing: boolean) {
    const clock = new VirtualClock();
    const [dead, fresh] = [await setUp(clock), await setUp(clock)];
    const { settlement, moves } = settlementOf(clock);
    const peer = new Peer('b', 'exo');
    settlement.add(peer, linkOf(dead.pair.dialler, outgoing ? 'a' : 'b', outgoing));
    dead.pair.acceptorStream.stall();
    settlement.add(peer, linkOf(fresh.pair.dialler, 'b', false));
    assert.equal(peer.link?.connection, dead.pair.dialler);
    await turns();
    await clock.advance(LIMITS.linkDoubtMs);
    await turns();
    const end = async () => {
      const all = [dead, fresh].flatMap(({ pair }) => [pair.dialler.close(), pair.acceptor.close()]);
      dead.pair.acceptorStream.flow();
      await turns();
      await clock.advance(10_000);
      await Promise.all(all);
    };
    return { clock, dead, fresh, peer, moves, end };
  }

  it('is not used any more after a second, and given up by the end that dialled it', async () => {
    const { dead, fresh, peer, moves, end } = await doubted(true);
    assert.equal(peer.link?.connection, fresh.pair.dialler);
    assert.deepEqual(moves, ['moved', 'off']);
    assert.equal(peer.links.length, 1);
    assert.notEqual(dead.pair.dialler.state, 'closed');
    await end();
  });

  it('is closed after five seconds by the end that was dialled', async () => {
    const { clock, dead, fresh, peer, end } = await doubted(false);
    assert.equal(peer.link?.connection, fresh.pair.dialler);
    assert.equal(dead.pair.dialler.state, 'established');
    await clock.advance(LIMITS.healthTimeoutMs);
    await turns();
    assert.equal(dead.pair.dialler.state, 'closed');
    assert.equal(peer.links.length, 1, 'and is no link any more, also while it closes');
    await end();
  });

  it('stays in use where the other one does not answer either', async () => {
    const clock = new VirtualClock();
    const [first, second] = [await setUp(clock), await setUp(clock)];
    const { settlement, moves } = settlementOf(clock);
    const peer = new Peer('b', 'exo');
    settlement.add(peer, linkOf(first.pair.dialler, 'a', false));
    first.pair.acceptorStream.stall();
    second.pair.acceptorStream.stall();
    settlement.add(peer, linkOf(second.pair.dialler, 'b', false));
    await turns();
    await clock.advance(2 * LIMITS.healthTimeoutMs);
    await turns();
    assert.equal(peer.links.length, 2);
    assert.equal(peer.link?.connection, first.pair.dialler);
    assert.deepEqual(moves, []);
    const all = [first, second].flatMap(({ pair }) => [pair.dialler.close(), pair.acceptor.close()]);
    first.pair.acceptorStream.flow();
    second.pair.acceptorStream.flow();
    await turns();
    await clock.advance(10_000);
    await Promise.all(all);
  });

  it('is used again when it was only slow', async () => {
    const { clock, dead, fresh, peer, moves, end } = await doubted(false);
    assert.equal(peer.link?.connection, fresh.pair.dialler);
    dead.pair.acceptorStream.flow();
    await turns();
    await clock.advance(LIMITS.healthTimeoutMs);
    await turns();
    assert.equal(peer.link?.connection, dead.pair.dialler);
    assert.deepEqual(moves, ['moved', 'moved']);
    await end();
  });
});
