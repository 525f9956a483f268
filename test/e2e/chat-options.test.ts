/** Every option of a chat, through HTTP, on a model that really computes: each does what it says, and nothing else. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { canComputeGgml } from '../../src/inference/index.js';
import { fullMesh } from '../support/mesh.js';
import { Cleanup } from '../support/processes.js';
import { RANDOM_MODEL, writeRandomModel } from '../support/real-model.js';

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';
const MESSAGES = [{ role: 'user', content: 'Who are you?' }] as const;
const TOKENS = 24;

interface Candidate {
  readonly token: string;
  readonly token_id: number;
  readonly logprob: number;
  readonly bytes: readonly number[] | null;
}

interface Completion {
  readonly model: string;
  readonly choices: ReadonlyArray<{
    readonly message: { readonly content: string };
    readonly finish_reason: string;
    readonly logprobs: {
      readonly content: ReadonlyArray<Candidate & { readonly top_logprobs: readonly Candidate[] }>;
    } | null;
  }>;
  readonly usage: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly total_tokens: number;
  };
  readonly exo?: { readonly ring: ReadonlyArray<{ node: string; layers: [number, number] }> | null };
  readonly error?: { readonly code: string; readonly param: string | null };
}

describe('an option of a chat, on a real model', { skip }, () => {
  const cleanup = new Cleanup();
  let api = '';

  before(async () => {
    const place = cleanup.folder();
    await writeRandomModel(place, { seed: 3 });
    const args = ['--inference-engine', 'ggml', '--device', 'cpu', '--threads', '1'];
    const env = { EXO_MODELS_READ_ONLY_DIRS: place, HF_HUB_OFFLINE: '1' };
    ({ api } = (await fullMesh(cleanup, [{ id: 'a', kind: 'new', args, env }])).get('a')!);
  });
  after(() => cleanup.dispose());

  async function post(path: string, body: object): Promise<Response> {
    return fetch(`${api}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    });
  }

  async function ask(options: object = {}): Promise<Completion> {
    const body = {
      model: RANDOM_MODEL,
      messages: MESSAGES,
      max_tokens: TOKENS,
      logprobs: true,
      exo: {},
      ...options,
    };
    const response = await post('/v1/chat/completions', body);
    const answer = (await response.json()) as Completion;
    assert.equal(response.status, 200, JSON.stringify(answer));
    return answer;
  }

  const textOf = (answer: Completion) => answer.choices[0]!.message.content;
  const idsOf = (answer: Completion) => answer.choices[0]!.logprobs!.content.map(({ token_id: id }) => id);
  /** The end of an answer is not chosen, so that all of them are as long. */
  const ENDLESS = { logit_bias: { '1': -100 } };

  it('temperature 0 is greedy: the likeliest token each time, the same text twice', async () => {
    const greedy = await ask({ temperature: 0, top_logprobs: 3 });
    for (const each of greedy.choices[0]!.logprobs!.content) {
      assert.equal(each.token_id, each.top_logprobs[0]!.token_id);
    }
    assert.equal(textOf(await ask({ temperature: 0 })), textOf(greedy));
  });

  it('seed gives the same answer again, another seed another one', async () => {
    const warm = { ...ENDLESS, temperature: 1 };
    const first = idsOf(await ask({ ...warm, seed: 5 }));
    assert.deepEqual(idsOf(await ask({ ...warm, seed: 5 })), first);
    assert.notDeepEqual(idsOf(await ask({ ...warm, seed: 6 })), first);
  });

  it('top_k 1, a tiny top_p and min_p 1 leave the likeliest token only, however warm', async () => {
    const greedy = idsOf(await ask({ ...ENDLESS, temperature: 0 }));
    for (const cut of [{ top_k: 1 }, { top_p: 1e-6 }, { min_p: 1 }]) {
      assert.deepEqual(
        idsOf(await ask({ ...ENDLESS, temperature: 2, seed: 9, ...cut })),
        greedy,
        JSON.stringify(cut),
      );
    }
    assert.notDeepEqual(idsOf(await ask({ ...ENDLESS, temperature: 2, seed: 9 })), greedy);
  });

  it('top_k bounds what is chosen to so many of the likeliest', async () => {
    const answer = await ask({ ...ENDLESS, temperature: 2, seed: 1, top_k: 3, top_logprobs: 5 });
    for (const each of answer.choices[0]!.logprobs!.content) {
      const candidates = each.top_logprobs.filter(({ token_id: id }) => id !== 1).slice(0, 3);
      assert.ok(candidates.some(({ token_id: id }) => id === each.token_id));
    }
  });

  it('logit_bias forbids a token, or forces it', async () => {
    const greedy = idsOf(await ask({ ...ENDLESS, temperature: 0 }));
    const forbidden = await ask({ temperature: 0, logit_bias: { '1': -100, [greedy[0]!]: -100 } });
    assert.ok(!idsOf(forbidden).includes(greedy[0]!));
    const forced = await ask({ temperature: 0, logit_bias: { '77': 100 } });
    assert.deepEqual(new Set(idsOf(forced)), new Set([77]));
  });

  it('each of the penalties makes a token that is favoured rarer', async () => {
    const favour = { temperature: 0, logit_bias: { '1': -100, '77': 7 } };
    const count = async (more: object) => {
      return idsOf(await ask({ ...favour, ...more })).filter((id) => id === 77).length;
    };
    const without = await count({});
    assert.ok(without > 2, `${without} of ${TOKENS}`);
    assert.ok((await count({ frequency_penalty: 2 })) < without);
    assert.ok((await count({ presence_penalty: 2 })) <= without);
    assert.ok((await count({ repetition_penalty: 2 })) < without);
  });

  it('stop cuts before the text, max_tokens after so many, and usage counts them', async () => {
    const greedy = await ask({ ...ENDLESS, temperature: 0 });
    assert.equal(greedy.choices[0]!.finish_reason, 'length');
    assert.equal(greedy.usage.completion_tokens, TOKENS);
    const text = textOf(greedy);
    const stop = text.slice(6, 10);
    const cut = await ask({ ...ENDLESS, temperature: 0, stop: [stop, 'never in it'] });
    assert.equal(textOf(cut), text.slice(0, text.indexOf(stop)));
    assert.equal(cut.choices[0]!.finish_reason, 'stop');
    assert.ok(cut.usage.completion_tokens < TOKENS);
    const encoded = (await (
      await post('/v1/chat/token/encode', { model: RANDOM_MODEL, messages: MESSAGES })
    ).json()) as { num_tokens: number };
    assert.equal(greedy.usage.prompt_tokens, encoded.num_tokens);
    assert.equal(greedy.usage.total_tokens, encoded.num_tokens + TOKENS);
  });

  it('logprobs are those of every token, likeliest first, and of what the model gave before any option', async () => {
    const answer = await ask({ ...ENDLESS, temperature: 0, top_logprobs: 20 });
    const { content } = answer.choices[0]!.logprobs!;
    assert.equal(content.length, answer.usage.completion_tokens);
    for (const { top_logprobs: top, logprob } of content) {
      assert.equal(top.length, 20);
      assert.ok(top.every((each, index) => index === 0 || each.logprob <= top[index - 1]!.logprob));
      assert.ok(logprob <= 0 && top.reduce((sum, each) => sum + Math.exp(each.logprob), 0) <= 1 + 1e-6);
    }
    const warm = await ask({ ...ENDLESS, temperature: 2, seed: 4, top_k: 1 });
    for (const [index, each] of warm.choices[0]!.logprobs!.content.entries()) {
      assert.equal(each.logprob, content[index]!.logprob);
    }
  });

  it('stream gives the same text in pieces, and usage in the end where it is asked for', async () => {
    const options = { ...ENDLESS, temperature: 1, seed: 2 };
    const whole = await ask(options);
    const response = await post('/v1/chat/completions', {
      ...{ model: RANDOM_MODEL, messages: MESSAGES, max_tokens: TOKENS, ...options },
      ...{ stream: true, stream_options: { include_usage: true } },
    });
    const events = (await response.text()).split('\n\n').filter((event) => event.startsWith('data: {'));
    const chunks = events.map((event) => JSON.parse(event.slice('data: '.length))) as ReadonlyArray<{
      choices: ReadonlyArray<{ delta: { content?: string } }>;
      usage?: Completion['usage'];
    }>;
    assert.equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), textOf(whole));
    assert.deepEqual(chunks.at(-1)!.usage, whole.usage);
  });

  it('exo.placement says where, and the answer says so too; nodes that are not there are an error', async () => {
    for (const placement of ['auto', 'solo', [{ node: 'a', layers: [0, 7] }]]) {
      assert.deepEqual((await ask({ exo: { placement } })).exo?.ring, [{ node: 'a', layers: [0, 7] }]);
    }
    const absent = {
      model: RANDOM_MODEL,
      messages: MESSAGES,
      exo: { placement: [{ node: 'z', layers: [0, 7] }] },
    };
    const response = await post('/v1/chat/completions', absent);
    assert.equal(response.status, 400);
    const wrong = {
      model: RANDOM_MODEL,
      messages: MESSAGES,
      exo: { placement: [{ node: 'a', layers: [0, 5] }] },
    };
    const refused = await post('/v1/chat/completions', wrong);
    assert.equal(refused.status, 400);
    assert.equal(((await refused.json()) as Completion).error?.code, 'placement-invalid');
  });

  it('values that nobody can mean are refused with the name of the option', async () => {
    for (const [options, param] of [
      [{ n: 2 }, 'n'],
      [{ exo: { placement: 'everywhere' } }, 'exo.placement'],
      [{ exo: { placement: [] } }, 'exo.placement'],
      [{ top_logprobs: 21 }, 'top_logprobs'],
    ] as const) {
      const response = await post('/v1/chat/completions', {
        ...{ model: RANDOM_MODEL, messages: MESSAGES, logprobs: true, ...options },
      });
      assert.equal(response.status, 400, JSON.stringify(options));
      assert.equal(((await response.json()) as Completion).error?.param, param);
    }
  });
});
