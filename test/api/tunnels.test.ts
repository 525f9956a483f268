/** The endpoints of tunnels, over a list that stands still. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ExoError, LIMITS, VirtualClock } from '../../src/shared/index.js';
import { json, OWNER_TOKEN, startApi, type TestApi, until } from './harness.js';
import { tunnelStatus } from './still-tunnels.js';

const OWNER = { authorization: `Bearer ${OWNER_TOKEN}` };
const SPEC = { ssh: 'user@host:2222', forward: ['50052:localhost:50051'] };

const remove = (api: TestApi, name: string, headers: Record<string, string> = OWNER) =>
  fetch(`${api.url}/v1/tunnels/${encodeURIComponent(name)}`, { method: 'DELETE', headers });

describe('tunnels', () => {
  it('are listed in snake_case, with the warnings that are about them', async (t) => {
    const api = await startApi(t);
    api.mesh.tunnels.add(tunnelStatus({ notes: ['a pty is held'], nextTryInMs: 1_500 }));
    const body = await json(await api.get('/v1/tunnels'));
    assert.deepEqual(body, {
      schema_version: 1,
      tunnels: [
        {
          name: 'mac2',
          source: 'peers-file',
          peer: 'mac2',
          destination: 'remoteuser@192.168.2.1',
          driver: 'openssh',
          state: 'up',
          reason: 'a health check came back',
          code: null,
          since_at_ms: 1_700_000_000_000,
          up_since_at_ms: 1_700_000_000_000,
          restarts: 1,
          next_try_ms: 1_500,
          bytes_in: 2_048,
          bytes_out: 1_024,
          rtt_ms: 1.25,
          forwards: [
            {
              kind: 'L',
              text: '50052:localhost:50051',
              listen: '127.0.0.1:50052',
              target: 'localhost:50051',
              verdict: 'ok',
              rtt_ms: 1.25,
            },
            {
              kind: 'R',
              text: '50060:localhost:50060',
              listen: 'localhost:50060',
              target: 'localhost:50060',
              verdict: 'ok',
              rtt_ms: 1.5,
            },
          ],
          pid: 4711,
          cipher: 'aes128-gcm@openssh.com',
          notes: ['a pty is held'],
        },
      ],
      warnings: [],
    });
    const status = await json(await api.get('/v1/status'));
    assert.deepEqual(status['tunnels'], body['tunnels']);
  });

  it('are not what peers.json says while it cannot be read, which is said', async (t) => {
    const api = await startApi(t);
    const reason = 'peers.json:3:5: "forward" must be a list';
    const unread = {
      module: 'manual',
      subject: 'peers.json',
      code: 'peers-file-invalid',
      reason,
      atMs: 7,
    } as const;
    const { refusals } = api.mesh;
    t.mock.method(api.mesh, 'refusals', () => [...refusals.call(api.mesh), unread]);
    const { warnings } = await json(await api.get('/v1/tunnels'));
    assert.deepEqual(warnings, [{ code: 'peers-file-invalid', message: reason, at_ms: 7 }]);
  });

  it('are shown one by one with their history, under names of any spelling', async (t) => {
    const api = await startApi(t);
    const event = { atMs: 5, from: 'gate', to: 'up', code: null, reason: 'proven' } as const;
    for (const name of ['reload', 'user@[::1]:22', 'a/b', 'ü %41', '__proto__']) {
      api.mesh.tunnels.add(tunnelStatus({ name }), [event]);
      const response = await api.get(`/v1/tunnels/${encodeURIComponent(name)}`);
      assert.equal(response.status, 200, name);
      const body = await json(response);
      assert.equal((body['tunnel'] as { name: string }).name, name);
      assert.deepEqual(body['history'], [{ at_ms: 5, from: 'gate', to: 'up', code: null, reason: 'proven' }]);
    }
    const unknown = await api.get('/v1/tunnels/nobody');
    assert.equal(unknown.status, 404);
    assert.equal((await json(unknown)).error.code, 'tunnel-unknown');
  });

  it('are opened from the words of peers.json, and named if a name is given', async (t) => {
    const api = await startApi(t);
    const named = await api.post('/v1/tunnels', { ...SPEC, name: 'gw1' }, OWNER);
    assert.equal(named.status, 201);
    const { tunnel } = (await json(named)) as unknown as { tunnel: { name: string; state: string } };
    assert.deepEqual([tunnel.name, tunnel.state], ['gw1', 'starting']);
    const [spec] = api.mesh.tunnels.opened;
    assert.deepEqual([spec?.source, spec?.destination.port, spec?.probe], ['command', 2222, true]);
    await api.post('/v1/tunnels', SPEC, OWNER);
    assert.equal(api.mesh.tunnels.opened[1]?.name, 'user@host:2222');
    const again = await api.post('/v1/tunnels', { ...SPEC, name: 'gw1' }, OWNER);
    assert.deepEqual([again.status, (await json(again)).error.code], [409, 'tunnel-exists']);
  });

  it('that are badly described are refused with the field and the reason', async (t) => {
    const api = await startApi(t);
    for (const [body, code, words] of [
      [{}, 'http-invalid', /^ssh: must say where to connect to/],
      [{ ssh: 'host', name: '' }, 'http-invalid', /^name: must not be empty/],
      [{ ssh: 'host' }, 'tunnel-spec-invalid', /without a forward it leads nowhere/],
      [{ ...SPEC, ssh: '-oProxyCommand=x' }, 'tunnel-spec-invalid', /ssh/],
      [{ ...SPEC, options: { ProxyCommand: 'x' } }, 'tunnel-spec-invalid', /ProxyCommand is refused/],
      [{ ...SPEC, identity: 'relative' }, 'tunnel-spec-invalid', /identity/],
    ] as const) {
      const response = await api.post('/v1/tunnels', body, OWNER);
      const { error } = await json(response);
      assert.deepEqual([response.status, error.code], [400, code], JSON.stringify(body));
      assert.match(error.message, words);
    }
    assert.deepEqual(api.mesh.tunnels.opened, []);
  });

  it('are closed by name', async (t) => {
    const api = await startApi(t);
    api.mesh.tunnels.add(tunnelStatus());
    const response = await remove(api, 'mac2');
    assert.equal(response.status, 200);
    assert.deepEqual(api.mesh.tunnels.closed, ['mac2']);
    assert.equal((await remove(api, 'mac2')).status, 404);
  });

  it('are reloaded, and answered also where the ssh of one that is gone does not end', async (t) => {
    const clock = new VirtualClock();
    const api = await startApi(t, { clock });
    api.mesh.tunnels.releases = new Promise(() => undefined);
    let isAnswered = false;
    const answer = api.post('/v1/tunnels/reload', {}, OWNER).finally(() => {
      isAnswered = true;
    });
    await until(() => api.mesh.tunnels.waitedFor === 1);
    await clock.advance(LIMITS.tunnelReleaseMs - 1);
    assert.equal(isAnswered, false);
    await clock.advance(1);
    assert.equal((await answer).status, 200);
  });

  it('are reloaded: the file is read first, then one or all are tried again', async (t) => {
    const api = await startApi(t);
    api.mesh.tunnels.add(tunnelStatus());
    assert.equal((await api.post('/v1/tunnels/reload', {}, OWNER)).status, 200);
    assert.equal((await api.post('/v1/tunnels/reload', { name: 'mac2' }, OWNER)).status, 200);
    assert.deepEqual([api.mesh.reloads, api.mesh.tunnels.retried], [2, [undefined, 'mac2']]);
    assert.equal(api.mesh.tunnels.waitedFor, 2, 'what is gone has let go of its ports');
    api.mesh.brokenFile = new ExoError('peers-file-invalid', 'peers.json:1:2: no');
    const broken = await api.post('/v1/tunnels/reload', {}, OWNER);
    assert.deepEqual([broken.status, (await json(broken)).error.code], [422, 'peers-file-invalid']);
    assert.equal(
      api.mesh.tunnels.retried.length,
      3,
      'what the old file describes is tried again all the same',
    );
    api.mesh.brokenFile = undefined;
    assert.equal((await api.post('/v1/tunnels/reload', { name: 'nobody' }, OWNER)).status, 404);
  });

  it('are changed by the owner only, and looked at by everybody', async (t) => {
    const api = await startApi(t);
    api.mesh.tunnels.add(tunnelStatus());
    for (const headers of [{}, { authorization: 'Bearer wrong' }] as ReadonlyArray<Record<string, string>>) {
      assert.equal((await api.post('/v1/tunnels', SPEC, headers)).status, 401);
      assert.equal((await api.post('/v1/tunnels/reload', {}, headers)).status, 401);
      assert.equal((await remove(api, 'mac2', headers)).status, 401);
    }
    assert.deepEqual(
      [api.mesh.tunnels.opened, api.mesh.tunnels.closed, api.mesh.tunnels.retried, api.mesh.reloads],
      [[], [], [], 0],
    );
    assert.equal((await api.get('/v1/tunnels')).status, 200);
  });

  it('have no other methods', async (t) => {
    const api = await startApi(t);
    const response = await fetch(`${api.url}/v1/tunnels`, { method: 'PUT', headers: OWNER });
    assert.deepEqual([response.status, response.headers.get('allow')], [405, 'OPTIONS, GET, HEAD, POST']);
  });
});
