/** Random checkpoints have the names, shapes and bits that the golden vectors were made with. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { readArchitecture } from '../../src/models/index.js';
import { ROOT } from '../support/processes.js';
import {
  narrowToBf16,
  narrowToF16,
  type RandomType,
  randomBytes,
  writeRandomCheckpoint,
} from '../support/random-checkpoint.js';
import { fillRandom, randomTensors } from '../support/random-tensors.js';

interface Golden {
  readonly config: Record<string, unknown>;
  readonly spellings: readonly Record<string, unknown>[];
  readonly seed: number;
  readonly weights: Readonly<Record<RandomType, string>>;
  readonly prompts: readonly {
    readonly tokens: readonly number[];
    readonly ids: readonly number[];
    readonly margin: number;
    readonly positions: readonly number[];
    readonly logits: string;
  }[];
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const GOLDEN = path.join(ROOT, 'test/golden');
const TYPES: readonly RandomType[] = ['F32', 'F16', 'BF16'];
/** Of all vectors together, in the repository. */
const GOLDEN_BYTES_MAX = 1_000_000;
const names = readdirSync(GOLDEN).filter((name) => name.endsWith('.json'));

function golden(name: string): Golden {
  return JSON.parse(readFileSync(path.join(GOLDEN, name), 'utf8')) as Golden;
}

test('golden vectors cover every family and stay small', () => {
  const families = new Set(names.map((name) => golden(name).config['model_type']));
  assert.deepEqual([...families].sort(), [
    'gemma2',
    'gemma3_text',
    'llama',
    'mistral',
    'phi3',
    'qwen2',
    'qwen3',
  ]);
  const bytes = names.reduce((sum, name) => sum + statSync(path.join(GOLDEN, name)).size, 0);
  assert.ok(bytes < GOLDEN_BYTES_MAX, `${bytes} bytes`);
});

for (const name of names) {
  test(`golden vectors of ${name} are complete, and their greedy ids follow from their logits`, () => {
    const { config, prompts } = golden(name);
    const vocab = Number(config['vocab_size']);
    assert.equal(prompts.length, 2);
    for (const { tokens, ids, positions, logits, margin } of prompts) {
      const bytes = Buffer.from(logits, 'base64');
      assert.equal(bytes.length, positions.length * vocab * 4);
      assert.equal(ids.length, 24);
      assert.ok(margin >= 0.001);
      const sequence = [...tokens, ...ids];
      let checked = 0;
      for (const [row, position] of positions.entries()) {
        const next = sequence[position + 1];
        if (position < tokens.length - 1 || next === undefined) continue;
        const line = Array.from({ length: vocab }, (_, at) => bytes.readFloatLE((row * vocab + at) * 4));
        assert.equal(line.indexOf(Math.max(...line)), next);
        checked += 1;
      }
      assert.ok(checked > 0);
    }
  });

  test(`golden config of ${name} is the same architecture in the spellings of other years`, () => {
    const { config, spellings } = golden(name);
    const architecture = readArchitecture(config);
    assert.equal(architecture.layers.length, config['num_hidden_layers']);
    for (const spelling of spellings) assert.deepEqual(readArchitecture(spelling), architecture);
  });

  test(`random checkpoint of ${name} has the tensors that transformers was given, in every type`, () => {
    const { config, spellings, seed, weights } = golden(name);
    for (const type of TYPES) assert.equal(hashOf(config, seed, type), weights[type], type);
    for (const spelling of spellings) assert.deepEqual(randomTensors(spelling), randomTensors(config));
  });
}

/** As `hashes` in tools/golden/weights.py. */
function hashOf(config: Record<string, unknown>, seed: number, type: RandomType): string {
  const hash = createHash('sha256');
  for (const tensor of randomTensors(config)) {
    hash.update(`${tensor.name}\0${tensor.shape.join(',')}\0`);
    for (const bytes of randomBytes(tensor, seed, type)) hash.update(bytes);
  }
  return hash.digest('hex');
}

test('random checkpoint on disk is a safetensors file whose entries lie end to end', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'exo-test-'));
  try {
    const { config, seed, weights } = golden('llama-biases.json');
    await writeRandomCheckpoint(directory, config, { seed, type: 'BF16' });
    assert.deepEqual(JSON.parse(readFileSync(path.join(directory, 'config.json'), 'utf8')), config);
    const bytes = readFileSync(path.join(directory, 'model.safetensors'));
    const headerBytes = Number(bytes.readBigUInt64LE(0));
    assert.equal(headerBytes % 8, 0);
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<string, Entry>;
    assert.deepEqual(header['__metadata__'], { format: 'pt' });
    delete header['__metadata__'];
    const hash = createHash('sha256');
    let end = 0;
    for (const [name, entry] of Object.entries(header)) {
      assert.equal(entry.dtype, 'BF16');
      assert.equal(entry.data_offsets[0], end, name);
      end = entry.data_offsets[1];
      const data = bytes.subarray(8 + headerBytes + entry.data_offsets[0], 8 + headerBytes + end);
      hash.update(`${name}\0${entry.shape.join(',')}\0`).update(data);
    }
    assert.equal(bytes.length, 8 + headerBytes + end);
    assert.equal(hash.digest('hex'), weights.BF16);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('random checkpoint of a tensor longer than one chunk goes on where the chunk ended', () => {
  const tensor = { name: 'model.embed_tokens.weight', shape: [3000, 700], mean: 0, spread: 1 };
  const chunks = [...randomBytes(tensor, 3, 'F32')].map((bytes) => bytes.byteLength);
  assert.deepEqual(chunks, [4 << 20, 4 << 20, (2_100_000 - (2 << 20)) * 4]);
  // One buffer serves all chunks, so each is looked at when it comes.
  const beginnings: number[][] = [];
  for (const bytes of randomBytes(tensor, 3, 'F32'))
    beginnings.push([...new Float32Array(bytes.buffer, 0, 8)]);
  const expected = new Float32Array(8);
  for (const [chunk, beginning] of beginnings.entries()) {
    fillRandom(expected, tensor, 3, chunk << 20);
    assert.deepEqual(beginning, [...expected]);
  }
  assert.notDeepEqual(beginnings[0], beginnings[1]);
});

test('random checkpoint rounds to half precision to nearest, ties to even', () => {
  const narrow = (to: typeof narrowToF16, values: readonly number[]): number[] => {
    const halves = new Uint16Array(values.length);
    to(new Uint32Array(new Float32Array(values).buffer), halves);
    return [...halves];
  };
  const tie = 2 ** -11;
  assert.deepEqual(
    narrow(narrowToF16, [0, 1, -2, 1 + tie, 1 + 3 * tie, 65_504, 2 ** -14, 2 ** -24, 2 ** -25, 3 * 2 ** -25]),
    [0, 0x3c00, 0xc000, 0x3c00, 0x3c02, 0x7bff, 0x0400, 1, 0, 2],
  );
  assert.deepEqual(
    narrow(narrowToBf16, [0, 1, -2, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1e-40]),
    [0, 0x3f80, 0xc000, 0x3f80, 0x3f82, 1],
  );
});

test('random checkpoint refuses a family that it does not know', () => {
  assert.throws(
    () => randomTensors({ model_type: 'mamba' }),
    /no random checkpoint for the model_type mamba/,
  );
});
