import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ErrorCode, ExoError, LIMITS, VirtualClock } from '../../src/shared/index.js';
import { json, readEvents, startApi, until } from './harness.js';

const PATH = '/v1/chat/completions';
const USER = [{ role: 'user', content: 'Who are you?' }];
const ask = (extra: object = {}) => ({ model: 'dummy', messages: USER, ...extra });

describe('chat, whole answer', () => {
  it('has the shape of OpenAI with usage 1/10/11', async (t) => {
    const api = await startApi(t);
    for (const path of [PATH, '/chat/completions']) {
      const response = await api.post(path, ask());
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), 'application/json');
      const body = await json(response);
      assert.equal(typeof body['created'], 'number');
      assert.deepEqual(
        { ...body, created: 0 },
        {
          id: 'chatcmpl-request-1',
          object: 'chat.completion',
          created: 0,
          model: 'dummy',
          system_fingerprint: 'exo_0.1.0',
          choices: [
            {
              index: 0,
              message: { role: 'assistant', content: 'dummy'.repeat(10) },
              logprobs: null,
              finish_reason: 'stop',
            },
          ],
          usage: { prompt_tokens: 1, completion_tokens: 10, total_tokens: 11 },
        },
      );
    }
  });

  it('takes gpt-* and a missing model as the default model', async (t) => {
    const api = await startApi(t);
    for (const model of ['gpt-4o-mini', undefined, null, '']) {
      const response = await api.post(PATH, { model, messages: USER });
      assert.equal((await json(response))['model'], 'dummy');
    }
  });

  it('hands temperature, limits and messages to the ring', async (t) => {
    const api = await startApi(t);
    await api.post(
      PATH,
      ask({
        temperature: 0.7,
        max_tokens: 5,
        max_completion_tokens: 7,
        top_p: 1,
        tools: [{ type: 'function' }],
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'a' },
              { type: 'text', text: 'b' },
            ],
          },
          { role: 'assistant', content: null },
          { role: 'function', name: 'f', content: 'c' },
        ],
      }),
    );
    await api.post(PATH, ask({ max_tokens: 5, messages: [{ role: 'developer', content: 'own' }, ...USER] }));
    const [first, second] = api.chat.requests;
    assert.equal(first?.temperature, 0.7);
    assert.equal(first?.maxTokens, 7);
    assert.deepEqual(first?.messages, [
      { role: 'user', content: 'a\nb' },
      { role: 'assistant', content: '' },
      { role: 'tool', content: 'c' },
    ]);
    assert.equal(second?.temperature, undefined);
    assert.equal(second?.maxTokens, 5);
    assert.deepEqual(second?.messages[0], { role: 'system', content: 'own' });
  });

  it('says length where the limit ended it', async (t) => {
    const api = await startApi(t);
    api.chat.finishReason = 'length';
    const body = await json(await api.post(PATH, ask()));
    assert.equal(body.choices[0]?.finish_reason, 'length');
  });

  it('stops at a stop sequence that spans tokens, and aborts the work', async (t) => {
    const api = await startApi(t);
    api.chat.pieces = ['one ', 'two', ' EN', 'D three', ' four'];
    const body = await json(await api.post(PATH, ask({ stop: ['never', 'END'] })));
    assert.equal(body.choices[0]?.message.content, 'one two ');
    assert.deepEqual(body['usage'], { prompt_tokens: 1, completion_tokens: 4, total_tokens: 5 });
    assert.equal(api.chat.requests[0]?.signal.aborted, true);
  });

  it('keeps what only looked like a stop sequence', async (t) => {
    const api = await startApi(t);
    api.chat.pieces = ['a E', 'N', 'D b E'];
    const body = await json(await api.post(PATH, ask({ stop: 'ENDE' })));
    assert.equal(body.choices[0]?.message.content, 'a END b E');
  });
});

describe('chat, stream', () => {
  it('is role, one chunk a token, finish, DONE', async (t) => {
    const api = await startApi(t);
    api.chat.pieces = ['he', 'llo'];
    const response = await api.post(PATH, ask({ stream: true }));
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    const events = await readEvents(response);
    assert.equal(events.pop(), '[DONE]');
    const chunks = events.map((event) => JSON.parse(event));
    for (const chunk of chunks) {
      assert.equal(chunk.id, 'chatcmpl-request-1');
      assert.equal(chunk.object, 'chat.completion.chunk');
      assert.equal(chunk.model, 'dummy');
      assert.equal('usage' in chunk, false);
    }
    assert.deepEqual(
      chunks.map((chunk) => chunk.choices),
      [
        [{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
        [{ index: 0, delta: { content: 'he' }, logprobs: null, finish_reason: null }],
        [{ index: 0, delta: { content: 'llo' }, logprobs: null, finish_reason: null }],
        [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }],
      ],
    );
  });

  it('ends with usage where asked for', async (t) => {
    const api = await startApi(t);
    const response = await api.post(PATH, ask({ stream: true, stream_options: { include_usage: true } }));
    const events = await readEvents(response);
    const last = JSON.parse(events.at(-2) ?? '');
    assert.deepEqual(last.choices, []);
    assert.deepEqual(last.usage, { prompt_tokens: 1, completion_tokens: 10, total_tokens: 11 });
  });

  it('holds back what may become a stop sequence', async (t) => {
    const api = await startApi(t);
    api.chat.pieces = ['a', '\nUs', 'er:', 'b'];
    const events = await readEvents(await api.post(PATH, ask({ stream: true, stop: '\nUser:' })));
    const texts = events.slice(0, -1).map((event) => JSON.parse(event).choices[0].delta.content);
    assert.deepEqual(texts, ['', 'a', undefined]);
  });

  it('sends its headers before the first token', async (t) => {
    const api = await startApi(t);
    api.chat.pieces = [];
    api.chat.endless = true;
    const client = new AbortController();
    const response = await fetch(`${api.url}${PATH}`, {
      method: 'POST',
      body: JSON.stringify(ask({ stream: true })),
      signal: client.signal,
    });
    assert.equal(response.status, 200);
    client.abort();
    await until(() => api.chat.requests[0]?.signal.aborted === true);
  });

  it('sends its headers after a moment even if the ring is still thinking, and the refusal as an event', async (t) => {
    const clock = new VirtualClock();
    const api = await startApi(t, { clock });
    let open: () => void = () => undefined;
    api.chat.gate = new Promise((resolve) => {
      open = resolve;
    });
    api.chat.refusal = new ExoError('ring-incomplete', 'a node left');
    const answer = api.post(PATH, ask({ stream: true }));
    await until(() => api.chat.requests.length === 1);
    await clock.advance(LIMITS.httpAcceptMs);
    const response = await answer;
    assert.equal(response.status, 200);
    open();
    const events = await readEvents(response);
    assert.equal(JSON.parse(events[0] ?? '').error.code, 'ring-incomplete');
    assert.deepEqual(events.slice(1), ['[DONE]']);
  });

  it('keeps a silent stream alive with comments', async (t) => {
    const clock = new VirtualClock();
    const api = await startApi(t, { clock });
    api.chat.pieces = [];
    api.chat.endless = true;
    const response = await api.post(PATH, ask({ stream: true }));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    await clock.advance(LIMITS.httpPingMs);
    while (!text.includes(': ping\n\n')) text += (await reader?.read())?.value ?? '';
    await reader?.cancel();
  });

  it('tells an error after it began as an event, then DONE', async (t) => {
    const api = await startApi(t);
    api.chat.pieces = ['a'];
    api.chat.failure = new ExoError('peer-lost', 'node b went away; ask again');
    const events = await readEvents(await api.post(PATH, ask({ stream: true })));
    assert.equal(events.at(-1), '[DONE]');
    assert.deepEqual(JSON.parse(events.at(-2) ?? ''), {
      error: { message: 'node b went away; ask again', type: 'server_error', param: null, code: 'peer-lost' },
      detail: 'node b went away; ask again',
    });
  });

  it('aborts the work within 500 ms when the client leaves', async (t) => {
    const api = await startApi(t);
    api.chat.endless = true;
    const client = new AbortController();
    const response = await fetch(`${api.url}${PATH}`, {
      method: 'POST',
      body: JSON.stringify(ask({ stream: true })),
      signal: client.signal,
    });
    await response.body?.getReader().read();
    client.abort();
    const tookMs = await until(() => api.chat.requests[0]?.signal.aborted === true);
    assert.ok(tookMs <= 500, `${tookMs} ms`);
  });

  it('does not run ahead of a client that does not read', async (t) => {
    const api = await startApi(t);
    api.chat.pieces = Array.from({ length: 20_000 }, () => 'x'.repeat(2_000));
    const client = new AbortController();
    const response = await fetch(`${api.url}${PATH}`, {
      method: 'POST',
      body: JSON.stringify(ask({ stream: true })),
      signal: client.signal,
    });
    assert.equal(response.status, 200);
    let before = -1;
    while (before !== api.chat.handedOut) {
      before = api.chat.handedOut;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(api.chat.handedOut < 15_000, `${api.chat.handedOut} tokens were taken`);
    client.abort();
    await until(() => api.chat.requests[0]?.signal.aborted === true);
  });

  it('says that the node stops', async (t) => {
    const api = await startApi(t);
    api.chat.endless = true;
    api.chat.pieces = ['a'];
    const response = await api.post(PATH, ask({ stream: true }));
    const events = readEvents(response);
    await until(() => api.chat.handedOut === 1);
    await api.server.stop();
    const [failure, done] = (await events).slice(-2);
    assert.equal(done, '[DONE]');
    assert.match(JSON.parse(failure ?? '').error.message, /stopping/);
    assert.equal(api.chat.requests[0]?.signal.aborted, true);
  });
});

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
    assert.ok((await until(() => api.chat.requests[0]?.signal.aborted === true)) <= 500);
    assert.equal(await answer, 'AbortError');
  });

  const BAD: [object, string | null, RegExp][] = [
    [{ messages: undefined }, 'messages', /must be a list/],
    [{ messages: [] }, 'messages', /at least one/],
    [{ messages: 'hi' }, 'messages', /must be a list/],
    [{ messages: ['hi'] }, 'messages.0', /"role" and "content"/],
    [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages.0.role', /must be system/],
    [{ messages: [{ role: 'user', content: 7 }] }, 'messages.0.content', /string or a list/],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:' } }] }] },
      'messages.0.content.0',
      /not supported yet/,
    ],
    [{ model: 7 }, 'model', /name of a model/],
    [{ temperature: 3 }, 'temperature', /0 to 2/],
    [{ temperature: 'hot' }, 'temperature', /0 to 2/],
    [{ max_tokens: 0 }, 'max_tokens', /at least 1/],
    [{ max_tokens: 1.5 }, 'max_tokens', /whole number/],
    [{ n: 2 }, 'n', /must be 1/],
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

describe('token encode', () => {
  it('gives length, ids and prompt', async (t) => {
    const api = await startApi(t);
    for (const path of ['/v1/chat/token/encode', '/chat/token/encode']) {
      const response = await api.post(path, { messages: [{ role: 'user', content: 'hi' }] });
      assert.deepEqual(await json(response), {
        length: 8,
        num_tokens: 8,
        encoded_tokens: [...'<user>hi'].map((char) => char.codePointAt(0)),
        encoded_prompt: '<user>hi',
      });
    }
    assert.equal((await api.post('/v1/chat/token/encode', { model: 'x', messages: USER })).status, 404);
    assert.equal((await api.post('/v1/chat/token/encode', { messages: [] })).status, 400);
  });
});
