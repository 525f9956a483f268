/** Where answers are computed, over HTTP. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ChatService } from '../../src/api/ports.js';
import type { PlannedModel } from '../../src/inference/index.js';
import { ExoError } from '../../src/shared/index.js';
import { json, type ScriptedChat, startApi } from './harness.js';

const PLANNED: PlannedModel = {
  model: 'dummy',
  plan: {
    ring: [
      { nodeId: 'a', shard: { modelId: 'dummy', startLayer: 0, endLayer: 3, nLayers: 8 } },
      { nodeId: 'b', shard: { modelId: 'dummy', startLayer: 4, endLayer: 7, nLayers: 8 } },
    ],
    prediction: {
      tokensPerS: 41.23456,
      stepsMs: 0.6,
      firstTokenMs: 250,
      fetchMs: 0,
      loadMs: 40.25,
      loadBytes: 1e6,
      isLoadAssumed: true,
      isAssumed: true,
      isFetchAssumed: false,
    },
    paths: [{ from: 'a', to: 'b', rttMs: 0.31, bytesPerS: 117_600_000, isAssumed: false }],
    reason: 'over a, b: no node has the memory for all layers',
    outsiders: [{ id: 'c', reason: 'no tokenizer' }],
  },
};

describe('plan', () => {
  it('tells ring, prediction, reason and who takes no layers', async (t) => {
    const api = await startApi(t);
    const asked: Array<readonly [string | undefined, boolean | undefined]> = [];
    const chat: ScriptedChat & Pick<ChatService, 'plan'> = api.chat;
    chat.plan = async (model, { mayFetch }) => {
      asked.push([model, mayFetch]);
      return PLANNED;
    };
    const body = await json(await api.get('/v1/plan?model=org%2Flater'));
    assert.deepEqual(body, {
      schema_version: 1,
      model: 'dummy',
      reason: PLANNED.plan.reason,
      ring: [
        { node_id: 'a', start_layer: 0, end_layer: 3 },
        { node_id: 'b', start_layer: 4, end_layer: 7 },
      ],
      predicted: {
        tokens_per_s: 41.235,
        first_token_ms: 250,
        fetch_ms: 0,
        load_ms: 40.25,
        load_assumed: true,
        paths_assumed: true,
        fetch_assumed: false,
      },
      paths: [{ from: 'a', to: 'b', rtt_ms: 0.31, bytes_per_s: 117_600_000, measured: true }],
      outsiders: [{ node_id: 'c', reason: 'no tokenizer' }],
    });
    await api.get('/v1/plan');
    await api.post('/v1/plan', { model: 'org/later' });
    await api.post('/v1/plan', {});
    assert.deepEqual(asked, [
      ['org/later', false],
      [undefined, false],
      ['org/later', true],
      [undefined, true],
    ]);
    assert.equal((await api.post('/v1/plan', { model: 'x'.repeat(513) })).status, 400);
    assert.equal((await api.get(`/v1/plan?model=${'x'.repeat(513)}`)).status, 400);
    chat.plan = async () => {
      throw new ExoError('out-of-memory', 'it needs 40.0 GB');
    };
    assert.equal((await api.get('/v1/plan')).status, 503);
    chat.plan = async () => {
      throw new ExoError('model-unknown', 'Unsupported model: x; fetch another with: exo model pull');
    };
    const unknown = await api.get('/v1/plan?model=x');
    assert.equal(unknown.status, 404);
    assert.match(await unknown.text(), /exo model pull \(a GET fetches nothing; POST/);
  });

  it('is kept beside what came of it, in status, topology and metrics', async (t) => {
    const api = await startApi(t);
    assert.ok(!(await (await api.get('/metrics')).text()).includes('exo_plan_error_ratio'));
    Object.assign(api.chat, {
      plans: {
        notes: [
          {
            requestId: 'r',
            model: 'dummy',
            atMs: 1,
            ring: [{ nodeId: 'a', startLayer: 0, endLayer: 7 }],
            reason: 'why',
            outsiders: PLANNED.plan.outsiders,
            predicted: { tokensPerS: 44, firstTokenMs: 100 },
            measured: { tokensPerS: 40, firstTokenMs: 80 },
          },
        ],
        lastErrors: { tokensPerSRatio: 0.1, firstTokenRatio: 0.25 },
      },
    });
    const status = await json(await api.get('/v1/status'));
    assert.deepEqual(status['plans'], [
      {
        request_id: 'r',
        model: 'dummy',
        ring: [{ node_id: 'a', start_layer: 0, end_layer: 7 }],
        reason: 'why',
        predicted: { tokens_per_s: 44, first_token_ms: 100 },
        measured: { tokens_per_s: 40, first_token_ms: 80 },
        error_ratio: 0.1,
      },
    ]);
    const topology = await json(await api.get('/v1/topology'));
    assert.deepEqual(topology['outsiders'], [{ node_id: 'c', model: 'dummy', reason: 'no tokenizer' }]);
    const metrics = await (await api.get('/metrics')).text();
    assert.match(metrics, /exo_plan_error_ratio\{figure="tokens_per_second"\} 0\.1\n/);
    assert.match(metrics, /exo_plan_error_ratio\{figure="first_token"\} 0\.25\n/);
  });
});
