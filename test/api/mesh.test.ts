import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS, VirtualClock } from '../../src/shared/index.js';
import { json, OWNER_TOKEN, startApi, until } from './harness.js';

const CAPS = {
  model: 'Mac Studio',
  chip: 'Apple M2 Ultra',
  memory: 131072,
  flops: { fp32: 26.98, fp16: 53.96, int8: 107.92 },
};

const TOPOLOGY = {
  nodes: { a: CAPS, b: { ...CAPS, model: 'MacBook Pro', memory: 65536 }, c: { ...CAPS, memory: 8192 } },
  peer_graph: {
    a: [
      { from_id: 'a', to_id: 'b', description: 'MAN' },
      { from_id: 'a', to_id: 'c', description: 'DIRECT (10.0.0.7)' },
    ],
    b: [{ from_id: 'b', to_id: 'a', description: 'Ethernet (eth0)' }],
  },
  active_node_id: null,
};

describe('topology', () => {
  it('has the exact shape of the original on /topology', async (t) => {
    const api = await startApi(t);
    assert.deepEqual(await json(await api.get('/topology')), TOPOLOGY);
    api.mesh.activeNodeId = 'b';
    assert.deepEqual(await json(await api.get('/topology')), { ...TOPOLOGY, active_node_id: 'b' });
  });

  it('has the same and more on /v1/topology', async (t) => {
    const api = await startApi(t);
    assert.deepEqual(await json(await api.get('/v1/topology')), {
      ...TOPOLOGY,
      self_id: 'a',
      legacy_ids: ['c'],
      digest: '0123456789abcdef',
      partitions: [
        { node_id: 'a', start: 0, end: 0.64 },
        { node_id: 'b', start: 0.64, end: 0.96 },
        { node_id: 'c', start: 0.96, end: 1 },
      ],
      outsiders: [],
    });
  });

  it('takes a node id of any spelling as a plain key', async (t) => {
    const api = await startApi(t);
    api.mesh.hostileName = '__proto__';
    const text = await (await api.get('/topology')).text();
    assert.match(text, /"peer_graph":\{"a":\[.*\],"__proto__":\[/);
  });
});

describe('status', () => {
  it('tells self, peers, refusals, warnings, models and shards', async (t) => {
    const api = await startApi(t);
    const body = await json(await api.get('/v1/status'));
    const peers = {
      schema_version: 1,
      peers: [
        {
          id: 'b',
          aliases: ['remote-node-1'],
          state: 'alive',
          reason: 'answers',
          protocol: 'exo',
          address: '127.0.0.1:50052',
          direction: 'out',
          description: 'MAN',
          encrypted: true,
          trust: 'mesh key 0123abcd',
          rtt_ms: 0.4,
          bytes_per_s: 117_600_000,
          silent_ms: 12,
          bytes_in: 100,
          bytes_out: 200,
          capabilities: CAPS,
          next_dial_ms: null,
        },
      ],
      refusals: [
        {
          module: 'udp',
          subject: '10.0.0.9:50051',
          code: 'id-filtered',
          reason: 'the id "x" is not in --node-id-filter',
          at_ms: 1_700_000_000_000,
        },
      ],
      spare_addresses: [],
      warnings: [{ code: 'duplicate-id', message: 'two machines use the id "b"', at_ms: 1_700_000_000_001 }],
    };
    assert.deepEqual(await json(await api.get('/v1/peers')), peers);
    const { self, uptime_ms: uptimeMs, topology, models, ...rest } = body;
    assert.deepEqual(rest, {
      ...peers,
      tunnels: [],
      sheds: [],
      version: '0.1.0',
      downloads: [],
      engine: null,
      default_model: 'dummy',
      plans: [],
    });
    assert.ok(Number(uptimeMs) >= 5_000 && Number(uptimeMs) < 60_000, `${uptimeMs} ms`);
    assert.equal((topology as { self_id: string }).self_id, 'a');
    const { started_at_ms: startedAtMs, ...selfRest } = self as unknown as Record<string, unknown>;
    assert.equal(typeof startedAtMs, 'number');
    assert.deepEqual(selfRest, {
      id: 'a',
      instance: '00112233aabbccdd',
      node_host: '127.0.0.1',
      node_port: 50051,
      capabilities: CAPS,
      discovery: [{ module: 'manual', state: 'peers.json: 2 peers' }],
    });
    assert.deepEqual((models as unknown[])[0], {
      id: 'dummy',
      name: 'Dummy',
      ready: true,
      n_layers: 8,
      shards: [
        { node_id: 'a', start_layer: 0, end_layer: 4 },
        { node_id: 'b', start_layer: 5, end_layer: 6 },
        { node_id: 'c', start_layer: 7, end_layer: 7 },
      ],
      unusable: null,
    });
  });

  it('is healthy', async (t) => {
    const api = await startApi(t);
    assert.deepEqual(await json(await api.get('/healthcheck')), { status: 'ok' });
  });
});

describe('ping', () => {
  it('gives the round trip', async (t) => {
    const api = await startApi(t);
    assert.deepEqual(await json(await api.post('/v1/ping', { node: 'b', timeout_ms: 100 })), {
      schema_version: 1,
      id: 'b',
      rtt_ms: 0.5,
      address: '127.0.0.1:50052',
      direction: 'out',
    });
  });

  it('answers 404 for an unknown node, 504 for a silent one, 400 for nonsense', async (t) => {
    const api = await startApi(t);
    const unknown = await api.post('/v1/ping', { node: 'z' });
    assert.equal(unknown.status, 404);
    assert.equal((await json(unknown)).error.code, 'peer-unknown');
    assert.equal((await api.post('/v1/ping', { node: 'slow' })).status, 504);
    assert.equal((await api.post('/v1/ping', {})).status, 400);
    assert.equal((await api.post('/v1/ping', { node: 'b', timeout_ms: 1e9 })).status, 400);
    const large = await api.post('/v1/ping', { node: 'b', x: 'y'.repeat(LIMITS.httpSmallBodyBytesMax) });
    assert.equal(large.status, 413);
  });
});

describe('quit', () => {
  it('is for the owner only', async (t) => {
    const api = await startApi(t);
    for (const authorization of [
      '',
      'Bearer ',
      'Bearer wrong',
      `Basic ${OWNER_TOKEN}`,
      `Bearer ${OWNER_TOKEN}x`,
    ]) {
      const response = await api.post('/quit', '', authorization === '' ? {} : { authorization });
      assert.equal(response.status, 401, authorization);
      assert.equal(response.headers.get('www-authenticate'), 'Bearer realm="exo"');
      assert.equal((await json(response)).error.type, 'authentication_error');
    }
    assert.equal(api.quits(), 0);
  });

  it('answers, then stops the node once', async (t) => {
    const api = await startApi(t);
    const response = await api.post('/quit', '', { authorization: `Bearer ${OWNER_TOKEN}` });
    assert.deepEqual(await json(response), { detail: 'Quit signal received' });
    await until(() => api.quits() === 1);
  });
});

describe('events', () => {
  async function* snapshots(response: Response): AsyncGenerator<Record<string, Record<string, unknown>>> {
    let rest = '';
    for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const events = (rest + text).split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) if (event.startsWith('data: ')) yield JSON.parse(event.slice(6));
    }
  }

  it('send the state at once and after a change, not more often than the limit', async (t) => {
    const clock = new VirtualClock();
    const api = await startApi(t, { clock });
    const events = snapshots(await api.get('/v1/events'));
    const first = (await events.next()).value;
    assert.equal(first?.['topology']?.['active_node_id'], null);
    api.mesh.activeNodeId = 'b';
    api.mesh.change();
    api.mesh.change();
    await clock.advance(LIMITS.httpEventIntervalMs);
    assert.equal((await events.next()).value?.['topology']?.['active_node_id'], 'b');
    api.mesh.activeNodeId = null;
    await clock.advance(LIMITS.httpEventRefreshMs);
    assert.equal((await events.next()).value?.['topology']?.['active_node_id'], null);
    await events.return(undefined);
    await until(() => api.mesh.listeners === 0);
  });

  it('leave nothing behind after HEAD, and end when the server stops', async (t) => {
    const api = await startApi(t);
    const head = await fetch(`${api.url}/v1/events`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    const response = await api.get('/v1/events');
    await until(() => api.mesh.listeners === 1);
    await api.server.stop();
    await response.text();
    assert.equal(api.mesh.listeners, 0);
  });

  it('are bounded in number', async (t) => {
    const api = await startApi(t);
    const open: Response[] = [];
    for (let index = 0; index < LIMITS.httpEventStreamsMax; index++) open.push(await api.get('/v1/events'));
    assert.equal((await api.get('/v1/events')).status, 429);
    await Promise.all(open.map((response) => response.body?.cancel()));
    await until(() => api.mesh.listeners === 0);
    const again = await api.get('/v1/events');
    assert.equal(again.status, 200);
    await again.body?.cancel();
  });
});
