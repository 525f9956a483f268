/** The bounds of a node's tables, each reached: connections, peers, paths of one peer, questions about suspects. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Acceptor } from '../../src/node/acceptor.js';
import type { Link } from '../../src/node/peer.js';
import { Peer } from '../../src/node/peer.js';
import { PeerTable } from '../../src/node/peer-table.js';
import { SecondOpinion } from '../../src/node/second-opinion.js';
import type { ByteStream, Connection, Transport } from '../../src/protocol/index.js';
import {
  type Clock,
  LIMITS,
  Sheds,
  seededRandom,
  silentLogger,
  VirtualClock,
} from '../../src/shared/index.js';
import { helloOf } from '../support/connection-pair.js';

const random = seededRandom(1);

/** A connection that is open and answers what `answer` says; `closed` tells whether it was closed. */
function openConnection(serial: number, answer: () => Promise<unknown> = () => new Promise(() => undefined)) {
  const state = { closed: false };
  const connection = {
    serial,
    role: 'acceptor',
    state: 'established',
    remote: `10.0.0.1:${serial}`,
    remoteHost: '10.0.0.1',
    hello: undefined,
    aliveAtMs: 0,
    stats: { bytesIn: 0, bytesOut: 0, framesIn: 0, framesOut: 0, pending: 0, serving: 0, queuedBytes: 0 },
    request: answer,
    notify: () => true,
    close: async () => {
      state.closed = true;
    },
  } as unknown as Connection;
  return { state, connection };
}

function linkOf(connection: Connection, diallerId: string, serial: number): Link {
  return {
    connection,
    diallerId,
    description: 'x',
    priority: 0,
    serial,
    outgoing: false,
    targetKey: undefined,
  };
}

const NO_EVENTS = {
  onUp: () => undefined,
  onDown: () => undefined,
  onLost: () => undefined,
  onLink: () => undefined,
  onLinkLost: () => undefined,
  onChange: () => undefined,
  onDuplicateId: () => undefined,
};

function tableOf(clock: Clock, sheds: Sheds): PeerTable {
  return new PeerTable({
    clock,
    random,
    logger: silentLogger,
    events: NO_EVENTS,
    isMeeting: () => false,
    sheds,
  });
}

describe('the peer table', () => {
  test('takes peersMax peers and no more, and says so', async () => {
    const sheds = new Sheds();
    const table = tableOf(new VirtualClock(), sheds);
    for (let n = 0; n < LIMITS.peersMax; n++) {
      await table.adopt(linkOf(openConnection(n).connection, `p${n}`, n), helloOf(`p${n}`));
    }
    const { connection, state } = openConnection(9_999);
    await assert.rejects(table.adopt(linkOf(connection, 'late', 9_999), helloOf('late')), {
      code: 'overloaded',
    });
    assert.equal(state.closed, true);
    assert.equal(sheds.count('peers-full'), 1);
    // One that has left makes room.
    table.lose(table.get('p7')!.links[0]!.connection, { by: 'remote', goodbye: 'stopping' });
    await table.adopt(linkOf(openConnection(10_000).connection, 'late', 10_000), helloOf('late'));
    assert.equal([...table.all()].length, LIMITS.peersMax);
  });

  test('keeps connectionsPerPeer connections that one peer has opened, and closes the others', async () => {
    const table = tableOf(new VirtualClock(), new Sheds());
    const opened = Array.from({ length: LIMITS.connectionsPerPeer + 3 }, (_, n) => openConnection(n));
    for (const [n, { connection }] of opened.entries()) {
      await table.adopt(linkOf(connection, 'p', n), helloOf('p'));
      for (const { state, connection: each } of opened) {
        if (state.closed) table.lose(each, { by: 'local' });
      }
    }
    assert.ok(table.get('p')!.links.length <= LIMITS.connectionsPerPeer);
    assert.ok(opened.filter(({ state }) => state.closed).length >= 3);
  });
});

describe('the acceptor', () => {
  test('holds acceptedConnections connections, never shows a peer out for a newcomer, and counts it', async () => {
    let accept: (stream: ByteStream) => void = () => undefined;
    const transport = {
      listen: (_address: unknown, onStream: (stream: ByteStream) => void) => {
        accept = onStream;
        return {
          address: { host: '127.0.0.1', port: 1 },
          start: async () => undefined,
          stop: async () => undefined,
        };
      },
    } as unknown as Transport;
    const sheds = new Sheds();
    let welcomed = 0;
    let destroyed = 0;
    const acceptor = new Acceptor(
      { host: '127.0.0.1', port: 1 },
      {
        clock: new VirtualClock(),
        transport,
        logger: silentLogger,
        sheds,
        welcome: () => {
          welcomed += 1;
          return {
            isStranger: () => false,
            isSilent: () => false,
            dismiss: () => assert.fail('a peer was shown out'),
            closed: new Promise(() => undefined),
          };
        },
      },
    );
    const stream = () =>
      ({
        remoteHost: '127.0.0.1',
        remote: '127.0.0.1:1',
        destroy: () => (destroyed += 1),
      }) as unknown as ByteStream;
    for (let n = 0; n < LIMITS.acceptedConnections + 10; n++) accept(stream());
    assert.deepEqual([welcomed, destroyed], [LIMITS.acceptedConnections, 10]);
    assert.equal(sheds.count('accepted-full'), 10);
    await acceptor.stop();
  });
});

describe('a second opinion', () => {
  function peers(count: number, answer: () => Promise<unknown>): Peer[] {
    return Array.from({ length: count }, (_, n) => {
      const peer = new Peer(`p${n}`, 'exo');
      peer.state = 'alive';
      peer.links.push(linkOf(openConnection(n, answer).connection, `p${n}`, n));
      return peer;
    });
  }
  const opinionOf = (all: readonly Peer[], ping: () => Promise<number>) =>
    new SecondOpinion(
      { all: () => all, get: (id) => all.find((peer) => peer.id === id), ping },
      { clock: new VirtualClock(), random, logger: silentLogger },
    );

  test('is asked of probeHelpersMax members, never of the suspect or of another one, and noted', async () => {
    let asked = 0;
    const all = peers(10, async () => {
      asked += 1;
      return { kind: 'probe-response', reached: true, rttMs: 1 };
    });
    const [suspect, other] = all as [Peer, Peer];
    suspect.state = 'suspect';
    other.state = 'suspect';
    await opinionOf(all, async () => 1).ask(suspect);
    assert.equal(asked, LIMITS.probeHelpersMax);
    assert.ok(suspect.vouched !== undefined && !['p0', 'p1'].includes(suspect.vouched.by));
  });

  test('is given for probesInFlight at once, and refused beyond', async () => {
    const all = peers(1, async () => undefined);
    let end: (rttMs: number) => void = () => undefined;
    const pinged = new Promise<number>((resolve) => {
      end = resolve;
    });
    const opinion = opinionOf(all, () => pinged);
    const answers = Array.from({ length: LIMITS.probesInFlight }, () => opinion.answer('p0'));
    await assert.rejects(opinion.answer('p0'), { code: 'overloaded' });
    end(3);
    for (const answer of answers)
      assert.deepEqual(await answer, { kind: 'probe-response', reached: true, rttMs: 3 });
    assert.deepEqual(await opinion.answer('nobody'), { kind: 'probe-response', reached: false, rttMs: null });
  });

  test('of a member that does not know the question is none', async () => {
    const all = peers(2, () => Promise.reject(new Error('request-unsupported')));
    const [suspect] = all as [Peer];
    await opinionOf(all, async () => 1).ask(suspect);
    assert.equal(suspect.vouched, undefined);
  });
});
