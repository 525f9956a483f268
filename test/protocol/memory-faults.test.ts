import '../support/leaks.js';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { windowBytes } from '../../src/protocol/link-profile.js';
import { LIMITS } from '../../src/shared/index.js';
import { dial, lab, PORT, pair, SECOND_MS } from '../support/memory-lab.js';

const KIB = 1024;
const MIB = 1024 * KIB;

describe('in-memory network breaks', () => {
  it('streams on demand, at both ends', async () => {
    const world = lab({ latencyMs: 10 });
    const { a, b } = await pair(world);
    a.stream.write([Buffer.from('on its way')]);
    await world.clock.advance(0);
    world.network.reset('a', 'b');
    await world.clock.advance(0);
    assert.match((await a.closed)!.message, /reset/);
    assert.match((await b.closed)!.message, /reset/);
    assert.equal(b.receivedBytes, 0);
  });

  it('streams after exactly so many bytes', async () => {
    const world = lab();
    world.network.setLink('a', 'b', { resetAfterBytes: 100_000 });
    const { a, b } = await pair(world);
    a.stream.write([Buffer.alloc(99_999)]);
    await world.clock.advance(0);
    assert.equal(a.closes, 0);
    a.stream.write([Buffer.alloc(10)]);
    await world.clock.advance(0);
    await Promise.all([a.closed, b.closed]);
    assert.equal(b.receivedBytes, 100_000);
    assert.deepEqual([a.closes, b.closes], [1, 1]);
  });

  it('streams after a random number of bytes with the given mean', async () => {
    const world = lab();
    world.network.setLink('a', 'b', { resetAfterBytesMean: 50 * KIB });
    const carried: number[] = [];
    for (let round = 0; round < 100; round += 1) {
      const { a, b } = await pair(world);
      a.stream.write([Buffer.alloc(MIB)]);
      await world.clock.advance(0);
      await Promise.all([a.closed, b.closed]);
      carried.push(b.receivedBytes);
    }
    const mean = carried.reduce((sum, bytes) => sum + bytes, 0) / carried.length;
    assert.ok(mean > 35 * KIB && mean < 65 * KIB, `mean ${mean}`);
    assert.ok(new Set(carried).size > 90);
  });

  it('no connection into being where the link refuses', async () => {
    const world = lab();
    await pair(world);
    world.network.setLink('a', 'b', { refuse: true });
    await assert.rejects(dial(world.network), { code: 'connect-failed', message: /refused/ });
  });

  it('nothing between other hosts', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.setLinks('a', 'c', { refuse: true });
    world.network.partition(['c'], ['a', 'b']);
    world.network.reset('a', 'c');
    world.network.freeze('c');
    b.echo();
    a.stream.write([Buffer.from('untouched')]);
    await world.clock.advance(0);
    assert.equal(a.receivedBytes, 9);
  });
});

describe('in-memory network partitions', () => {
  it('hold bytes back and deliver them when healed', async () => {
    const world = lab({ latencyMs: 10 });
    const { a, b } = await pair(world);
    a.stream.write([Buffer.from('before,')]);
    await world.clock.advance(5);
    world.network.partition(['a'], ['b']);
    a.stream.write([Buffer.from('during')]);
    a.stream.end();
    await world.clock.advance(60 * SECOND_MS);
    assert.equal(b.receivedBytes, 0);
    assert.equal(a.closes, 0);
    world.network.healAll();
    await world.clock.advance(10);
    await b.ended;
    assert.equal(b.digest(), createHash('sha256').update('before,during').digest('hex'));
  });

  it('stop a writer at the window', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.partition(['a'], ['b']);
    a.stream.write([Buffer.alloc(2 * MIB)]);
    await world.clock.advance(SECOND_MS);
    assert.equal(a.stream.unsentBytes, 2 * MIB - windowBytes({}));
    world.network.healAll();
    await world.clock.advance(0);
    assert.equal(b.receivedBytes, 2 * MIB);
    assert.equal(a.stream.unsentBytes, 0);
  });

  it('of one direction let the other through, up to the window: no acknowledgement comes back', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.cut('b', 'a');
    a.stream.write([Buffer.alloc(MIB)]);
    b.stream.write([Buffer.from('held back')]);
    await world.clock.advance(SECOND_MS);
    assert.equal(b.receivedBytes, windowBytes({}));
    assert.equal(a.receivedBytes, 0);
    world.network.heal('b', 'a');
    await world.clock.advance(0);
    assert.equal(b.receivedBytes, MIB);
    assert.equal(a.receivedBytes, 9);
  });

  it('let dials time out, and those through that still wait when healed', async () => {
    const world = lab({ latencyMs: 10 });
    const { listener } = await pair(world);
    world.network.cut('b', 'a');
    const late = dial(world.network, listener.address.port, SECOND_MS);
    const inTime = dial(world.network, listener.address.port, 10 * SECOND_MS);
    const rejected = assert.rejects(late, {
      code: 'connect-failed',
      message: /no answer from b:\d+ within 1 s/,
    });
    await world.clock.advance(5 * SECOND_MS);
    await rejected;
    world.network.heal('b', 'a');
    await world.clock.advance(SECOND_MS);
    assert.ok(await inTime);
  });

  it('leave a reset waiting, too', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.partition(['a'], ['b']);
    a.stream.destroy();
    await world.clock.advance(SECOND_MS);
    assert.equal(a.closes, 1);
    assert.equal(b.closes, 0);
    world.network.healAll();
    await world.clock.advance(0);
    assert.match((await b.closed)!.message, /reset/);
  });
});

describe('a frozen host', () => {
  it('takes bytes and connections, and is told about them when it thaws', async () => {
    const world = lab();
    const { a, b, listener } = await pair(world);
    world.network.freeze('b');
    a.stream.write([Buffer.alloc(MIB)]);
    const second = dial(world.network, listener.address.port);
    await world.clock.advance(SECOND_MS);
    assert.ok(await second, 'the kernel makes the connection');
    assert.equal(b.receivedBytes, 0);
    assert.equal(a.stream.unsentBytes, MIB - windowBytes({}));
    world.network.thaw('b');
    await world.clock.advance(0);
    assert.equal(b.receivedBytes, MIB);
  });

  it('sends nothing', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.freeze('b');
    b.stream.write([Buffer.from('later')]);
    await world.clock.advance(SECOND_MS);
    assert.equal(a.receivedBytes, 0);
    world.network.thaw('b');
    await world.clock.advance(0);
    assert.equal(a.receivedBytes, 5);
  });

  it('drops connections beyond its queue', async () => {
    const world = lab();
    const { listener } = await pair(world);
    world.network.freeze('b');
    const dials = Array.from({ length: LIMITS.acceptBacklog + 9 }, () =>
      dial(world.network, listener.address.port, SECOND_MS).then(
        () => 'made',
        (error: Error) => error.message,
      ),
    );
    await world.clock.advance(2 * SECOND_MS);
    const results = await Promise.all(dials);
    assert.equal(results.filter((result) => result === 'made').length, LIMITS.acceptBacklog);
    assert.equal(results.filter((result) => /no answer/.test(result)).length, 9);
  });
});

describe('a host that vanishes', () => {
  it('leaves half-open streams: no FIN, no reset', async () => {
    const world = lab();
    const { a, b } = await pair(world);
    world.network.vanish('b');
    a.stream.write([Buffer.from('is anybody there')]);
    b.stream.write([Buffer.from('never sent')]);
    await world.clock.advance(600 * SECOND_MS);
    assert.equal(a.closes, 0);
    assert.equal(a.receivedBytes, 0);
    assert.equal(b.receivedBytes, 0);
    a.stream.destroy();
    b.stream.destroy();
    await world.clock.advance(0);
    assert.deepEqual([a.closes, b.closes], [1, 1]);
  });

  it('is asked for by the keepalive of idle streams, which end when it is back and does not know them', async () => {
    const world = lab();
    const { a } = await pair(world);
    world.network.vanish('b');
    await world.clock.advance(LIMITS.tcpKeepaliveMs - SECOND_MS);
    world.network.restore('b');
    await world.clock.advance(SECOND_MS / 2);
    assert.equal(a.closes, 0);
    await world.clock.advance(SECOND_MS / 2);
    assert.match((await a.closed)!.message, /reset/);
    assert.deepEqual([world.network.openStreams('a', 'b'), world.network.openStreams('b', 'a')], [0, 0]);
  });

  it('ends idle streams also when it does not come back, after ten questions', async () => {
    const world = lab();
    const { a } = await pair(world);
    world.network.vanish('b');
    await world.clock.advance(LIMITS.tcpKeepaliveMs + 9.5 * SECOND_MS);
    assert.equal(a.closes, 0);
    await world.clock.advance(SECOND_MS);
    assert.equal(a.closes, 1);
    assert.equal(world.clock.pending, 0);
  });

  it('lets dials time out', async () => {
    const world = lab();
    const { listener } = await pair(world);
    world.network.vanish('b');
    const rejected = assert.rejects(dial(world.network, listener.address.port, SECOND_MS), {
      message: /no answer/,
    });
    await world.clock.advance(2 * SECOND_MS);
    await rejected;
  });

  it('answers bytes of old streams with a reset when it is back, and has free ports', async () => {
    const world = lab();
    const { a, listener } = await pair(world);
    world.network.vanish('b');
    a.stream.write([Buffer.from('hello?')]);
    await world.clock.advance(SECOND_MS);
    world.network.restore('b');
    await world.clock.advance(0);
    assert.match((await a.closed)!.message, /reset/);
    const again = world.network
      .transport('b')
      .listen({ host: 'b', port: listener.address.port }, () => undefined);
    await again.start();
    // The old program's late stop does not close the new one's port.
    await listener.stop();
    const dialled = dial(world.network, listener.address.port);
    await world.clock.advance(0);
    assert.ok(await dialled);
  });
});

describe('addresses of the in-memory network', () => {
  it('loopback means the machine itself, and is closed to others', async () => {
    const { clock, network } = lab();
    const listener = network.transport('b').listen({ host: '127.0.0.1', port: PORT }, () => undefined);
    await listener.start();
    await assert.rejects(dial(network), { code: 'connect-failed', message: /refused/ });
    const own = network.transport('b').dial({ host: 'localhost', port: PORT }, { timeoutMs: SECOND_MS });
    await clock.advance(0);
    assert.equal((await own).remote, `localhost:${PORT}`);
    await assert.rejects(
      network.transport('a').dial({ host: '127.0.0.1', port: PORT }, { timeoutMs: SECOND_MS }),
      { message: /refused/ },
    );
  });

  it('each machine has its own ports', async () => {
    const { network } = lab();
    for (const host of ['a', 'b']) {
      const listener = network.transport(host).listen({ host: '0.0.0.0', port: PORT }, () => undefined);
      await listener.start();
      assert.equal(listener.address.port, PORT);
    }
  });
});
