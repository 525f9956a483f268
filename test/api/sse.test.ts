import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { SseStream } from '../../src/api/sse.js';
import { LIMITS, VirtualClock } from '../../src/shared/index.js';

/** The two things of a response that a stream uses. */
class Outgoing extends EventEmitter {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function open() {
  const clock = new VirtualClock();
  const outgoing = new Outgoing();
  let left = 0;
  const events = new SseStream(clock, outgoing as unknown as ServerResponse, () => {
    left += 1;
  });
  return { clock, outgoing, events, left: () => left };
}

describe('event stream', () => {
  it('writes events in order and ends', async () => {
    const { events } = open();
    void events.send({ a: 1 });
    void events.send('[DONE]');
    events.close();
    events.close();
    assert.equal(await new Response(events.body).text(), 'data: {"a":1}\n\ndata: [DONE]\n\n');
  });

  it('makes the sender wait for a reader that does not read', async () => {
    const { events } = open();
    let sent = false;
    const sending = events.send('x'.repeat(LIMITS.httpStreamBufferBytes)).then(() => {
      sent = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(sent, false);
    assert.equal(events.hasRoom, false);
    const reader = events.body.getReader();
    await reader.read();
    await sending;
    assert.equal(sent, true);
    await reader.cancel();
  });

  it('cuts a reader that takes nothing for two pings, also after the end', async () => {
    for (const ended of [false, true]) {
      const { clock, outgoing, events, left } = open();
      void events.send('x'.repeat(LIMITS.httpStreamBufferBytes));
      if (ended) events.close();
      await clock.advance(2 * LIMITS.httpPingMs);
      assert.equal(outgoing.destroyed, true);
      assert.equal(left(), ended ? 0 : 1);
      assert.equal(clock.pending, 0);
    }
  });

  it('tells once that the client left, wakes the sender, and leaves no timer', async () => {
    const { clock, outgoing, events, left } = open();
    const sending = events.send('x'.repeat(LIMITS.httpStreamBufferBytes));
    outgoing.emit('close');
    await sending;
    await events.body.cancel();
    await events.send('late');
    assert.equal(left(), 1);
    assert.equal(events.open, false);
    assert.equal(clock.pending, 0);
  });

  it('is over at once on a response that is gone already', () => {
    const clock = new VirtualClock();
    const outgoing = new Outgoing();
    outgoing.destroyed = true;
    let left = 0;
    const events = new SseStream(clock, outgoing as unknown as ServerResponse, () => {
      left += 1;
    });
    assert.equal(events.open, false);
    assert.equal(left, 1);
    assert.equal(clock.pending, 0);
  });
});
