import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { json, readEvents, startApi } from './harness.js';

const PATH = '/v1/chat/completions';
const ask = (extra: object = {}) => ({ messages: [{ role: 'user', content: 'hi' }], ...extra });

describe('chat, sampling', () => {
  it('hands every option to the ring under its own name', async (t) => {
    const api = await startApi(t);
    const options = {
      temperature: 0,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.05,
      repetition_penalty: 1.1,
      frequency_penalty: -2,
      presence_penalty: 1.5,
      seed: -9007199254740991,
      logit_bias: { 5: -100, 77: 3.5 },
      logprobs: true,
      top_logprobs: 4,
    };
    await api.post(PATH, ask(options));
    const { model: _model, messages: _messages, signal: _signal, ...given } = api.chat.requests[0]!;
    assert.deepEqual(given, {
      temperature: 0,
      topP: 0.9,
      topK: 40,
      minP: 0.05,
      repetitionPenalty: 1.1,
      frequencyPenalty: -2,
      presencePenalty: 1.5,
      seed: -9007199254740991,
      logitBias: new Map([
        [5, -100],
        [77, 3.5],
      ]),
      logprobs: 4,
    });
  });

  it('hands nothing to the ring where nothing, null or "no change" is asked for', async (t) => {
    const api = await startApi(t);
    const nothing = { temperature: null, top_p: null, seed: null, logit_bias: {}, logprobs: false, n: 1 };
    for (const extra of [{}, nothing]) {
      await api.post(PATH, ask(extra));
      const request = api.chat.requests.at(-1)!;
      assert.deepEqual(Object.keys(request).sort(), ['messages', 'model', 'signal']);
    }
    await api.post(PATH, ask({ top_k: -1, logprobs: true }));
    assert.equal(api.chat.requests.at(-1)!.topK, 0);
    assert.equal(api.chat.requests.at(-1)!.logprobs, 0);
  });

  const many = Object.fromEntries(Array.from({ length: 301 }, (_, id) => [id, 1]));
  const BAD: ReadonlyArray<readonly [object, string, RegExp]> = [
    [{ temperature: -0.1 }, 'temperature', /0 to 2/],
    [{ top_p: 0 }, 'top_p', /above 0 and at most 1/],
    [{ top_p: '1' }, 'top_p', /above 0 and at most 1/],
    [{ top_k: 1.5 }, 'top_k', /whole number/],
    [{ top_k: -2 }, 'top_k', /whole number/],
    [{ min_p: 1.01 }, 'min_p', /0 to 1/],
    [{ repetition_penalty: 0 }, 'repetition_penalty', /above 0/],
    [{ frequency_penalty: 2.1 }, 'frequency_penalty', /-2 to 2/],
    [{ presence_penalty: [] }, 'presence_penalty', /-2 to 2/],
    [{ seed: 1e300 }, 'seed', /exactly/],
    [{ seed: 0.5 }, 'seed', /exactly/],
    [{ logit_bias: [1] }, 'logit_bias', /token ids/],
    [{ logit_bias: { x: 1 } }, 'logit_bias.x', /token ids|key/i],
    [{ logit_bias: { 5: 'a' } }, 'logit_bias.5', /token ids/],
    [{ logit_bias: { 5: 101 } }, 'logit_bias', /-100 to 100/],
    [{ logit_bias: many }, 'logit_bias', /at most 300/],
    [{ logprobs: 3 }, 'logprobs', /true or false/],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs', /0 to 20/],
    [{ top_logprobs: 2 }, 'top_logprobs', /needs "logprobs": true/],
    [{ n: 2 }, 'n', /must be 1/],
  ];
  it('names the option that cannot be used', async (t) => {
    const api = await startApi(t);
    for (const [extra, param, message] of BAD) {
      const response = await api.post(PATH, ask(extra));
      const { error } = await json(response);
      assert.equal(response.status, 400, JSON.stringify(extra));
      assert.equal(error.param, param);
      assert.match(error.message, message);
    }
    assert.equal(api.chat.requests.length, 0);
  });
});

describe('chat, log probabilities', () => {
  /** Two tokens are halves of one character; the last one ends the answer and has none. */
  const PIECES = ['a', '', 'é', ' z', ''];
  const TEXTS = ['a', '\ufffd', '\ufffd', ' z'];
  const logprobs = (index: number) => {
    const text = TEXTS[index];
    const top = [{ token: 9, text: 'x', logprob: -0.25 }];
    return text === undefined ? undefined : { token: index, text, logprob: -index / 4, top };
  };
  const other = { token: 'x', logprob: -0.25, bytes: [120] };
  const EXPECTED = [
    { token: 'a', logprob: -0, bytes: [97], top_logprobs: [other] },
    { token: '\ufffd', logprob: -0.25, bytes: null, top_logprobs: [other] },
    { token: '\ufffd', logprob: -0.5, bytes: null, top_logprobs: [other] },
    { token: ' z', logprob: -0.75, bytes: [32, 122], top_logprobs: [other] },
  ];
  const wanted = { logprobs: true, top_logprobs: 1 };

  it('come with the whole answer in OpenAI’s shape, without the end', async (t) => {
    const api = await startApi(t);
    Object.assign(api.chat, { pieces: PIECES, logprobs });
    const body = await json(await api.post(PATH, ask(wanted)));
    assert.equal(body.choices[0]?.message.content, 'aé z');
    const expected = JSON.parse(JSON.stringify({ content: EXPECTED, refusal: null }));
    assert.deepEqual((body.choices[0] as { logprobs?: unknown }).logprobs, expected);
  });

  it('come with the chunks of a stream, each once and none missing', async (t) => {
    const api = await startApi(t);
    Object.assign(api.chat, { pieces: PIECES, logprobs });
    const events = await readEvents(await api.post(PATH, ask({ ...wanted, stream: true })));
    type Chunk = { choices: Array<{ delta: { content?: string }; logprobs: { content: unknown[] } | null }> };
    const chunks = events.filter((event) => event !== '[DONE]').map((event) => JSON.parse(event) as Chunk);
    const withText = chunks.filter(({ choices }) => choices[0]?.delta.content);
    assert.deepEqual(
      withText.map(({ choices }) => choices[0]?.logprobs?.content.length),
      [1, 2, 1],
    );
    const all = chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []);
    assert.deepEqual(all, JSON.parse(JSON.stringify(EXPECTED)));
  });

  it('are an empty list where the ring has none, and null where nobody asked', async (t) => {
    const api = await startApi(t);
    const asked = await json(await api.post(PATH, ask(wanted)));
    assert.deepEqual((asked.choices[0] as { logprobs?: unknown }).logprobs, { content: [], refusal: null });
    const plain = await json(await api.post(PATH, ask()));
    assert.equal((plain.choices[0] as { logprobs?: unknown }).logprobs, null);
  });
});
