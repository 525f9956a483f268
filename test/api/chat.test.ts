import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toMessages } from '../../src/api/chat-messages.js';
import { ExoError, LIMITS, VirtualClock } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { promise } from '../support/promise.js';
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
        user: 'u-1',
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
    promise(t, 'A3', 'a stream is role, one chunk a token, finish, DONE');
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
    assert.ok(tookMs <= inTime(500), `${tookMs} ms`);
    promise(t, 'A4', `the work is told to end ${tookMs.toFixed(0)} ms after the client left`);
  });

  it('makes many answers at once without a warning of the runtime', async (t) => {
    const warnings: string[] = [];
    const onWarning = ({ message }: Error) => void warnings.push(message);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    const api = await startApi(t);
    api.chat.endless = true;
    const client = new AbortController();
    const body = JSON.stringify(ask({ stream: true }));
    const asked = Array.from({ length: 20 }, () =>
      fetch(`${api.url}${PATH}`, { method: 'POST', body, signal: client.signal }),
    );
    await Promise.all(asked);
    client.abort();
    await until(() => api.chat.requests.every(({ signal }) => signal.aborted));
    assert.deepEqual(
      warnings.filter((message) => message.includes('AbortSignal')),
      [],
    );
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

  it('ends with its client, and is late as an answer is', async (t) => {
    const clock = new VirtualClock();
    const api = await startApi(t, { clock, responseTimeoutMs: 900_000 });
    const signals: AbortSignal[] = [];
    api.chat.encode = async (_model, _messages, signal) => {
      signals.push(signal);
      return new Promise(() => undefined);
    };
    const client = new AbortController();
    const body = JSON.stringify(ask());
    const left = fetch(`${api.url}/v1/chat/token/encode`, { method: 'POST', body, signal: client.signal });
    left.catch(() => undefined);
    await until(() => signals.length === 1);
    client.abort();
    await until(() => signals[0]!.aborted);
    const late = api.post('/v1/chat/token/encode', ask());
    await until(() => signals.length === 2);
    await clock.advance(900_000);
    assert.equal((await late).status, 408);
  });

  it('reads messages up to the first that is wrong, and a body of megabytes in turns of the event loop', async (t) => {
    const api = await startApi(t);
    for (const path of [PATH, '/v1/chat/token/encode']) {
      const wrong = JSON.stringify({ model: 'dummy', messages: Array.from({ length: 39_000 }, () => 1) });
      const { error } = await json(await api.post(path, wrong));
      assert.match(error.message, /^messages\.0: must be an object/);
      const many = Array.from({ length: 100_000 }, () => ({ role: 'user', content: 'hi' }));
      const response = await api.post(path, { model: 'dummy', messages: many });
      assert.equal(response.status, 400);
      assert.match((await json(response)).detail, /more than 40000 values/);
    }
    let looked = 0;
    const wrong = Array.from({ length: 1_000 }, () => ({
      get role() {
        looked += 1;
        return 'robot';
      },
    }));
    assert.throws(() => toMessages(wrong), /messages\.0\.role: must be system/);
    assert.ok(looked <= 2, `${looked} looks`);
  });
});
