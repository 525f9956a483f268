import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '../../src/shared/index.js';
import { json, OWNER_TOKEN, readEvents, startApi } from './harness.js';

describe('models', () => {
  it('lists all, and one by its id', async (t) => {
    const api = await startApi(t);
    const model = { object: 'model', owned_by: 'exo' };
    const dummy = { id: 'dummy', ...model, ready: true, downloaded: true, download_percentage: 100 };
    const later = { id: 'org/later', ...model, ready: false, downloaded: false, download_percentage: 0 };
    for (const path of ['/v1/models', '/models']) {
      assert.deepEqual(await json(await api.get(path)), { object: 'list', data: [dummy, later] });
    }
    assert.deepEqual(await json(await api.get('/v1/models/dummy')), dummy);
    assert.deepEqual(await json(await api.get('/v1/models/org/later')), later);
    assert.deepEqual(await json(await api.get('/v1/models/org%2Flater')), later);
    for (const id of ['nope', 'gpt-4o']) {
      const response = await api.get(`/v1/models/${id}`);
      assert.equal(response.status, 404);
      assert.equal((await json(response)).error.code, 'model_not_found');
    }
  });

  it('tells the truth about files in the original’s shape', async (t) => {
    const api = await startApi(t);
    const ready = { downloaded: true, download_percentage: 100, total_size: 0, total_downloaded: 0 };
    const missing = { downloaded: false, download_percentage: 0, total_size: 0, total_downloaded: 0 };
    assert.deepEqual(await json(await api.get('/initial_models')), {
      dummy: { name: 'Dummy', ...ready, loading: false },
      'org/later': { name: 'org/later', ...missing, loading: false },
    });
    const pool = await api.get('/modelpool');
    assert.match(pool.headers.get('content-type') ?? '', /^text\/event-stream/);
    assert.deepEqual(await readEvents(pool), [
      JSON.stringify({ dummy: ready }),
      JSON.stringify({ 'org/later': missing }),
      '[DONE]',
    ]);
    assert.deepEqual(await json(await api.get('/v1/download/progress')), {});
  });

  it('downloads nothing that needs no download, and deletes nothing that is not there', async (t) => {
    const api = await startApi(t);
    const authorization = `Bearer ${OWNER_TOKEN}`;
    const post = (body: object) => api.post('/download', body, { authorization });
    assert.equal((await api.post('/download', { model: 'dummy' })).status, 401, 'without a token');
    assert.deepEqual(await json(await post({ model: 'dummy' })), {
      status: 'success',
      message: 'dummy is ready; nothing needs to be downloaded',
    });
    assert.equal((await post({ model: 'org/later' })).status, 501);
    assert.equal((await post({ model: 'nope' })).status, 404);
    assert.equal((await post({})).status, 400);
    const badPulls = [
      { model: 'org/later', layers: [5, 2] },
      { model: 'x'.repeat(LIMITS.modelIdCharsMax + 1) },
    ];
    for (const body of badPulls) {
      const refused = await api.post('/v1/download', body, { authorization });
      assert.equal(refused.status, 400);
      assert.match(
        (await json(refused)).error.message,
        /^(layers: must be \[first, last\]|model: at most 512)/,
      );
    }
    for (const id of ['dummy', 'nope', '../etc']) {
      const response = await fetch(`${api.url}/models/${encodeURIComponent(id)}`, {
        method: 'DELETE',
        headers: { authorization },
      });
      assert.equal(response.status, 404);
      assert.equal(typeof (await json(response)).detail, 'string');
    }
  });

  it('says that pictures are not supported yet', async (t) => {
    const api = await startApi(t);
    for (const path of ['/v1/image/generations', '/create_animation']) {
      const response = await api.post(path, {});
      assert.equal(response.status, 501);
      const body = await json(response);
      assert.match(body.detail, /not supported yet/);
      assert.equal(body.error.code, 'http-unsupported');
    }
  });
});
