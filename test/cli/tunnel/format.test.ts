/** Tunnels as lines. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createColors } from 'picocolors/picocolors.js';
import {
  formatTunnel,
  formatTunnels,
  paintState,
  stateLine,
  tunnelSummary,
} from '../../../src/cli/format/tunnels.js';
import { newEvents } from '../../../src/cli/tunnel/list.js';
import { event, forward, tunnel } from './tunnel-json.js';

const plain = createColors(false);
const view = (...tunnels: ReturnType<typeof tunnel>[]) => ({ schema_version: 1, tunnels, warnings: [] });

describe('tunnels as lines', () => {
  test('the list has one line each: name, state, since, destination, forwards, rtt, restarts, reason', () => {
    const lost = tunnel({
      name: 'gw1',
      state: 'backoff',
      code: 'connect-refused',
      reason: 'nothing listens on port 22 of network1',
      rtt_ms: null,
      next_try_ms: 3_000,
      restarts: 0,
    });
    const lines = formatTunnels(view(tunnel(), lost), 61_000, plain);
    assert.match(lines[0]!, /^ {2}NAME +STATE +SINCE +DESTINATION +FORWARDS +RTT +RESTARTS +REASON$/);
    assert.match(
      lines[1]!,
      /^ {2}mac2 +up +1 min +remoteuser@192\.168\.2\.1 +-L 50052:localhost:50051 +1\.25 ms +2$/,
    );
    assert.match(lines[2]!, /^ {2}gw1 +backoff .* - +0 +next try in 3 s: nothing listens on port 22/);
    assert.equal(lines.length, 3);
  });

  test('an empty list says how to fill it, and warnings stand below', () => {
    assert.match(formatTunnels(view(), 0, plain)[0]!, /^no tunnels; exo tunnel open --help/);
    const warned = { ...view(), warnings: [{ code: 'tunnel-clash', message: 'both want 50052', at_ms: 0 }] };
    assert.match(
      formatTunnels(warned, 0, plain).join('\n'),
      /# warnings\n {2}- tunnel-clash: both want 50052/,
    );
  });

  test('one tunnel shows its ends, its notes, its ssh and what happened', () => {
    const text = formatTunnel(
      {
        tunnel: tunnel({
          state: 'degraded',
          reason: 'no node answers there',
          notes: ['a pty is held: small messages do not wait'],
          forwards: [
            forward(),
            forward({ kind: 'R', listen: 'localhost:50060', verdict: 'closed', rtt_ms: null }),
          ],
        }),
        history: [
          event(),
          event({ from: 'up', to: 'degraded', code: 'remote-node-down', reason: 'nobody there' }),
        ],
      },
      2_000,
      plain,
    ).join('\n');
    for (const pattern of [
      /^mac2 {2}degraded for 1 s, 2 restarts$/m,
      /^ {2}no node answers there$/m,
      /destination +remoteuser@192\.168\.2\.1/,
      /described in +peers\.json/,
      /ssh +openssh, pid 4711, aes128-gcm/,
      /traffic +2\.0 KiB in, 1\.0 KiB out/,
      /-L here 127\.0\.0\.1:50052 → localhost:50051 there +ok +1\.25 ms/,
      /-R there localhost:50060 → localhost:50051 here +closed +-/,
      /note: a pty is held/,
      /\d\d:\d\d:\d\d {2}up → degraded {2}nobody there \(remote-node-down\)/,
    ]) {
      assert.match(text, pattern);
    }
  });

  test('exo status mentions only those that are not up', () => {
    assert.deepEqual(tunnelSummary([tunnel(), tunnel({ state: 'stopped' })], plain), []);
    const lines = tunnelSummary(
      [tunnel(), tunnel({ name: 'gw1', state: 'failed', reason: 'wrong key' })],
      plain,
    );
    assert.match(lines.join('\n'), /exo doctor tunnels[^\n]*\n {2}gw1 failed: wrong key$/);
  });

  test('states have a colour each, and none without colours', () => {
    const c = createColors(true);
    assert.equal(paintState('up', 'up', c), c.green('up'));
    assert.equal(paintState('failed', 'failed', c), c.red('failed'));
    assert.equal(paintState('gate', 'gate', c), c.yellow('gate'));
    assert.equal(paintState('gate', 'gate', plain), 'gate');
  });

  test('what a server said cannot steer the terminal', () => {
    const evil = '\u001b]0;owned\u0007\u202e';
    const bad = tunnel({
      name: evil,
      destination: evil,
      reason: evil,
      state: evil,
      notes: [evil],
      cipher: evil,
      forwards: [forward({ text: evil, listen: evil, target: evil, verdict: evil })],
    });
    const text = [
      ...formatTunnels(view(bad), 0, plain),
      ...formatTunnel({ tunnel: bad, history: [event({ reason: evil, to: evil })] }, 0, plain),
      stateLine(bad, plain),
    ].join('\n');
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f\u202e]/);
  });

  test('new events are those behind the last known one, whatever was forgotten before it', () => {
    const all = [1, 2, 3, 4].map((at) => event({ at_ms: at }));
    assert.deepEqual(newEvents(all, []), all);
    assert.deepEqual(newEvents(all.slice(1), all.slice(0, 2)), all.slice(2));
    assert.deepEqual(newEvents(all, all), []);
    assert.deepEqual(newEvents(all.slice(2), all.slice(0, 1)), all.slice(2));
  });
});
