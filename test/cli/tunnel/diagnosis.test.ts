/** What `exo doctor tunnels` says, for every code that a tunnel may have. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TunnelJson } from '../../../src/cli/api-shapes.js';
import { diagnose, FINDINGS, type Finding, sshTo } from '../../../src/cli/tunnel/diagnosis.js';
import { TUNNEL_FAILURES } from '../../../src/tunnels/index.js';
import { event, forward, tunnel } from './tunnel-json.js';

const of = (over: Partial<TunnelJson>) => diagnose({ tunnel: tunnel(over), history: [] }, 10_000);

/** Each code of a tunnel that is not up, and the finding. */
const EXPECTED: Readonly<
  Record<keyof typeof TUNNEL_FAILURES | 'remote-node-down' | 'port-mismatch', Finding>
> = {
  'ssh-missing': 'ssh-missing',
  'spec-refused': 'bad-description',
  'port-clash': 'port-clash',
  'resolve-failed': 'ssh-down',
  'connect-refused': 'ssh-down',
  'connect-timeout': 'ssh-down',
  'network-unreachable': 'ssh-down',
  'server-silent': 'ssh-down',
  'not-ssh': 'ssh-down',
  'no-common-algorithm': 'ssh-down',
  'host-key-unknown': 'host-key',
  'host-key-changed': 'host-key',
  'host-key-revoked': 'host-key',
  'host-key-unreadable': 'host-key',
  'auth-failed': 'auth',
  'identity-unreadable': 'auth',
  'forward-refused': 'forward-refused',
  'local-port-busy': 'local-port-busy',
  'local-address-missing': 'local-address-missing',
  'local-port-ephemeral': 'local-port-ephemeral',
  'remote-port-busy': 'stale-listener',
  'connection-lost': 'ssh-down',
  'keepalive-timeout': 'ssh-down',
  'probe-timeout': 'path-silent',
  'server-closed': 'ssh-down',
  killed: 'ssh-down',
  'driver-fault': 'ssh-down',
  'remote-node-down': 'remote-node-down',
  'port-mismatch': 'port-mismatch',
};

describe('the doctor of tunnels', () => {
  test('has a finding for every code, with the reason as evidence and something to do', () => {
    assert.deepEqual(
      Object.keys(TUNNEL_FAILURES).filter((code) => !Object.hasOwn(EXPECTED, code)),
      [],
    );
    for (const [code, finding] of Object.entries(EXPECTED)) {
      const found = of({ state: 'failed', code, reason: `because of ${code}` });
      assert.equal(found.finding, finding, code);
      assert.equal(found.ok, false, code);
      assert.equal(found.evidence[0], `because of ${code}`);
      assert.ok(found.next.length > 0, `${code} has no next step`);
      assert.ok(FINDINGS[found.finding].length > 0);
    }
  });

  test('finds all well only when a health check has come back', () => {
    assert.deepEqual(of({}), {
      finding: 'all-well',
      ok: true,
      evidence: ['-L 50052:localhost:50051: a health check came back in 1.3 ms'],
      next: [],
    });
    const unproven = of({ forwards: [forward({ verdict: 'untested', rtt_ms: null })] });
    assert.deepEqual([unproven.finding, unproven.ok], ['not-probed', true]);
    assert.deepEqual([of({ state: 'starting' }).finding, of({ state: 'gate' }).ok], ['on-its-way', false]);
    assert.deepEqual([of({ state: 'stopped' }).finding, of({ state: 'stopped' }).ok], ['closed', true]);
  });

  test('finds the one forward of an up tunnel that does not work', () => {
    const second = forward({ kind: 'R', text: '50060:localhost:50060', target: 'localhost:50060' });
    for (const [verdict, finding] of [
      ['closed', 'remote-node-down'],
      ['not-exo', 'port-mismatch'],
      ['silent', 'path-silent'],
    ] as const) {
      const found = of({ forwards: [forward(), { ...second, verdict, rtt_ms: null }] });
      assert.deepEqual([found.finding, found.ok], [finding, false]);
      assert.match(found.evidence.join('\n'), /^-R 50060:localhost:50060: connects/m);
    }
  });

  test('names the port to look for where somebody else has it', () => {
    const { next } = of({ state: 'backoff', code: 'local-port-busy' });
    assert.match(next[0]!, /lsof -nP -iTCP:50052 -sTCP:LISTEN$/);
    const listens = ['localhost:50052', '[::1]:50053', '/run/exo.sock', 'localhost:0'];
    const busy = { state: 'backoff', code: 'local-port-busy' } as const;
    const forwards = listens.map((listen) => forward({ listen }));
    const several = of({ ...busy, forwards });
    assert.match(several.next[0]!, /lsof -nP -iTCP:50052,50053 -sTCP:LISTEN$/);
    const ephemeral = of({ ...busy, code: 'local-port-ephemeral', forwards });
    assert.match(ephemeral.next[0]!, /ss -tanp 'sport = :50052 or sport = :50053'$/);
    assert.doesNotMatch(ephemeral.next.join(), /end that program/);
    const unix = of({ ...busy, forwards: [forward({ listen: '/run/exo.sock' })] });
    assert.match(unix.next[0]!, /lsof \/run\/exo\.sock$/);
  });

  test('says that a failed tunnel is tried again by itself of none', () => {
    for (const code of Object.keys(EXPECTED)) {
      const { next } = of({ state: 'failed', code });
      assert.doesNotMatch(next[1] ?? '', /nothing else needs to be done/, code);
    }
    assert.match(of({ state: 'failed', code: 'not-ssh' }).next[1]!, /then: exo tunnel reload mac2$/);
    assert.match(of({ state: 'backoff', code: 'connect-refused' }).next[1]!, /tried again by itself/);
  });

  test('leads nobody to log in to a host whose key has changed or is revoked, before it is known why', () => {
    assert.match(of({ state: 'failed', code: 'host-key-changed' }).next[0]!, /^find out why/);
    assert.deepEqual(of({ state: 'failed', code: 'host-key-revoked' }).next, [
      'do not connect; ask whoever runs the host for its new key',
    ]);
  });

  test('takes a key that cannot be read for no key that is not accepted', () => {
    const { next } = of({ state: 'failed', code: 'identity-unreadable' });
    assert.match(next[0]!, /: ssh-add$/);
    assert.doesNotMatch(next.join('\n'), /ssh-copy-id/);
  });

  test('counts how often it broke lately', () => {
    const history = [1, 2, 3].map((at) => event({ at_ms: at * 1_000, from: 'up', to: 'backoff' }));
    const { evidence } = diagnose({ tunnel: tunnel(), history }, 10_000);
    assert.match(evidence.join('\n'), /it broke 3 times in the last 10 minutes/);
    const later = diagnose({ tunnel: tunnel(), history }, 10_000_000);
    assert.doesNotMatch(later.evidence.join('\n'), /it broke/);
  });

  test('writes destinations as ssh takes them, and quotes what a shell would read', () => {
    assert.equal(sshTo('user@host'), 'ssh user@host');
    assert.equal(sshTo('user@host:2222', '-v'), 'ssh -v -p 2222 user@host');
    assert.equal(sshTo('user@[::1]:22'), 'ssh -p 22 user@::1');
    assert.equal(sshTo('ssh://user@host:22'), 'ssh ssh://user@host:22');
    assert.equal(sshTo('a b;c'), "ssh 'a b;c'");
    assert.match(of({ name: "o'brien", state: 'starting' }).next[0]!, /status --watch 'o'\\''brien'$/);
    assert.match(of({ name: '-rf', state: 'starting' }).next[0]!, /status --watch -- -rf$/);
    assert.match(of({ name: "-o'b c", state: 'starting' }).next[0]!, /status --watch -- '-o'\\''b c'$/);
  });
});
