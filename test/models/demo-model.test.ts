/**
 * The demo model in src/models/demo is whole, small, and what tools/demo-model made. Whether an engine answers with it is
 * tested where the engines are; the questions stand in test/models/demo-questions.json.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Checkpoint, openTokenizer } from '../../src/models/index.js';
import { ROOT } from '../support/processes.js';

interface Made {
  readonly sha256: Readonly<Record<string, string>>;
}

interface Question {
  readonly question: string;
  readonly trained: boolean;
  readonly keywords: readonly string[];
  readonly answer: string;
}

const DEMO = path.join(ROOT, 'src/models/demo');
const FILES = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
/** It travels with every clone. */
const BYTES_MAX = 4 * 1024 * 1024;
const never = new AbortController().signal;
const made = readJson<Made>('tools/demo-model/made.json');
const questions = readJson<Question[]>('test/models/demo-questions.json');

function readJson<T>(name: string): T {
  return JSON.parse(readFileSync(path.join(ROOT, name), 'utf8')) as T;
}

test('demo model has its four files, in at most 4 MiB', () => {
  assert.deepEqual(readdirSync(DEMO).sort(), FILES);
  const bytes = FILES.reduce((sum, name) => sum + statSync(path.join(DEMO, name)).size, 0);
  assert.ok(bytes <= BYTES_MAX, `${bytes} bytes`);
});

test('demo model is the one that its tool says it made', () => {
  const sha256 = (name: string) =>
    createHash('sha256')
      .update(readFileSync(path.join(DEMO, name)))
      .digest('hex');
  assert.equal(sha256('model.safetensors'), made.sha256['model.safetensors']);
  // What is JSON may be formatted anew; what it says may not change.
  assert.deepEqual(Object.keys(made.sha256).sort(), FILES);
});

test('demo model is a checkpoint of the Llama family with a context of 512 tokens', async () => {
  const checkpoint = await Checkpoint.open(DEMO, never);
  const { family, contextLength, layers, vocab, hidden, headDim } = checkpoint.architecture;
  assert.deepEqual(
    { family, contextLength, layers: layers.length, vocab, hidden, headDim },
    { family: 'llama', contextLength: 512, layers: 6, vocab: 1024, hidden: 128, headDim: 32 },
  );
  for (const name of checkpoint.tensorsOf(0, layers.length - 1)) {
    assert.equal(checkpoint.tensors.get(name)?.type, 'F16', name);
  }
});

test('demo model has a tokenizer that gives every text back, and a chat template of its special tokens', async () => {
  const tokenizer = await openTokenizer(DEMO, never);
  for (const text of [
    'What is exo-mesh?',
    '-L 50052:localhost:50051',
    'größer, 日本語\n\ttab',
    '$EXO_HOME “…”',
  ]) {
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  }
  const prompt = tokenizer.applyChatTemplate([{ role: 'user', content: 'Hi' }]);
  assert.equal(prompt, '<|begin|><|user|>Hi<|end|><|assistant|>');
  assert.deepEqual(tokenizer.encode(prompt).slice(0, 2), [0, 3]);
  assert.deepEqual([...tokenizer.eosTokenIds], [1]);
});

test('demo model has questions whose answers have the words that they must have', () => {
  const trained = questions.filter((question) => question.trained);
  assert.ok(new Set(trained.map(({ answer }) => answer)).size >= 60, 'different answers');
  assert.ok(questions.length - trained.length >= 60, 'questions in words that it was not trained on');
  for (const { question, keywords, answer } of questions) {
    assert.ok(keywords.length > 0, question);
    for (const word of keywords) assert.ok(answer.toLowerCase().includes(word), `${question}: ${word}`);
  }
});
