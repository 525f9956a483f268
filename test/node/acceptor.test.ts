import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Visitor, WaitingRoom } from '../../src/node/waiting-room.js';
import { type ByteStream, createMemoryNetwork } from '../../src/protocol/index.js';
import { LIMITS, seededRandom, VirtualClock } from '../../src/shared/index.js';
import { alive, type MeshWorld, meshNode } from '../support/memory-mesh.js';
import '../support/leaks.js';

describe('the listener of a node', () => {
  test('lets a peer in although silent connections hold every place', async () => {
    const clock = new VirtualClock();
    const random = seededRandom(1);
    const world: MeshWorld = { clock, random, network: createMemoryNetwork({ clock, random }) };
    const node = meshNode(world, { id: 'a', dials: [] });
    await node.start();
    const crowd: ByteStream[] = [];
    const open = new Set<ByteStream>();
    for (let n = 0; n < LIMITS.pendingHandshakes + 20; n++) {
      const dial = world.network
        .transport(`stranger${n % 8}`)
        .dial({ host: 'a', port: 50051 }, { timeoutMs: 1_000 });
      await clock.advance(5);
      const stream = await dial;
      open.add(stream);
      stream.onEnd = () => open.delete(stream);
      stream.onClose = () => open.delete(stream);
      crowd.push(stream);
    }
    const peer = meshNode(world, { id: 'b', dials: ['a'] });
    await peer.start();
    await clock.advance(2_000);
    assert.deepEqual(alive(node), ['b']);
    assert.ok(open.size <= LIMITS.pendingHandshakes, `${open.size} strangers are still open`);
    for (const stream of crowd) stream.destroy();
    const stopped = Promise.all([node.stop(), peer.stop()]);
    await clock.advance(10_000);
    await stopped;
  });
});

/** A visitor that is as the test says. */
function visitor(how: { silent?: boolean; stranger?: boolean } = {}): Visitor & { dismissed: boolean } {
  const self = {
    dismissed: false,
    isStranger: () => how.stranger ?? true,
    isSilent: () => how.silent ?? false,
    dismiss: () => {
      self.dismissed = true;
    },
    closed: new Promise<void>(() => undefined),
  };
  return self;
}

/** Lets visitors of one host in while there is room; returns them. */
function fill(room: WaitingRoom, host: string, count: number, nowMs: number, silent = false): Visitor[] {
  return Array.from({ length: count }, () => {
    const one = visitor({ silent });
    assert.deepEqual(room.makeRoom(host, nowMs), { admitted: true });
    room.enter(one, host, nowMs);
    return one;
  });
}

const LATER_MS = LIMITS.handshakeChanceMs;
const ONE = '10.0.0.1';

describe('the waiting room', () => {
  test('has pendingHandshakesPerSource places for one source, four times that for loopback', () => {
    for (const [host, places] of [
      [ONE, LIMITS.pendingHandshakesPerSource],
      ['127.0.0.1', LIMITS.pendingHandshakesPerSource * 4],
    ] as const) {
      const room = new WaitingRoom();
      const [first] = fill(room, host, places, 0);
      assert.deepEqual(room.makeRoom(host, 0), { admitted: false });
      assert.equal(room.makeRoom(host, LATER_MS).leaves?.visitor, first);
    }
  });

  test('lets another source in when one holds all it may, and takes from the greediest when all are taken', () => {
    const room = new WaitingRoom();
    const greedy = fill(room, '127.0.0.1', LIMITS.pendingHandshakes - 10, 0);
    fill(room, ONE, 10, 0);
    assert.equal(room.size, LIMITS.pendingHandshakes);
    const { admitted, leaves } = room.makeRoom('10.0.0.2', LATER_MS);
    assert.equal(admitted, true);
    assert.equal(leaves?.visitor, greedy[0]);
    assert.equal(leaves?.reason, 'handshake-full');
  });

  test('shows nobody out before a hello could have come', () => {
    const room = new WaitingRoom();
    const [first] = fill(room, ONE, LIMITS.pendingHandshakesPerSource, 0);
    assert.deepEqual(room.makeRoom(ONE, LATER_MS - 1), { admitted: false });
    assert.equal(room.makeRoom(ONE, LATER_MS).leaves?.visitor, first);
  });

  test('forgets whoever has said hello', () => {
    const room = new WaitingRoom();
    for (let n = 0; n < LIMITS.pendingHandshakes; n++) room.enter(visitor({ stranger: false }), ONE, 0);
    assert.deepEqual(room.makeRoom(ONE, 0), { admitted: true });
    assert.equal(room.size, 0);
  });

  test('lets a silent one sit for as long as it likes, but not in a crowd', () => {
    const room = new WaitingRoom();
    const [alone] = fill(room, ONE, 1, 0, true);
    assert.deepEqual(room.overdue(LIMITS.silentInCrowdMs * 3), []);
    fill(room, '127.0.0.1', LIMITS.pendingHandshakes / 4, LIMITS.silentInCrowdMs * 3);
    assert.deepEqual(room.overdue(LIMITS.silentInCrowdMs * 3), [
      { visitor: alone, reason: 'handshake-silent' },
    ]);
  });
});

describe('the rate of new connections', () => {
  test('of one source is bounded, and of another not touched by that', async () => {
    const clock = new VirtualClock();
    const random = seededRandom(1);
    const world: MeshWorld = { clock, random, network: createMemoryNetwork({ clock, random }) };
    const node = meshNode(world, { id: 'a', dials: [] });
    await node.start();
    const dial = async (host: string) => {
      const dialling = world.network.transport(host).dial({ host: 'a', port: 50051 }, { timeoutMs: 1_000 });
      await clock.advance(1);
      const stream = await dialling;
      stream.destroy();
    };
    for (let n = 0; n < LIMITS.connectionsBurst + 50; n++) await dial('stranger');
    await clock.advance(10);
    const shed = node.sheds.count('source-rate');
    // Some milliseconds have passed, and with them a few more were let in.
    assert.ok(shed >= 40 && shed <= 50, `${shed}`);
    await dial('other');
    await clock.advance(10);
    assert.equal(node.sheds.count('source-rate'), shed);
    const stopped = node.stop();
    await clock.advance(10_000);
    await stopped;
  });
});
