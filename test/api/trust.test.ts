/** The endpoints of keys and trusted nodes, and the metrics. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Sheds } from '../../src/shared/index.js';
import { json, OWNER_TOKEN, startApi, type TestApi } from './harness.js';
import { StillControl } from './still-trust.js';

const authorization = `Bearer ${OWNER_TOKEN}`;
const KEY = { id: '1f2e3d4c', source: 'file', created_at_ms: 1, until_ms: null, current: true };
const post = async (api: TestApi, path: string, body: unknown = {}) => {
  const response = await api.post(path, body, { authorization });
  return { status: response.status, body: await json(response) };
};

describe('keys and trust', () => {
  it('shows keys without their secrets, and with them only where that was asked', async (t) => {
    const api = await startApi(t, {}, { trust: { control: new StillControl() } });
    const listed = await (await api.get('/v1/keys', { authorization })).text();
    assert.deepEqual(JSON.parse(listed), { schema_version: 1, keys: [KEY] });
    assert.doesNotMatch(listed, /secret/);
    assert.deepEqual((await post(api, '/v1/keys/show')).body['keys'], [
      { ...KEY, key: 'exo1-the-secret', api_token: 'exoapi-the-token' },
    ]);
  });

  it('makes, joins and rotates keys, invites, pins, forgets and joins', async (t) => {
    const control = new StillControl();
    const api = await startApi(t, {}, { trust: { control } });
    const made = await post(api, '/v1/keys/new');
    assert.deepEqual([made.status, made.body.error.code], [409, 'option-conflict']);
    assert.deepEqual((await post(api, '/v1/keys/join', { key: 'exo1-x' })).body['key'], KEY);
    assert.equal((await post(api, '/v1/keys/join', { key: 'exo1-x', replace: true })).status, 200);
    assert.deepEqual((await post(api, '/v1/keys/rotate', { grace_ms: 60_000 })).body['key'], KEY);
    assert.equal((await post(api, '/v1/keys/rotate')).status, 200);
    const { line } = (await post(api, '/v1/keys/invite', { address: 'mac1:50051' })).body;
    assert.equal(line, 'exo join mac1:50051 SHA256:x secret');
    const list = await json(await api.get('/v1/trust', { authorization }));
    assert.deepEqual(list['self'], { id: 'a', fingerprint: `SHA256:${'a'.repeat(43)}` });
    assert.deepEqual(list['trusted'], [
      { id: 'b', fingerprint: `SHA256:${'b'.repeat(43)}`, trust: 'invited', how: 'invitation', since_ms: 2 },
    ]);
    const fingerprint = `SHA256:${'d'.repeat(43)}`;
    assert.deepEqual((await post(api, '/v1/trust', { id: 'd', fingerprint })).body['node'], {
      id: 'd',
      fingerprint,
      trust: 'trusted',
      how: 'by-hand',
      since_ms: 4,
    });
    assert.equal((await post(api, '/v1/trust/join', { invitation: 'x' })).body['id'], 'c');
    for (const [id, status] of [
      ['b', 200],
      ['b?how=connect', 200],
      ['b?how=by-hand', 400],
      ['nobody', 404],
    ] as const) {
      const gone = await fetch(`${api.url}/v1/trust/${id}`, { method: 'DELETE', headers: { authorization } });
      assert.equal(gone.status, status);
    }
    const forgotten = await fetch(`${api.url}/v1/keys/1f2e3d4c`, {
      method: 'DELETE',
      headers: { authorization },
    });
    assert.equal(forgotten.status, 200);
    assert.deepEqual(control.calls, [
      ['join-key', 'exo1-x', false],
      ['join-key', 'exo1-x', true],
      ['rotate', 60_000],
      ['rotate', undefined],
      ['invite', 'mac1:50051'],
      ['trust', 'd', fingerprint],
      ['join', 'x'],
      ['distrust', 'b'],
      ['distrust', 'b', 'connect'],
      ['forget', '1f2e3d4c'],
    ]);
  });

  it('names the field that is wrong, and is not there where the node keeps no keys', async (t) => {
    const control = new StillControl();
    const api = await startApi(t, {}, { trust: { control } });
    for (const [path, body, param] of [
      ['/v1/keys/join', {}, 'key'],
      ['/v1/keys/rotate', { grace_ms: -1 }, 'grace_ms'],
      ['/v1/keys/join', { key: 'x', replace: 'yes' }, 'replace'],
      ['/v1/keys/invite', { address: 5 }, 'address'],
      ['/v1/trust', { id: 'd' }, 'fingerprint'],
      ['/v1/trust', { id: '', fingerprint: 'x' }, 'id'],
      ['/v1/trust/join', {}, 'invitation'],
    ] as const) {
      const { status, body: answer } = await post(api, path, body);
      assert.deepEqual([status, answer.error.param], [400, param], path);
    }
    assert.deepEqual(control.calls, []);
    const bare = await startApi(t);
    assert.equal((await bare.get('/v1/keys', { authorization })).status, 404);
    assert.equal((await bare.get('/v1/keys')).status, 401);
  });
});

describe('metrics', () => {
  it('tells peers, bytes, sheds, tunnels, generations, uptime, memory and loop delay as Prometheus reads them', async (t) => {
    const sheds = new Sheds();
    sheds.add('handshake-full', 3);
    const gauges = { generations: () => 2, connections: () => 5 };
    const api = await startApi(t, {}, { sheds, gauges });
    api.mesh.hostileName = 'b"\n} evil 1';
    const response = await api.get('/metrics');
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    const samples = new Map<string, number>();
    for (const line of text.trimEnd().split('\n')) {
      if (line.startsWith('#')) {
        assert.match(line, /^# (?:HELP exo_\w+ .+|TYPE exo_\w+ (?:counter|gauge))$/);
        continue;
      }
      const match = /^(exo_\w+(?:\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+\})?) (-?[\d.e+-]+)$/.exec(line);
      assert.ok(match !== null, line);
      samples.set(match[1]!, Number(match[2]));
    }
    const peer = String.raw`{peer="b\"\n} evil 1"}`;
    for (const [name, value] of [
      ['exo_peers{state="alive"}', 1],
      ['exo_peers{state="dead"}', 0],
      [`exo_peer_received_bytes_total${peer}`, 100],
      [`exo_peer_sent_bytes_total${peer}`, 200],
      [`exo_peer_rtt_seconds${peer}`, 0.0004],
      ['exo_connections', 5],
      ['exo_generations', 2],
      ['exo_shed_total{reason="handshake-full"}', 3],
      ['exo_tunnels{state="up"}', 0],
      ['exo_warnings', 1],
    ] as const) {
      assert.equal(samples.get(name), value, name);
    }
    assert.ok((samples.get('exo_uptime_seconds') ?? 0) >= 5);
    assert.ok((samples.get('exo_http_connections') ?? 0) >= 1);
    assert.ok((samples.get('exo_memory_bytes{kind="resident"}') ?? 0) > 1_000_000);
    assert.ok(samples.has('exo_event_loop_delay_seconds{quantile="0.99"}'));
    const status = await json(await api.get('/v1/status'));
    assert.deepEqual(status['sheds'], [{ reason: 'handshake-full', count: 3 }]);
  });
});
