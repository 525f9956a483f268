import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Connection,
  createConnection,
  createMemoryNetwork,
  createWireShared,
} from '../../src/protocol/index.js';
import { LIMITS, seededRandom, silentLogger, VirtualClock } from '../../src/shared/index.js';
import { handlersOf, helloOf } from '../support/connection-pair.js';
import { baseFrame, correlatedFrame } from '../support/frames.js';
import '../support/leaks.js';

describe('a peer that pings and never reads', () => {
  it('is answered within the soft bound of the queue, then refused', async () => {
    const clock = new VirtualClock();
    const network = createMemoryNetwork({ clock, random: seededRandom(1) });
    let served: Connection | undefined;
    const listener = network.transport('a').listen({ host: 'a', port: 1 }, (stream) => {
      const handlers = handlersOf({ onHello: () => helloOf('a') });
      const shared = { ...createWireShared(), clock, logger: silentLogger, handlers };
      served = createConnection(stream, { role: 'acceptor', trusted: true }, shared);
    });
    await listener.start();
    const dial = network.transport('x').dial({ host: 'a', port: 1 }, { timeoutMs: 1_000 });
    await clock.advance(5);
    const stream = await dial;
    stream.write([baseFrame({ kind: 'health-request', hello: helloOf('x') })]);
    await clock.advance(100);
    assert.equal(served?.state, 'established');
    stream.pause();
    const data = Buffer.alloc(200_000);
    const total = 4 * LIMITS.sendQueueBytesSoft;
    for (let id = 1; id * data.length < total; id++) {
      stream.write([correlatedFrame({ kind: 'ping', data }, id)]);
      await clock.advance(1);
    }
    const { bytesIn, queuedBytes } = served.stats;
    assert.ok(bytesIn > total * 0.9, `${bytesIn} bytes of pings were taken`);
    assert.ok(queuedBytes > 0, 'answers wait');
    assert.ok(queuedBytes < LIMITS.sendQueueBytesSoft * 1.2, `${queuedBytes} bytes of answers wait`);
    stream.destroy();
    await listener.stop();
    await clock.advance(10_000);
    await served.closed;
  });
});
