/** Tokenizers that a node keeps open: those in use stay, the one that was not used for longest makes room. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModelReader } from '../../../src/inference/engines/ggml/model-reader.js';
import type { Tokenizer } from '../../../src/inference/index.js';
import { LIMITS } from '../../../src/shared/index.js';

const { signal } = new AbortController();
const nameOf = (at: number) => `m${at}`;

function tokenizer(close: () => Promise<void>): Tokenizer {
  return { close } as unknown as Tokenizer;
}

test('model reader closes the tokenizer that was not used for longest', async () => {
  const closed: string[] = [];
  const reader = new ModelReader(
    {},
    {
      files: { directoryOf: async (modelId) => modelId },
      openTokenizer: async (directory) => tokenizer(async () => void closed.push(directory)),
    },
  );
  for (let at = 0; at < LIMITS.tokenizersMax; at += 1) await reader.tokenizer(nameOf(at), signal);
  const first = await reader.tokenizer(nameOf(0), signal);
  await reader.tokenizer('more', signal);
  assert.equal(await reader.tokenizer(nameOf(0), signal), first, 'it is in use');
  await reader.clear();
  assert.equal(closed[0], nameOf(1));
  assert.equal(closed.length, LIMITS.tokenizersMax + 1);
});

test('model reader keeps a tokenizer that was opened anew when the try before it fails late', async () => {
  let fail: (error: Error) => void = () => undefined;
  let opened = 0;
  const reader = new ModelReader(
    {},
    {
      files: { directoryOf: async (modelId) => modelId },
      openTokenizer: (directory) => {
        if (directory !== 'slow') return Promise.resolve(tokenizer(async () => undefined));
        opened += 1;
        if (opened > 1) return Promise.resolve(tokenizer(async () => undefined));
        return new Promise((_resolve, reject) => {
          fail = reject;
        });
      },
    },
  );
  const slow = assert.rejects(reader.tokenizer('slow', signal), /late/);
  for (let at = 0; at < LIMITS.tokenizersMax; at += 1) await reader.tokenizer(nameOf(at), signal);
  const anew = await reader.tokenizer('slow', signal);
  fail(new Error('late'));
  await slow;
  assert.equal(await reader.tokenizer('slow', signal), anew);
  assert.equal(opened, 2);
  await reader.clear();
});
