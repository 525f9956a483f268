/** What is left of connections when something ends at an awkward moment: a stop, a crash, a race, a change of the list. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ByteStream, createMemoryNetwork, FrameDecoder, TYPE } from '../../src/protocol/index.js';
import { type Logger, seededRandom, silentLogger, VirtualClock } from '../../src/shared/index.js';
import { GOLDEN_FRAMES } from '../support/golden-frames.js';
import { alive, candidateFor, type MeshWorld, meshNode, relay } from '../support/memory-mesh.js';

const PORT = 50051;

type VirtualWorld = MeshWorld & { readonly clock: VirtualClock };

function world(seed: number): VirtualWorld {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  return { clock, random, network: createMemoryNetwork({ clock, random }) };
}

/** Stops nodes on virtual time. */
async function stopAll(clock: VirtualClock, nodes: ReadonlyArray<{ stop(): Promise<void> }>): Promise<void> {
  const stopped = Promise.all(nodes.map((node) => node.stop()));
  await clock.advance(10_000);
  await stopped;
}

/** Logged events that are about a peer, as `event peer`. */
function recorder(): { readonly logger: Logger; readonly events: string[] } {
  const events: string[] = [];
  const note: Logger['info'] = (event, fields) => {
    if (fields?.['peer'] !== undefined) events.push(`${event} ${fields['peer']}`);
  };
  const logger: Logger = { ...silentLogger, info: note, warn: note, child: () => logger };
  return { logger, events };
}

async function dial(w: VirtualWorld, from: string, to: string): Promise<ByteStream> {
  const dialled = w.network.transport(from).dial({ host: to, port: PORT }, { timeoutMs: 5_000 });
  await w.clock.advance(100);
  return dialled;
}

/** A machine where an old peer answers health checks and questions about the topology. `onStream`: of each connection. */
async function oldPeer(
  w: VirtualWorld,
  host: string,
  onStream: (stream: ByteStream) => void = () => undefined,
) {
  const answers = new Map<number, string>([
    [TYPE.healthRequest, GOLDEN_FRAMES.healthResponse],
    [TYPE.topologyRequest, GOLDEN_FRAMES.topologyResponse],
  ]);
  const listener = w.network.transport(host).listen({ host, port: PORT }, (stream) => {
    const frames = new FrameDecoder({
      checkHeader: () => undefined,
      place: (head) => Buffer.alloc(head.bodyLength),
      frame: ({ type }) => {
        const answer = answers.get(type);
        if (answer !== undefined) stream.write([Buffer.from(answer, 'hex')]);
      },
    });
    stream.onData = (chunk) => frames.push(chunk);
    stream.onEnd = () => stream.end();
    onStream(stream);
  });
  await listener.start();
  return listener;
}

describe('a node that stops', () => {
  test('closes connections that never said a word', async () => {
    const w = world(1);
    const a = meshNode(w, { id: 'a', dials: [] });
    await a.start();
    await dial(w, 'x', 'a');
    assert.equal(w.network.openStreams('a', 'x'), 1);
    await stopAll(w.clock, [a]);
    assert.equal(w.network.openStreams('a', 'x'), 0);
  });

  test('closes connections that an old peer opened', async () => {
    const w = world(2);
    const a = meshNode(w, { id: 'a', dials: [] });
    await a.start();
    const stream = await dial(w, 'x', 'a');
    let answer = '';
    stream.onData = (chunk) => {
      answer += chunk.toString('latin1');
    };
    stream.write([Buffer.from(GOLDEN_FRAMES.healthRequest, 'hex')]);
    await w.clock.advance(1_000);
    assert.match(answer, /is_healthy/);
    await stopAll(w.clock, [a]);
    assert.equal(w.network.openStreams('a', 'x'), 0);
  });
});

describe('a peer that crashes and is back before it was missed', () => {
  test('counts as lost and found: what was asked of its earlier start is not waited for', async () => {
    const { logger, events } = recorder();
    const w = world(3);
    const a = meshNode({ ...w, logger }, { id: 'a', dials: [] });
    const b = meshNode(w, { id: 'b', dials: ['a'] });
    await Promise.all([a.start(), b.start()]);
    await w.clock.advance(2_000);
    w.network.reset('a', 'b');
    const stopped = b.stop();
    await w.clock.advance(100);
    const again = meshNode(w, { id: 'b', dials: ['a'] });
    await again.start();
    await w.clock.advance(800);
    assert.deepEqual(alive(a), ['b']);
    assert.deepEqual(events, ['peer-up b', 'peer-down b', 'peer-up b']);
    await w.clock.advance(10_000);
    await stopped;
    await stopAll(w.clock, [a, again]);
  });
});

describe('three paths to one peer', () => {
  test('settle on one connection', async () => {
    const w = world(4);
    const hosts = ['p', 'q', 'r'];
    const b = meshNode(w, { id: 'b', dials: [] });
    await b.start();
    const relays = await Promise.all(hosts.map((host) => relay(w, host, 'b')));
    for (const [index, host] of hosts.entries())
      w.network.setLinks('a', host, { latencyMs: 30 - 12 * index });
    const a = meshNode(w, { id: 'a', dials: ['p'] });
    await a.start();
    await w.clock.advance(500);
    a.list.offer(candidateFor('q'));
    a.list.offer(candidateFor('r'));
    await w.clock.advance(10_000);
    const open = hosts.map((host) => w.network.openStreams('a', host));
    assert.deepEqual(open, [0, 0, 1]);
    await stopAll(w.clock, [a, b]);
    await Promise.all(relays.map((listener) => listener.stop()));
  });
});

describe('an address that is withdrawn while it is being dialled', () => {
  test('makes no peer', async () => {
    const w = world(5);
    w.network.setLinks('a', 'b', { latencyMs: 200 });
    const a = meshNode(w, { id: 'a', dials: ['b'] });
    const b = meshNode(w, { id: 'b', dials: [] });
    await Promise.all([a.start(), b.start()]);
    await w.clock.advance(300);
    a.list.withdraw('manual:b');
    await w.clock.advance(5_000);
    assert.deepEqual(alive(a), []);
    assert.deepEqual(alive(b), []);
    assert.equal(w.network.openStreams('a', 'b'), 0);
    await stopAll(w.clock, [a, b]);
  });
});

test('only a configured name becomes an alias', async () => {
  const w = world(6);
  const a = meshNode(w, { id: 'a', dials: [] });
  const b = meshNode(w, { id: 'b', dials: [] });
  await Promise.all([a.start(), b.start()]);
  a.list.offer(
    candidateFor('b', { key: 'udp:forged@b:50051', module: 'udp', claimedId: 'forged', configured: false }),
  );
  await w.clock.advance(1_000);
  assert.deepEqual(alive(a), ['b']);
  assert.deepEqual(a.mesh.peers()[0]!.aliases, []);
  await stopAll(w.clock, [a, b]);
});

describe('an address that is changed while it is connected', () => {
  test('leaves only the connection to the new one, also when the former is faster', async () => {
    const w = world(7);
    const b = meshNode(w, { id: 'b', dials: [] });
    await b.start();
    const relays = await Promise.all(['near', 'far'].map((host) => relay(w, host, 'b')));
    w.network.setLinks('a', 'near', { latencyMs: 1 });
    w.network.setLinks('a', 'far', { latencyMs: 30 });
    const a = meshNode(w, { id: 'a', dials: [] });
    await a.start();
    a.list.offer(candidateFor('near', { key: 'manual:b' }));
    await w.clock.advance(1_000);
    a.list.offer(candidateFor('far', { key: 'manual:b' }));
    await w.clock.advance(10_000);
    assert.deepEqual(alive(a), ['b']);
    assert.equal(w.network.openStreams('a', 'near'), 0);
    assert.equal(w.network.openStreams('a', 'far'), 1);
    await stopAll(w.clock, [a, b]);
    await Promise.all(relays.map((listener) => listener.stop()));
  });
});

describe('an old peer that closes its first connection while its health is asked over the second', () => {
  test('is dialled again, not kept with a connection that has ended', async () => {
    const w = world(9);
    const streams: ByteStream[] = [];
    const listener = await oldPeer(w, 'old', (stream) => {
      streams.push(stream);
      if (streams.length === 2) streams[0]!.end();
    });
    const a = meshNode(w, { id: 'a', dials: ['old'] });
    w.network.setLinks('a', 'old', { latencyMs: 10 });
    await a.start();
    await w.clock.advance(10_000);
    assert.deepEqual(alive(a), ['old']);
    assert.equal(w.network.openStreams('a', 'old'), 2);
    assert.equal(streams.length, 4);
    await stopAll(w.clock, [a]);
    assert.equal(w.network.openStreams('a', 'old'), 0);
    await listener.stop();
  });
});

describe('two paths to one old peer', () => {
  test('settle on one: a connection for requests and one for health', async () => {
    const w = world(8);
    const listener = await oldPeer(w, 'old');
    const other = await relay(w, 'other', 'old');
    const a = meshNode(w, { id: 'a', dials: [] });
    await a.start();
    a.list.offer(candidateFor('old'));
    await w.clock.advance(1_000);
    a.list.offer(candidateFor('other', { claimedId: 'old' }));
    await w.clock.advance(10_000);
    assert.deepEqual(alive(a), ['old']);
    assert.equal(w.network.openStreams('a', 'old'), 2);
    assert.equal(w.network.openStreams('a', 'other'), 0);
    await stopAll(w.clock, [a]);
    assert.equal(w.network.openStreams('a', 'old'), 0);
    await Promise.all([listener.stop(), other.stop()]);
  });
});
