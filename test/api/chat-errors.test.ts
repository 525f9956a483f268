import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ErrorCode, ExoError, LIMITS, VirtualClock } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { json, startApi, until } from './harness.js';

const PATH = '/v1/chat/completions';
const USER = [{ role: 'user', content: 'Who are you?' }];
const ask = (extra: object = {}) => ({ model: 'dummy', messages: USER, ...extra });

describe('chat, errors', () => {
  it('answers an unknown model with 404 and the known names', async (t) => {
    const api = await startApi(t);
    const response = await api.post(PATH, ask({ model: 'nope', stream: true }));
    assert.equal(response.status, 404);
    assert.deepEqual(await json(response), {
      error: {
        message: 'Unsupported model: nope; known models: dummy, org/later',
        type: 'invalid_request_error',
        param: 'model',
        code: 'model_not_found',
      },
      detail: 'Unsupported model: nope; known models: dummy, org/later',
    });
    assert.equal(api.chat.requests.length, 0);
  });

  const REFUSALS: [ErrorCode, number, string, string | null][] = [
    ['overloaded', 429, 'rate_limit_error', '1'],
    ['ring-incomplete', 503, 'server_error', '2'],
    ['peer-lost', 503, 'server_error', '2'],
    ['peer-unreachable', 503, 'server_error', '2'],
    ['engine-failed', 500, 'server_error', null],
  ];
  for (const [code, status, type, retryAfter] of REFUSALS) {
    it(`answers ${code} with ${status}, streamed or not`, async (t) => {
      const api = await startApi(t);
      api.chat.refusal = new ExoError(code, 'words');
      for (const stream of [false, true]) {
        const response = await api.post(PATH, ask({ stream }));
        assert.equal(response.status, status);
        assert.equal(response.headers.get('retry-after'), retryAfter);
        assert.deepEqual(await json(response), {
          error: { message: 'words', type, param: null, code },
          detail: 'words',
        });
      }
    });
  }

  for (const deaf of [false, true]) {
    it(`answers 408 after the response timeout${deaf ? ', even if the ring does not listen' : ''}`, async (t) => {
      const clock = new VirtualClock();
      const api = await startApi(t, { clock, responseTimeoutMs: 900_000 });
      api.chat.endless = true;
      api.chat.deaf = deaf;
      const answer = api.post(PATH, ask());
      await until(() => api.chat.handedOut === 10);
      await clock.advance(900_000);
      const response = await answer;
      assert.equal(response.status, 408);
      const body = await json(response);
      assert.equal(body.error.code, 'generation-timeout');
      assert.match(body.detail, /--chatgpt-api-response-timeout/);
      assert.equal(api.chat.requests[0]?.signal.aborted, true);
    });
  }

  it('aborts the work of a whole answer when the client leaves', async (t) => {
    const api = await startApi(t);
    api.chat.endless = true;
    const client = new AbortController();
    const answer = fetch(`${api.url}${PATH}`, {
      method: 'POST',
      body: JSON.stringify(ask()),
      signal: client.signal,
    }).catch((error: Error) => error.name);
    await until(() => api.chat.handedOut === 10);
    client.abort();
    const tookMs = await until(() => api.chat.requests[0]?.signal.aborted === true);
    assert.ok(tookMs <= inTime(500), `${tookMs} ms`);
    assert.equal(await answer, 'AbortError');
  });

  const BAD: [object, string | null, RegExp][] = [
    [{ messages: undefined }, 'messages', /must be a list/],
    [{ messages: [] }, 'messages', /at least one/],
    [{ messages: 'hi' }, 'messages', /must be a list/],
    [{ messages: ['hi'] }, 'messages.0', /"role" and "content"/],
    [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages.0.role', /must be system/],
    [{ messages: [{ role: 'user', content: 7 }] }, 'messages.0.content', /string or a list/],
    [{ messages: [{ role: 'user' }] }, 'messages.0.content', /role user needs content: a string/],
    [{ messages: [{ role: 'user', content: null }] }, 'messages.0.content', /at least one text part/],
    [{ messages: [...USER, { role: 'user', content: [] }] }, 'messages.1.content', /needs content/],
    [{ messages: [{ role: 'system', content: null }, ...USER] }, 'messages.0.content', /role system/],
    [{ messages: [{ role: 'developer' }, ...USER] }, 'messages.0.content', /role developer/],
    [{ messages: [...USER, { role: 'tool', content: [] }] }, 'messages.1.content', /role tool/],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:' } }] }] },
      'messages.0.content.0',
      /not supported yet/,
    ],
    [{ model: 7 }, 'model', /name of a model/],
    [{ temperature: 3 }, 'temperature', /0 to 2/],
    [{ temperature: 'hot' }, 'temperature', /0 to 2/],
    [{ max_tokens: 0 }, 'max_tokens', /at least 1/],
    [{ max_tokens: 1e300 }, 'max_tokens', /at most 9007199254740991/],
    [{ max_tokens: 1.5 }, 'max_tokens', /whole number/],
    [{ n: 0 }, 'n', /must be 1/],
    [{ n: 'two' }, 'n', /must be 1/],
    [{ stop: Array(17).fill('x') }, 'stop', /at most 16/],
    [{ stop: [7] }, 'stop', /strings/],
    [{ stream: 'yes' }, 'stream', /true or false/],
  ];
  it('names the parameter that is wrong', async (t) => {
    const api = await startApi(t);
    for (const [extra, param, message] of BAD) {
      const response = await api.post(PATH, ask(extra));
      const body = await json(response);
      const error = body.error;
      assert.equal(response.status, 400, JSON.stringify(extra));
      assert.equal(error.param, param, JSON.stringify(extra));
      assert.match(error.message, message);
      assert.equal(error.type, 'invalid_request_error');
      assert.equal(error.code, 'http-invalid');
    }
    assert.equal(api.chat.requests.length, 0);
  });

  const TOOLS = [{ type: 'function', function: { name: 'f', parameters: {} } }];
  const UNSUPPORTED: [object, string][] = [
    [{ tools: TOOLS }, 'tools'],
    [{ tool_choice: 'required' }, 'tool_choice'],
    [{ tool_choice: { type: 'function', function: { name: 'f' } } }, 'tool_choice'],
    [{ functions: [{ name: 'f' }] }, 'functions'],
    [{ function_call: { name: 'f' } }, 'function_call'],
    [{ response_format: { type: 'json_object' } }, 'response_format'],
    [{ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } } }, 'response_format'],
    [{ n: 2 }, 'n'],
    [{ best_of: 3 }, 'best_of'],
    [{ audio: { voice: 'alloy', format: 'wav' } }, 'audio'],
    [{ modalities: ['text', 'audio'] }, 'modalities'],
    [{ web_search_options: {} }, 'web_search_options'],
    [{ guided_json: { type: 'object' } }, 'guided_json'],
    [{ chat_template_kwargs: { enable_thinking: false } }, 'chat_template_kwargs'],
    [
      { messages: [...USER, { role: 'assistant', content: null, tool_calls: [{ id: '1' }] }] },
      'messages.1.tool_calls',
    ],
  ];
  it('refuses by name what would change the answer and is not there, streamed or not', async (t) => {
    const api = await startApi(t);
    for (const [extra, param] of UNSUPPORTED) {
      for (const stream of [false, true]) {
        const response = await api.post(PATH, ask({ ...extra, stream }));
        const { error } = await json(response);
        assert.equal(response.status, 400, JSON.stringify(extra));
        assert.deepEqual(
          [error.param, error.code, error.type],
          [param, 'unsupported_parameter', 'invalid_request_error'],
        );
        assert.ok(error.message.startsWith(`unsupported parameter: ${param} `), error.message);
      }
    }
    assert.equal(api.chat.requests.length, 0);
  });

  it('takes what changes nothing, and empty values of what is not there', async (t) => {
    const api = await startApi(t);
    const harmless = [
      { user: 'u', metadata: { a: 'b' }, store: true, service_tier: 'auto', parallel_tool_calls: true },
      { prediction: { type: 'content', content: 'x' }, safety_identifier: 's', prompt_cache_key: 'k' },
      { tools: [], tool_choice: 'auto', functions: null, function_call: 'none', n: 1, modalities: ['text'] },
      { tools: TOOLS, tool_choice: 'none' },
      { response_format: { type: 'text' }, audio: null, chat_template_kwargs: {}, web_search_options: null },
      {
        messages: [
          ...USER,
          { role: 'assistant', content: 'x', tool_calls: [], function_call: null },
          ...USER,
        ],
      },
      {
        messages: [
          { role: 'system', content: '' },
          ...USER,
          { role: 'assistant', content: null, tool_calls: [] },
          { role: 'function', name: 'f', content: null },
          { role: 'assistant' },
          { role: 'user', content: '' },
        ],
      },
    ];
    for (const extra of harmless) {
      const response = await api.post(PATH, ask(extra));
      assert.equal(response.status, 200, JSON.stringify(extra));
    }
    assert.equal(api.chat.requests.length, harmless.length);
  });

  it('says what is wrong in words of its own, whatever the value', async (t) => {
    const api = await startApi(t);
    const ranges = [
      { node: 'a', layers: [1] },
      { node: 7 },
      { node: '', layers: [0, 1] },
      { node: 'a', layers: 'x' },
    ];
    const values = [0, -1, 1.5, '', 'x', true, {}, { '1': 'x' }, [], [1], [null], [[]], Array(300).fill('x')];
    const odd = [
      ...values,
      ...ranges.map((range) => [range]),
      Array(300).fill({ node: 'a', layers: [0, 1] }),
    ];
    const fields = [
      ...['model', 'messages', 'max_tokens', 'stop', 'exo', 'n', 'stream_options', 'temperature', 'top_p'],
      ...['top_k', 'min_p', 'repetition_penalty', 'seed', 'logit_bias', 'logprobs', 'top_logprobs'],
    ];
    for (const value of odd) {
      const bodies = [
        ...fields.map((field) => ({ [field]: value })),
        { exo: { placement: value } },
        { stream_options: { include_usage: value } },
        { messages: [value] },
        { messages: [{ role: value, content: 'x' }] },
        { messages: [{ role: 'user', content: value }] },
      ];
      for (const body of bodies) {
        const response = await api.post(PATH, ask(body));
        if (response.status === 200) continue;
        const { error } = await json(response);
        assert.ok(response.status === 400 || response.status === 404, `${response.status}`);
        assert.doesNotMatch(error.message, /expected|invalid|received|too (?:small|big)|unrecognized/i);
      }
    }
  });

  it('refuses ranges of layers on a node that nobody knows, with the names of those that are known', async (t) => {
    const api = await startApi(t);
    const placement = [
      { node: 'a', layers: [0, 3] },
      { node: 'nobody', layers: [4, 7] },
    ];
    const response = await api.post(PATH, ask({ exo: { placement } }));
    assert.equal(response.status, 400);
    const { error } = await json(response);
    assert.deepEqual([error.code, error.param], ['placement-invalid', 'exo.placement.1.node']);
    assert.match(error.message, /no node "nobody" is known; there are: a, b, c$/);
    const known = [{ node: 'c', layers: [0, 7] }];
    assert.equal((await api.post(PATH, ask({ exo: { placement: known } }))).status, 200);
  });

  it('answers malformed JSON, wrong bytes and a list with 400', async (t) => {
    const api = await startApi(t);
    for (const text of ['{"model": "dummy",', '[]', '7', 'null']) {
      const response = await api.post(PATH, text);
      assert.equal(response.status, 400, text);
    }
    const response = await fetch(`${api.url}${PATH}`, { method: 'POST', body: new Uint8Array([0xff, 0xfe]) });
    assert.equal(response.status, 400);
    assert.match((await json(response)).detail, /UTF-8/);
  });

  it('answers a body over the limit with 413, announced or chunked, and goes on serving', async (t) => {
    const api = await startApi(t);
    const large = Buffer.alloc(LIMITS.httpChatBodyBytesMax + 1, 0x20);
    const announced = await api.post(PATH, large.toString());
    assert.equal(announced.status, 413);
    assert.equal((await json(announced)).error.code, 'http-too-large');
    const chunked = await fetch(`${api.url}${PATH}`, {
      method: 'POST',
      body: new Blob([large]).stream(),
      duplex: 'half',
    } as RequestInit);
    assert.equal(chunked.status, 413);
    await chunked.body?.cancel();
    assert.equal((await api.post(PATH, ask())).status, 200);
  });
});
