/** exo model …: without a node, against a hub on loopback. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { runProgram } from '../../src/cli/program.js';
import { MockHub } from '../support/mock-hub.js';
import { shardedModel, singleFileModel } from '../support/model-files.js';
import { Cleanup } from '../support/processes.js';
import { TestHost } from './host.js';

const REPOSITORY = 'mesh/tiny';
let cleanup: Cleanup;
let hub: MockHub;
let env: NodeJS.ProcessEnv;
let models: string;

beforeEach(async () => {
  cleanup = new Cleanup();
  hub = await MockHub.start();
  cleanup.add(() => hub.stop());
  const folder = cleanup.folder();
  models = path.join(folder, 'home', 'models');
  env = { EXO_HOME: path.join(folder, 'home'), HOME: folder, HF_ENDPOINT: hub.endpoint, NO_COLOR: '1' };
});
afterEach(() => cleanup.dispose());

async function exo(line: string, more: NodeJS.ProcessEnv = {}) {
  const host = new TestHost(['model', ...line.split(' ')], { env: { ...env, ...more } });
  const code = await runProgram(host);
  return { code, out: host.out, err: host.err };
}

async function json<T>(line: string): Promise<T> {
  const { code, out, err } = await exo(`${line} --json`);
  assert.equal(code, 0, err);
  return JSON.parse(out) as T;
}

test('pull fetches, list and info show it, verify reads it, rm removes it', async () => {
  const files = singleFileModel(3, 100_000);
  hub.put(REPOSITORY, files);
  assert.match((await exo('list')).out, /no model is kept here/);
  const pulled = await exo(`pull ${REPOSITORY}`);
  assert.equal(pulled.code, 0, pulled.err);
  assert.match(pulled.out, /mesh\/tiny is here: .*mesh--tiny\n4 files, .* fetched now/);
  assert.deepEqual(
    readFileSync(path.join(models, 'mesh--tiny/model.safetensors')),
    files['model.safetensors'],
  );
  assert.match((await exo('list')).out, /mesh\/tiny +all 3 +\d+ KiB +\S+mesh--tiny/);
  const info = await json<{ here: Array<{ complete: boolean; commit: string }>; hub: null }>(
    `info ${REPOSITORY}`,
  );
  assert.deepEqual(
    [info.here[0]?.complete, info.here[0]?.commit, info.hub],
    [true, hub.commitOf(REPOSITORY), null],
  );
  assert.match((await exo(`verify ${REPOSITORY}`)).out, /model\.safetensors +\d+ KiB +right/);
  const again = await exo(`pull ${REPOSITORY}`);
  assert.match(again.out, /is here.*\n.*--update/);
  const removed = await json<{ directories: string[] }>(`rm ${REPOSITORY} --yes`);
  assert.equal(removed.directories.length, 1);
  assert.ok(!existsSync(path.join(models, 'mesh--tiny')));
});

test('pull --layers fetches those layers; list says which, a pull of the rest fetches the rest', async () => {
  hub.put(REPOSITORY, shardedModel(6, 2, 50_000));
  assert.equal((await exo(`pull ${REPOSITORY} --layers 2-3`)).code, 0);
  assert.equal(hub.bytesSent('model-00001-of-00003.safetensors'), 0);
  assert.match((await exo('list')).out, /2-3 of 6/);
  const before = hub.bytesSent('model-00002-of-00003.safetensors');
  const again = await json<{ fetched_bytes: number }>(`pull ${REPOSITORY} --layers 2-3`);
  assert.equal(again.fetched_bytes, 0);
  const all = await json<{ fetched_bytes: number }>(`pull ${REPOSITORY}`);
  assert.ok(all.fetched_bytes > 0);
  assert.equal(hub.bytesSent('model-00002-of-00003.safetensors'), before);
  assert.match((await exo('list')).out, /all 6/);
});

test('pull says how far it is on stderr, and nothing but the answer on stdout', async () => {
  hub.put(REPOSITORY, singleFileModel(3, 300_000));
  let isHeld = true;
  hub.onPiece = async (sent) => {
    // Progress is silent for the first half second.
    if (isHeld && sent.path === 'model.safetensors' && sent.to > 500_000) {
      await new Promise((resolve) => setTimeout(resolve, 900));
      isHeld = false;
    }
  };
  const { code, out, err } = await exo(`pull ${REPOSITORY} --json`);
  assert.equal(code, 0, err);
  JSON.parse(out);
  assert.match(err, /mesh\/tiny: \d+ % of 2\.\d MiB, /);
});

test('Ctrl-C in the middle keeps what is there, and the same command goes on', async () => {
  hub.put(REPOSITORY, singleFileModel(4, 600_000));
  const host = new TestHost(['model', 'pull', REPOSITORY], { env });
  hub.onPiece = () => {
    if (hub.bytesSent('model.safetensors') > 2_000_000) host.send('SIGINT');
  };
  assert.equal(await runProgram(host), 130);
  assert.match(host.err, /what was fetched is kept/);
  hub.onPiece = () => undefined;
  assert.equal((await exo(`pull ${REPOSITORY}`)).code, 0);
});

test('verify finds damage with exit code 1, and pull mends it', async () => {
  hub.put(REPOSITORY, singleFileModel(3, 100_000));
  await exo(`pull ${REPOSITORY}`);
  const file = path.join(models, 'mesh--tiny/model.safetensors');
  const bytes = readFileSync(file);
  bytes[150_000] = bytes[150_000]! ^ 1;
  writeFileSync(file, bytes);
  const found = await exo(`verify ${REPOSITORY}`);
  assert.equal(found.code, 1);
  assert.match(
    found.out,
    /model\.safetensors +\d+ KiB +damaged[\s\S]*1 file damaged; .*: exo model pull mesh\/tiny/,
  );
  assert.equal((await exo(`pull ${REPOSITORY}`)).code, 0);
  assert.equal((await exo(`verify ${REPOSITORY}`)).code, 0);
});

for (const gone of ['model.safetensors', 'tokenizer.json', 'config.json']) {
  test(`verify misses ${gone} where it is gone, with exit code 1, and pull fetches it and nothing else`, async () => {
    hub.put(REPOSITORY, singleFileModel(3, 100_000));
    await exo(`pull ${REPOSITORY}`);
    rmSync(path.join(models, 'mesh--tiny', gone));
    const found = await exo(`verify ${REPOSITORY}`);
    assert.equal(found.code, 1);
    assert.match(
      found.out,
      new RegExp(`${gone} +not there\n[\\s\\S]*1 file not there; .*: exo model pull mesh/tiny`),
    );
    const before = hub.bytesSent('model.safetensors');
    assert.equal((await exo(`pull ${REPOSITORY}`)).code, 0);
    assert.equal((await exo(`verify ${REPOSITORY}`)).code, 0);
    const fetched = hub.bytesSent('model.safetensors') - before;
    assert.equal(fetched > 0, gone === 'model.safetensors', `${fetched} bytes`);
  });
}

test('a file that was written to and is the same is compared again by pull, and not fetched', async () => {
  hub.put(REPOSITORY, singleFileModel(3, 100_000));
  await exo(`pull ${REPOSITORY}`);
  const file = path.join(models, 'mesh--tiny/model.safetensors');
  writeFileSync(file, readFileSync(file));
  utimesSync(file, 1, 1);
  const before = hub.bytesSent('model.safetensors');
  assert.equal((await exo(`pull ${REPOSITORY}`)).code, 0);
  assert.equal(hub.bytesSent('model.safetensors'), before);
  const asked = hub.seen.length;
  assert.equal((await exo(`pull ${REPOSITORY}`)).code, 0);
  assert.equal(hub.seen.length, asked);
});

test('what is mended stays of the version that is here, and needs no hub where nothing is wrong', async () => {
  hub.put(REPOSITORY, singleFileModel(3, 100_000));
  await exo(`pull ${REPOSITORY}`);
  const commit = hub.commitOf(REPOSITORY);
  hub.put(REPOSITORY, singleFileModel(4, 100_000));
  utimesSync(path.join(models, 'mesh--tiny/config.json'), 1, 1);
  const asked = hub.seen.length;
  const pulled = await json<{ commit: string; fetched_bytes: number }>(`pull ${REPOSITORY}`);
  assert.deepEqual([pulled.commit, pulled.fetched_bytes, hub.seen.length], [commit, 0, asked]);
  assert.match((await exo('list')).out, /all 3/);
});

test('a folder that exo does not write to is used as it is, whatever its times are', async () => {
  hub.put(REPOSITORY, singleFileModel(3, 100_000));
  await exo(`pull ${REPOSITORY}`);
  const elsewhere = cleanup.folder();
  const copy = path.join(elsewhere, 'mesh--tiny');
  cpSync(path.join(models, 'mesh--tiny'), copy, { recursive: true });
  await exo(`rm ${REPOSITORY} --yes`);
  const asked = hub.seen.length;
  const here = { EXO_MODELS_READ_ONLY_DIRS: elsewhere };
  const again = await exo(`pull ${REPOSITORY}`, here);
  assert.match(again.out, /mesh\/tiny is here: \S+mesh--tiny\nexo model verify/);
  assert.equal((await exo(`verify ${REPOSITORY}`, here)).code, 0);
  assert.equal(hub.seen.length, asked);
  const file = path.join(copy, 'model.safetensors');
  const bytes = readFileSync(file);
  bytes[150_000] = bytes[150_000]! ^ 1;
  writeFileSync(file, bytes);
  const found = await exo(`verify ${REPOSITORY}`, here);
  assert.equal(found.code, 1);
  assert.match(
    found.out,
    /exo does not write to \S+: remove or mend it yourself, or .*: exo model pull --update mesh\/tiny/,
  );
  assert.equal((await exo(`pull --update ${REPOSITORY}`, here)).code, 0);
  assert.ok(existsSync(path.join(models, 'mesh--tiny/model.safetensors')));
});

test('files of a repository that no download fetches are none that it misses or doubts', async () => {
  hub.put(REPOSITORY, { ...singleFileModel(3, 1_000), 'vocab.json': '{}', 'README.md': 'tiny' });
  await exo(`pull ${REPOSITORY}`);
  for (const name of ['vocab.json', 'README.md', 'consolidated.safetensors'])
    writeFileSync(path.join(models, 'mesh--tiny', name), 'mine');
  const asked = hub.seen.length;
  assert.match((await exo(`pull ${REPOSITORY}`)).out, /is here.*\nexo model verify/);
  assert.equal(hub.seen.length, asked);
});

test('damage of what is here in part is mended by the pull that verify names', async () => {
  hub.put(REPOSITORY, singleFileModel(6, 50_000));
  await exo(`pull ${REPOSITORY} --layers 2-3`);
  assert.equal((await exo(`verify ${REPOSITORY}`)).code, 0);
  // What lies between two ranges that are wanted comes with them.
  assert.match((await exo('list')).out, /0-3 of 6/);
  const file = path.join(models, 'mesh--tiny/model.safetensors.partial');
  const bytes = readFileSync(file);
  const at = bytes.findIndex((byte, index) => index > 20_000 && byte !== 0);
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(file, bytes);
  const { code, out } = await exo(`verify ${REPOSITORY}`);
  assert.equal(code, 1);
  const command = /fetched again by: exo model (pull --update --layers 0-3 mesh\/tiny)$/m.exec(out)?.[1];
  assert.ok(command !== undefined, out);
  assert.equal((await exo(command)).code, 0);
  assert.equal((await exo(`verify ${REPOSITORY}`)).code, 0);
  assert.match((await exo('list')).out, /0-3 of 6/);
});

test('verify says which layers are here where not all of them were asked for', async () => {
  hub.put(REPOSITORY, shardedModel(6, 2, 50_000));
  await exo(`pull ${REPOSITORY} --layers 2-3`);
  const { code, out } = await exo(`verify ${REPOSITORY}`);
  assert.equal(code, 0, out);
  assert.match(out, /layers here: 2-3 of 6; the others are fetched by: exo model pull mesh\/tiny/);
});

test('verify says of a file without a hash that it was not checked, how large it is and why', async () => {
  hub.put(REPOSITORY, singleFileModel(3, 100_000));
  await exo(`pull ${REPOSITORY}`);
  const folder = path.join(models, 'mesh--tiny');
  writeFileSync(path.join(folder, 'chat_template.jinja'), 'x'.repeat(2_048));
  const { code, out } = await exo(`verify ${REPOSITORY}`);
  assert.equal(code, 0);
  assert.match(out, /chat_template\.jinja +2\.0 KiB +not checked: no hash of it is known here/);
  assert.match(out, /checked: 4 files \(\d+ KiB\); not checked: 1 file \(2\.0 KiB\), because/);
  type Files = {
    folders: Array<{ files: Array<{ path: string; state: string; bytes: number; size: number }> }>;
  };
  const { folders } = await json<Files>(`verify ${REPOSITORY}`);
  const file = folders[0]!.files.find((each) => each.path === 'chat_template.jinja')!;
  assert.deepEqual([file.state, file.bytes, file.size], ['unknown', 0, 2_048]);
  appendFileSync(path.join(folder, 'config.json'), ' ');
  const damaged = await exo(`verify ${REPOSITORY}`);
  assert.equal(damaged.code, 1);
  assert.match(damaged.out, /config\.json +\d+ B +damaged: it should have \d+ bytes and has \d+/);
});

test('search: short names without a hub, both with one, and short names still when it does not answer', async () => {
  hub.put('mesh/qwen-tiny', singleFileModel(2, 1_000));
  const all = await exo('search --offline');
  assert.match(all.out, /llama-3\.2-1b +Llama 3\.2 1B +16 layers +mlx-community/);
  const both = await exo('search qwen');
  assert.match(both.out, /qwen-3-8b[\s\S]*ON THE HUB[\s\S]*mesh\/qwen-tiny +7 downloads/);
  const alone = await exo('search qwen', { HF_ENDPOINT: 'http://127.0.0.1:1' });
  assert.equal(alone.code, 0);
  assert.match(alone.out, /qwen-3-8b/);
  assert.match(alone.err, /cannot be reached/);
});

test('offline what is here is used, and what is not says so without asking anybody', async () => {
  hub.put(REPOSITORY, singleFileModel(2, 1_000));
  await exo(`pull ${REPOSITORY}`);
  const before = hub.seen.length;
  assert.equal((await exo(`pull ${REPOSITORY} --offline --update`)).code, 0);
  const { code, err } = await exo('pull mesh/other', { HF_HUB_OFFLINE: '1' });
  assert.equal(code, 1);
  assert.match(err, /HF_HUB_OFFLINE[\s\S]*hint: exo model list/);
  assert.equal((await exo('info mesh/other --offline')).code, 1);
  assert.equal(hub.seen.length, before);
});

test('a folder is shown by info; it is neither fetched nor removed', async () => {
  const folder = path.join(cleanup.folder(), 'mine');
  mkdirSync(folder);
  for (const [name, bytes] of Object.entries(singleFileModel(3, 1_000)))
    writeFileSync(path.join(folder, name), bytes);
  assert.match((await exo(`info ${folder}`)).out, /all 3/);
  for (const command of ['pull', 'rm', 'verify']) {
    const { code, err } = await exo(`${command} ${folder}`);
    assert.equal(code, 2);
    assert.match(err, /is a folder/);
  }
  assert.ok(existsSync(path.join(folder, 'config.json')));
});

test('the demo model is shown by info; it comes with the program, so it is neither fetched nor removed', async () => {
  assert.match((await exo('info demo')).out, /layers +all 6/);
  for (const command of ['pull', 'rm', 'verify']) {
    const { code, err } = await exo(`${command} demo`);
    assert.equal(code, 2);
    assert.match(err, /comes with the program/);
  }
});

test('an architecture that is not computed is refused by its name before its weights come', async () => {
  hub.put(REPOSITORY, {
    ...singleFileModel(2, 100_000),
    'config.json': '{"architectures":["MambaForCausalLM"],"model_type":"mamba","num_hidden_layers":2}',
  });
  const { code, err } = await exo(`pull ${REPOSITORY}`);
  assert.equal(code, 1);
  assert.match(err, /mamba/i);
  assert.equal(hub.bytesSent('model.safetensors'), 0);
});

test('every wrong line says what to do next', async () => {
  hub.put(REPOSITORY, singleFileModel(2, 1_000));
  const wrong: Array<[line: string, code: number, err: RegExp]> = [
    ['pull lama-3.2-1b', 1, /did you mean llama-3\.2-1b/],
    ['pull deepseek-v3', 1, /deepseek_v3.*exo model search/],
    [`pull ${REPOSITORY} --layers 5-1`, 2, /not a range such as 0-15/],
    [`pull ${REPOSITORY} --layers 1-9`, 2, /has 2 layers, so the last one is 1/],
    [`pull ${REPOSITORY} --max-parallel-downloads 0`, 2, /from 1 to 64/],
    ['pull mesh/none', 1, /exo model search/],
    ['rm mesh/none', 1, /exo model list/],
    ['verify mesh/none', 1, /exo model pull/],
    ['search x --limit 0', 2, /from 1 to 100/],
    ['fetch x', 2, /exo model; it has: list, search, pull, rm, info, verify/],
  ];
  for (const [line, code, err] of wrong) {
    const answer = await exo(line);
    assert.equal(answer.code, code, `${line}: ${answer.err}`);
    assert.match(answer.err, err, line);
  }
  const refused = await exo(`pull ${REPOSITORY}`, { HF_ENDPOINT: 'ftp://x' });
  assert.match(refused.err, /HF_ENDPOINT/);
});

test('the token comes from the environment or the file of the hub’s tools, and is never shown', async () => {
  hub.put(REPOSITORY, singleFileModel(2, 1_000), 'hf_secret_1');
  const refused = await exo(`pull ${REPOSITORY}`, { HF_TOKEN: 'hf_secret_2' });
  assert.equal(refused.code, 1);
  assert.match(refused.err, /HF_TOKEN/);
  assert.ok(!`${refused.out}${refused.err}`.includes('secret'));
  const folder = path.join(env['HOME']!, '.cache/huggingface');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'token'), 'hf_secret_1\n');
  assert.equal((await exo(`pull ${REPOSITORY}`)).code, 0);
  const odd = await exo(`pull --update ${REPOSITORY}`, { HF_TOKEN: 'a\nb' });
  assert.equal(odd.code, 2);
  assert.match(odd.err, /token for the hub/);
});

test('completion: short names to fetch, what is here to remove', async () => {
  hub.put(REPOSITORY, singleFileModel(2, 1_000));
  await exo(`pull ${REPOSITORY}`);
  const words = async (...typed: string[]) => {
    const host = new TestHost(['__complete', '--', 'model', ...typed], { env });
    await runProgram(host);
    return host.out.split('\n').map((line) => line.split('\t')[0]);
  };
  assert.deepEqual(await words(''), ['list', 'search', 'pull', 'rm', 'info', 'verify', '']);
  assert.deepEqual(await words('pull', 'gemma3-1'), ['gemma3-1b', 'gemma3-12b', 'gemma3-1b-bf16', '']);
  assert.deepEqual(await words('rm', ''), [REPOSITORY, '']);
  assert.deepEqual(await words('info', 'mesh'), [REPOSITORY, '']);
});

test('help of every command has examples', async () => {
  for (const command of ['list', 'search', 'pull', 'rm', 'info', 'verify']) {
    const { code, out } = await exo(`${command} --help`);
    assert.equal(code, 0);
    assert.match(out, new RegExp(`Examples:\\n {2}exo model ${command}`));
  }
});
