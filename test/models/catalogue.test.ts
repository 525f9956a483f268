/** What a person may write for a model. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  catalogue,
  folderName,
  isFilePath,
  isRepository,
  repositoryOf,
  resolveReference,
  searchCatalogue,
  shortNameOf,
} from '../../src/models/catalogue/catalogue.js';

test('a short name, a repository and a folder are told apart', () => {
  const short = resolveReference('llama-3.2-1b');
  assert.equal(short.kind === 'repository' && short.repository, 'mlx-community/Llama-3.2-1B-Instruct-4bit');
  assert.equal(short.kind === 'repository' && short.model?.layers, 16);
  const any = resolveReference('Some-Org/model_1.5');
  assert.deepEqual(any, { kind: 'repository', id: 'Some-Org/model_1.5', repository: 'Some-Org/model_1.5' });
  assert.deepEqual(resolveReference('/models/x/'), {
    kind: 'directory',
    id: '/models/x/',
    directory: '/models/x',
  });
});

test('a name of nothing says what a name can be, and which was probably meant', () => {
  assert.throws(() => resolveReference('lama-3.2-1b'), {
    code: 'model-unknown',
    message: /did you mean llama-3\.2-1b\?/,
  });
  assert.throws(() => resolveReference('../x/y'), { code: 'model-unknown' });
  assert.throws(() => resolveReference('a--b/c'), { code: 'model-unknown' });
});

test('names of the original whose architecture is not computed are refused by it', () => {
  for (const id of ['deepseek-v3', 'exaone-3.5-2.4b', 'llava-hf/llava-1.5-7b-hf']) {
    assert.throws(() => resolveReference(id), { code: 'model-unsupported', message: /architecture \w+/ });
  }
});

test('every short name is one repository with a folder of its own, and no two are the same', () => {
  const all = catalogue();
  assert.ok(all.length >= 60);
  assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
  assert.equal(new Set(all.map(({ repository }) => repository)).size, all.length);
  for (const { id, repository, layers } of all) {
    assert.ok(isRepository(repository), repository);
    assert.equal(repositoryOf(folderName(repository)), repository);
    assert.equal(shortNameOf(repository), id);
    assert.ok(layers >= 10 && layers <= 126, id);
  }
});

test('search finds by all words, in any order', () => {
  assert.deepEqual(
    searchCatalogue('coder QWEN 7b').map(({ id }) => id),
    ['qwen-2.5-coder-7b'],
  );
  assert.deepEqual(searchCatalogue('nothing like it'), []);
});

test('names of files that would leave a folder, or be another on some system, are none', () => {
  for (const name of ['config.json', 'sub/model-00001-of-00002.safetensors', 'a b (1).txt'])
    assert.ok(isFilePath(name), name);
  for (const name of [
    '../x',
    'a/../b',
    '/etc/passwd',
    'a//b',
    '',
    'a\\b',
    'C:x',
    '.exo/record.json',
    'a.',
    'x\u0000',
    '-rf',
  ]) {
    assert.ok(!isFilePath(name), name);
  }
});
