/**
 * Models that cannot be computed, prompts that do not fit, engines that die or are not there, asked for through HTTP on a real
 * node: each has its error in OpenAI's shape, and the next question is answered.
 */
import assert from 'node:assert/strict';
import {
  closeSync,
  cpSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { canComputeGgml } from '../../src/inference/index.js';
import { DEMO_DIRECTORY } from '../../src/models/index.js';
import { inTime } from '../support/eventually.js';
import { writePeersFile } from '../support/peers-file.js';
import { freePorts } from '../support/ports.js';
import { argvOf, descendants } from '../support/process-tree.js';
import { Cleanup, EXO_MAIN, ROOT, type RunningNode, runExo, untilHealthy } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { writeRandomModel } from '../support/real-model.js';

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';
const WEIGHTS = 'model.safetensors';
/** What a client must see within: a template has five seconds, a ring that breaks five more. */
const ANSWER_MS = 60_000;
/** Of a prompt that is too long by far: it is read, and a piece of it encoded. */
const TOO_LONG_MS = inTime(5_000);

interface Answer {
  readonly status: number;
  readonly body: {
    readonly choices?: ReadonlyArray<{ finish_reason: string; message: { content: string } }>;
    readonly usage?: { prompt_tokens: number; completion_tokens: number };
    readonly error?: { message: string; type: string; param: string | null; code: string };
  };
}

async function ask(api: string, model: string, more: object = {}): Promise<Answer> {
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Who are you?' }], ...more }),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

/** Times that a node served the next request after one that it refused. */
let served = 0;

async function assertServes(api: string): Promise<void> {
  const { status, body } = await ask(api, 'demo');
  assert.equal(status, 200, JSON.stringify(body));
  assert.match(body.choices![0]!.message.content, /demo model of exo-mesh/);
  served += 1;
}

async function node(cleanup: Cleanup, models: string, args: readonly string[] = []): Promise<RunningNode> {
  const [nodePort = 0, apiPort = 0] = await freePorts(2);
  const peers = writePeersFile(cleanup.folder(), 'peers.json', {});
  return runExo(cleanup, {
    ...{ id: 'n', nodePort, apiPort },
    args: [
      ...['--discovery-module', 'manual', '--discovery-config-path', peers],
      ...['--inference-engine', 'ggml', ...args],
    ],
    child: { env: { EXO_MODELS_READ_ONLY_DIRS: models, HF_HUB_OFFLINE: '1', EXO_OFFLINE: '1' } },
  });
}

/** Changes the header of a file of weights; the data stay where they are. */
function editHeader(file: string, edit: (text: string) => string): void {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const text = edit(bytes.toString('latin1', 8, 8 + length));
  assert.equal(text.length, length, 'the header keeps its length');
  bytes.write(text, 8, 'latin1');
  writeFileSync(file, bytes);
}

/** Fills a tensor with NaN. */
function poison(file: string, tensor: string): void {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  const [from, to] = header[tensor]!.data_offsets;
  bytes.fill(0xff, 8 + length + from, 8 + length + to);
  writeFileSync(file, bytes);
}

const editConfig = (folder: string, changes: object) => {
  const file = path.join(folder, 'config.json');
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...changes }));
};

/** A model with a header and nothing behind it, as large as the file says: no disk is used, and no memory could hold it. */
function hugeWeights(folder: string): void {
  const file = path.join(folder, WEIGHTS);
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, { shape?: number[] }>;
  const inner = 16_000_000;
  let end = 0;
  for (const [name, entry] of Object.entries(header)) {
    if (entry.shape === undefined) continue;
    const shape = entry.shape.map((size) => (size === 320 && /mlp/.test(name) ? inner : size));
    const start = end;
    end += shape.reduce((product, size) => product * size, 4);
    Object.assign(entry, { shape, data_offsets: [start, end] });
  }
  const text = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(text.length));
  const handle = openSync(file, 'w');
  writeSync(handle, Buffer.concat([head, text]));
  ftruncateSync(handle, 8 + text.length + end);
  closeSync(handle);
  editConfig(folder, { intermediate_size: inner });
}

interface Case {
  readonly name: string;
  readonly what: string;
  readonly spoil: (folder: string) => void;
  readonly status: number;
  readonly code: string;
  readonly says: RegExp;
}

const weightsOf = (folder: string) => path.join(folder, WEIGHTS);

const CASES: readonly Case[] = [
  {
    name: 'mixture',
    what: 'an architecture that is not computed',
    spoil: (folder) => editConfig(folder, { architectures: ['MixtralForCausalLM'], model_type: 'mixtral' }),
    status: 400,
    code: 'model-unsupported',
    says: /MixtralForCausalLM.*mixtures of experts/,
  },
  {
    name: 'lacking',
    what: 'a tensor that is missing',
    spoil: (folder) =>
      editHeader(weightsOf(folder), (text) =>
        text.replace('model.layers.3.mlp.down_proj.weight', 'model.layers.3.mlp.down_proj.weighs'),
      ),
    status: 500,
    code: 'checkpoint-invalid',
    says: /model\.layers\.3\.mlp\.down_proj\.weight/,
  },
  {
    name: 'misshapen',
    what: 'tensors of other shapes than the config says',
    spoil: (folder) => editConfig(folder, { intermediate_size: 352 }),
    status: 500,
    code: 'checkpoint-invalid',
    says: /352/,
  },
  {
    name: 'cut',
    what: 'weights that are cut short',
    spoil: (folder) => truncateSync(weightsOf(folder), 100_000),
    status: 500,
    code: 'checkpoint-invalid',
    says: /model\.safetensors/,
  },
  {
    name: 'boastful',
    what: 'a header of 10 GB',
    spoil: (folder) => {
      const bytes = readFileSync(weightsOf(folder));
      bytes.writeBigUInt64LE(10_000_000_000n, 0);
      writeFileSync(weightsOf(folder), bytes);
    },
    status: 500,
    code: 'checkpoint-invalid',
    says: /10000000000|header/,
  },
  {
    name: 'wordless',
    what: 'no tokenizer',
    spoil: (folder) => rmSync(path.join(folder, 'tokenizer.json')),
    status: 500,
    code: 'tokenizer-invalid',
    says: /tokenizer\.json is not there/,
  },
  {
    name: 'garbled',
    what: 'a tokenizer that is no JSON',
    spoil: (folder) => writeFileSync(path.join(folder, 'tokenizer.json'), '{"model": '),
    status: 500,
    code: 'tokenizer-invalid',
    says: /tokenizer\.json is not JSON/,
  },
  {
    name: 'throwing',
    what: 'a chat template that throws',
    spoil: (folder) =>
      writeFileSync(path.join(folder, 'chat_template.jinja'), '{{ messages[0].content.nothing() }}'),
    status: 500,
    code: 'tokenizer-invalid',
    says: /chat template .*failed/,
  },
  {
    name: 'endless',
    what: 'a chat template that does not end',
    spoil: (folder) =>
      writeFileSync(
        path.join(folder, 'chat_template.jinja'),
        '{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}',
      ),
    status: 500,
    code: 'tokenizer-invalid',
    says: /chat template .*took longer than 5 s/,
  },
  {
    name: 'speechless',
    what: 'a chat template that makes nothing of what is said',
    spoil: (folder) => writeFileSync(path.join(folder, 'chat_template.jinja'), '{{ messages.nothing }}'),
    status: 500,
    code: 'tokenizer-invalid',
    says: /chat template of exo-test\/speechless makes an empty prompt/,
  },
  ...['[]', '{"num_hidden_layers": 1000000000}', '{', ''].map((config, index) => ({
    name: `misconfigured-${index}`,
    what: `a config.json that is ${JSON.stringify(config)}`,
    spoil: (folder: string) => writeFileSync(path.join(folder, 'config.json'), config),
    status: 500,
    code: 'checkpoint-invalid',
    says: new RegExp(`config\\.json of .*misconfigured-${index} cannot be used: .`),
  })),
  {
    name: 'poisoned',
    what: 'weights that make NaN of everything',
    spoil: (folder) => poison(weightsOf(folder), 'model.norm.weight'),
    status: 500,
    code: 'engine-failed',
    says: /NaN|not a number|no token/i,
  },
  {
    name: 'huge',
    what: 'weights that no memory holds',
    spoil: hugeWeights,
    status: 503,
    code: 'out-of-memory',
    says: /196.6 GB|GiB of memory/,
  },
];

describe('a node answers what it cannot compute with its error, and the next question with an answer', {
  skip,
}, () => {
  const cleanup = new Cleanup();
  let api = '';
  let place = '';

  before(async () => {
    place = cleanup.folder();
    const sound = await writeRandomModel(place, { seed: 1 });
    for (const { name, spoil } of CASES) {
      const folder = path.join(place, `exo-test--${name}`);
      cpSync(sound, folder, { recursive: true });
      spoil(folder);
    }
    ({ api } = await node(cleanup, place, ['--threads', '1', '--device', 'cpu']));
  });
  after(() => cleanup.dispose());

  for (const { name, what, status, code, says } of CASES) {
    it(what, async () => {
      const answer = await ask(api, `exo-test/${name}`);
      assert.equal(answer.body.error?.code, code, JSON.stringify(answer.body));
      assert.equal(answer.status, status);
      assert.match(answer.body.error.message, says);
      await assertServes(api);
    });
  }

  it('what cannot be computed is offered to nobody, also a folder that was named, and status says why', async () => {
    const named = path.join(place, 'exo-test--mixture');
    assert.equal((await ask(api, named)).body.error?.code, 'model-unsupported');
    const { data } = (await (await fetch(`${api}/v1/models`)).json()) as {
      data: ReadonlyArray<{ id: string }>;
    };
    const offered = data.map(({ id }) => id);
    const status = (await (await fetch(`${api}/v1/status`)).json()) as {
      default_model: string;
      models: ReadonlyArray<{ id: string; ready: boolean; unusable: string | null }>;
    };
    const says = new Map([
      [named, /MixtralForCausalLM/],
      ['exo-test/mixture', /MixtralForCausalLM/],
      ['exo-test/lacking', /model\.layers\.3\.mlp\.down_proj\.weight/],
      ['exo-test/misshapen', /352/],
      ['exo-test/wordless', /tokenizer\.json is not there/],
    ]);
    for (const [id, reason] of says) {
      assert.ok(!offered.includes(id), id);
      const model = status.models.find((each) => each.id === id);
      assert.equal(model?.ready, false, id);
      assert.match(model.unusable ?? '', reason);
    }
    assert.ok(offered.includes('demo') && offered.includes('exo-test/random'), offered.join(', '));
    // By name it would be the one with the missing tensor.
    assert.ok(offered.includes(status.default_model), status.default_model);
  });

  it('a model that nobody has', async () => {
    // A name that means nothing, and one of a hub that is not asked.
    for (const [model, code] of [
      ['no-such-model', 'model_not_found'],
      ['nobody/has-this', 'model-absent'],
    ] as const) {
      const { status, body } = await ask(api, model);
      assert.deepEqual(
        [status, body.error?.code, body.error?.param, body.error?.type],
        [404, code, 'model', 'invalid_request_error'],
      );
    }
    await assertServes(api);
  });

  it('a prompt longer than the context: 400 with both numbers, also as a stream', async () => {
    const content = 'How do nodes find each other? '.repeat(200);
    for (const stream of [false, true]) {
      const messages = [{ role: 'user', content }];
      const { status, body } = await ask(api, 'demo', { messages, stream });
      assert.equal(status, 400, JSON.stringify(body));
      assert.deepEqual([body.error?.code, body.error?.param], ['context_length_exceeded', 'messages']);
      const numbers = (body.error!.message.match(/\d+/g) ?? []).map(Number);
      assert.ok(numbers.includes(512) && numbers.some((number) => number > 512), body.error!.message);
    }
    await assertServes(api);
  });

  it('a prompt of three megabytes: the same at once, in whatever characters', async () => {
    for (const word of ['How do nodes find each other? ', 'a', '漢', ' ', '\n']) {
      const messages = [{ role: 'user', content: word.repeat(3_000_000 / Buffer.byteLength(word)) }];
      const startMs = performance.now();
      const { status, body } = await ask(api, 'demo', { messages });
      const tookMs = performance.now() - startMs;
      assert.deepEqual([status, body.error?.code], [400, 'context_length_exceeded'], JSON.stringify(body));
      assert.match(body.error!.message, /at least \d+ tokens, and 512 tokens fit/);
      assert.ok(tookMs < TOO_LONG_MS, `${tookMs} ms`);
    }
    await assertServes(api);
  });

  it('a prompt and an answer that do not fit together: 400 with all numbers', async () => {
    const { status, body } = await ask(api, 'demo', { max_tokens: 512 });
    assert.deepEqual([status, body.error?.code], [400, 'context_length_exceeded']);
    assert.match(body.error!.message, /512 tokens.*\(\d+ of the messages, 512 of the answer\)/);
    await assertServes(api);
  });

  it('an answer that reaches the end of the context is cut there', async () => {
    const limited = new Cleanup();
    try {
      const place = limited.folder();
      await writeRandomModel(place, { seed: 1 });
      const { api: small } = await node(limited, place, ['--max-context', '64', '--threads', '1']);
      // Random weights hardly ever choose the end.
      const answer = await ask(small, 'exo-test/random', { logit_bias: { '1': -100 } });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.equal(answer.body.choices![0]!.finish_reason, 'length');
      const { prompt_tokens: prompt, completion_tokens: completion } = answer.body.usage!;
      assert.equal(prompt + completion, 64);
    } finally {
      await limited.dispose();
    }
  });
});

describe('an engine', { skip }, () => {
  it('R7 of a node that was asked for all of that serves the next question each time', (t) => {
    assert.ok(served > CASES.length, `${served}`);
    promise(
      t,
      'R7',
      `${CASES.length} models that cannot be computed, and prompts too long: each its error, ${served} × the next request served`,
    );
  });

  it('that dies whenever it is to work gives an error in the end and no crash loop, and works again when it is left alone', async (t) => {
    const cleanup = new Cleanup();
    try {
      const place = cleanup.folder();
      await writeRandomModel(place, { seed: 1 });
      const { api, child } = await node(cleanup, place, ['--threads', '1']);
      await assertServes(api);
      const killed = new Set<number>();
      const killer = setInterval(() => {
        for (const { pid } of descendants(child.pid)) {
          if (killed.has(pid) || !argvOf(pid).some((word) => word.includes('ggml'))) continue;
          killed.add(pid);
          process.kill(pid, 'SIGKILL');
        }
      }, 20);
      const startedMs = performance.now();
      const answer = await ask(api, 'exo-test/random').finally(() => clearInterval(killer));
      const tookMs = performance.now() - startedMs;
      t.diagnostic(`${killed.size} processes died in ${(tookMs / 1000).toFixed(1)} s`);
      assert.ok(answer.status >= 500, JSON.stringify(answer.body));
      assert.match(answer.body.error!.message, /process ended/);
      // The one that ran, the next at once, because that one had run for long, and then one a second.
      assert.ok(killed.size <= 2 + tookMs / 900, `${killed.size} in ${tookMs} ms`);
      await assertServes(api);
    } finally {
      await cleanup.dispose();
    }
  });

  it('without its libraries: the node starts, says once what to install, and answers chats with a 503 that says it too', async () => {
    const cleanup = new Cleanup();
    try {
      const folder = cleanup.folder();
      cpSync(path.resolve(EXO_MAIN, '../..'), path.join(folder, 'dist'), { recursive: true });
      cpSync(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'));
      const modules = path.join(ROOT, 'node_modules');
      mkdirSync(path.join(folder, 'node_modules'));
      for (const name of readdirSync(modules)) {
        if (name.startsWith('.') || name === '@node-llama-cpp') continue;
        symlinkSync(path.join(modules, name), path.join(folder, 'node_modules', name));
      }
      assert.ok(existsSync(DEMO_DIRECTORY));
      const [nodePort, apiPort] = await freePorts(2);
      const child = cleanup.child(
        process.execPath,
        [
          ...[path.join(folder, 'dist/cli/main.js'), '--node-id', 'bare', '--disable-tui'],
          ...['--node-port', String(nodePort), '--chatgpt-api-port', String(apiPort)],
          ...['--discovery-module', 'manual', '--discovery-config-path'],
          writePeersFile(folder, 'peers.json', {}),
        ],
        { env: { EXO_HOME: cleanup.folder(), NO_COLOR: '1', EXO_API: '' } },
      );
      const api = `http://127.0.0.1:${apiPort}`;
      await untilHealthy(child, api);
      for (let time = 0; time < 2; time += 1) {
        const { status, body } = await ask(api, 'demo');
        assert.equal(status, 503, JSON.stringify(body));
        assert.equal(body.error?.code, 'engine-missing');
        assert.match(body.error.message, /npm install @node-llama-cpp\//);
      }
      assert.equal(child.output.split('"msg":"engine-missing"').length - 1, 1, child.output);
      assert.equal(child.exit, undefined);
    } finally {
      await cleanup.dispose();
    }
  });
});
