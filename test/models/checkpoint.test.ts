/** A checkpoint finds its tensors and holds them against its architecture. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { wantedTensors } from '../../src/models/architecture/weight-shapes.js';
import { Checkpoint, readArchitecture } from '../../src/models/index.js';
import { ExoError, LIMITS } from '../../src/shared/index.js';
import '../support/leaks.js';
import { ROOT } from '../support/processes.js';
import { type ModelConfig, randomTensors } from '../support/random-tensors.js';
import {
  allTensors,
  SMALL_CONFIG,
  type TensorSpec,
  temporaryFolder,
  tensorsFile,
  writeModel,
} from './checkpoint-files.js';

const never = new AbortController().signal;
const LAYER_TENSORS = 9;
const INDEX = 'model.safetensors.index.json';

async function open(t: TestContext, config: object, tensors: readonly TensorSpec[]): Promise<Checkpoint> {
  const folder = temporaryFolder(t);
  writeModel(folder, config, { 'model.safetensors': tensorsFile(tensors) });
  return await Checkpoint.open(folder, never);
}

/** Two files: embedding and layer 0, layer 1 and the end. */
function writeSharded(folder: string, index?: Record<string, string>): void {
  const isFirst = ({ name }: TensorSpec) => name.includes('embed') || name.includes('layers.0.');
  const all = allTensors(SMALL_CONFIG);
  const files = { 'a.safetensors': all.filter(isFirst), 'b.safetensors': all.filter((one) => !isFirst(one)) };
  const places = Object.entries(files).flatMap(([file, tensors]) => tensors.map(({ name }) => [name, file]));
  writeModel(folder, SMALL_CONFIG, {
    'a.safetensors': tensorsFile(files['a.safetensors']),
    'b.safetensors': tensorsFile(files['b.safetensors']),
    [INDEX]: Buffer.from(JSON.stringify({ metadata: {}, weight_map: index ?? Object.fromEntries(places) })),
  });
}

function invalid(says: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ExoError, String(error));
    assert.equal(error.code, 'checkpoint-invalid');
    assert.match(error.message, says);
    return true;
  };
}

describe('the tensors of a range of layers', () => {
  it('are those of the layers, with the embedding for the first and norm and head for the last', async (t) => {
    const checkpoint = await open(t, SMALL_CONFIG, allTensors(SMALL_CONFIG));
    const first = checkpoint.tensorsOf(0, 0);
    const last = checkpoint.tensorsOf(1, 1);
    assert.equal(first.length, LAYER_TENSORS + 1);
    assert.equal(last.length, LAYER_TENSORS + 2);
    assert.equal(first[0], 'model.embed_tokens.weight');
    assert.deepEqual(last.slice(-2), ['model.norm.weight', 'lm_head.weight']);
    assert.ok(first.slice(1).every((name) => name.startsWith('model.layers.0.')));
    assert.deepEqual(checkpoint.tensorsOf(0, 1), [...first, ...last]);
    const { file, offset, bytes } = checkpoint.tensors.get('model.norm.weight')!;
    assert.deepEqual([path.isAbsolute(file), bytes], [true, 256]);
    assert.ok(offset > 8);
  });

  it('are asked for with layers that are there', async (t) => {
    const checkpoint = await open(t, SMALL_CONFIG, allTensors(SMALL_CONFIG));
    for (const [start, end] of [
      [0, 2],
      [-1, 0],
      [1, 0],
      [0.5, 1],
    ]) {
      assert.throws(() => checkpoint.tensorsOf(start!, end!), RangeError);
    }
  });

  it('have the embedding once where it is the head too, and for both ends', async (t) => {
    const config = { ...SMALL_CONFIG, tie_word_embeddings: true };
    const checkpoint = await open(t, config, allTensors(config));
    const isEmbedding = (name: string) => name === 'model.embed_tokens.weight';
    assert.equal(checkpoint.tensorsOf(0, 1).filter(isEmbedding).length, 1);
    assert.equal(checkpoint.tensorsOf(1, 1).filter(isEmbedding).length, 1);
  });

  const golden = path.join(ROOT, 'test', 'golden');
  for (const file of readdirSync(golden).filter((name) => name.endsWith('.json'))) {
    it(`of the whole model are what transformers have for ${file}`, () => {
      const { config } = JSON.parse(readFileSync(path.join(golden, file), 'utf8')) as { config: ModelConfig };
      const architecture = readArchitecture(config);
      const sorted = (tensors: ReadonlyArray<{ name: string; shape: readonly number[] }>) =>
        tensors.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).sort();
      assert.deepEqual(
        sorted(wantedTensors(architecture, 0, architecture.layers.length - 1)),
        sorted(randomTensors(config)),
      );
    });
  }
});

describe('a checkpoint in several files', () => {
  it('finds every tensor in its file', async (t) => {
    const folder = temporaryFolder(t);
    writeSharded(folder);
    const checkpoint = await Checkpoint.open(folder, never);
    const files = checkpoint.tensorsOf(0, 1).map((name) => path.basename(checkpoint.tensors.get(name)!.file));
    assert.deepEqual([...new Set(files)], ['a.safetensors', 'b.safetensors']);
  });

  it('needs only the files of the layers that are asked for', async (t) => {
    const folder = temporaryFolder(t);
    writeSharded(folder);
    rmSync(path.join(folder, 'b.safetensors'));
    // What a store leaves that keeps its files elsewhere and has lost one.
    symlinkSync(path.join(folder, 'gone'), path.join(folder, 'b.safetensors'));
    const checkpoint = await Checkpoint.open(folder, never);
    assert.equal(checkpoint.tensorsOf(0, 0).length, LAYER_TENSORS + 1);
    assert.throws(
      () => checkpoint.tensorsOf(0, 1),
      invalid(/"model\.layers\.1\..*" .* lies in b\.safetensors, which is not there; fetch it/),
    );
  });

  it('says so when a file has not what the index places there', async (t) => {
    const folder = temporaryFolder(t);
    const names = allTensors(SMALL_CONFIG).map(({ name }) => [name, 'a.safetensors']);
    writeSharded(folder, Object.fromEntries(names));
    const checkpoint = await Checkpoint.open(folder, never);
    assert.throws(() => checkpoint.tensorsOf(1, 1), invalid(/is not in a\.safetensors, where the index/));
  });

  it('is read from one file where there is one, whatever an index says', async (t) => {
    const folder = temporaryFolder(t);
    writeSharded(folder, { x: '../../etc/passwd' });
    writeFileSync(path.join(folder, 'model.safetensors'), tensorsFile(allTensors(SMALL_CONFIG)));
    const checkpoint = await Checkpoint.open(folder, never);
    assert.equal(checkpoint.tensorsOf(0, 1).length, 2 * LAYER_TENSORS + 3);
  });

  for (const name of [
    '../a.safetensors',
    '/etc/a.safetensors',
    'x/a.safetensors',
    'x\\a.safetensors',
    'C:a.safetensors',
    '.a.safetensors',
    'a.safetensors\0',
    'a.bin',
    '',
    7,
  ]) {
    it(`refuses an index that names ${JSON.stringify(name)}`, async (t) => {
      const folder = temporaryFolder(t);
      writeSharded(folder, { x: name as string });
      await assert.rejects(Checkpoint.open(folder, never), invalid(/not the name of a \.safetensors file/));
    });
  }

  it('refuses an index that is none, or names a tensor twice, or too many files', async (t) => {
    const folder = temporaryFolder(t);
    writeSharded(folder);
    const many = Array.from({ length: LIMITS.checkpointFilesMax + 1 }, (_, n) => [
      `t${n}`,
      `${n}.safetensors`,
    ]);
    for (const [text, says] of [
      ['{', /index\.json is not JSON/],
      ['null', /has no weight_map/],
      ['{"weight_map":[]}', /has no weight_map/],
      ['{"weight_map":{"a":"a.safetensors","a":"b.safetensors"}}', /names "a" twice/],
      [JSON.stringify({ weight_map: Object.fromEntries(many) }), /more than 1024 files/],
    ] as const) {
      writeFileSync(path.join(folder, INDEX), text);
      await assert.rejects(Checkpoint.open(folder, never), invalid(says));
    }
  });
});

describe('a checkpoint that does not fit its config', () => {
  const without = (name: string) => allTensors(SMALL_CONFIG).filter((tensor) => tensor.name !== name);
  const changed = (name: string, change: Partial<TensorSpec>) =>
    allTensors(SMALL_CONFIG).map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor));
  const K = 'model.layers.1.self_attn.k_proj.weight';

  it('names a tensor that is missing, with its shape and the architecture, only to who needs it', async (t) => {
    const checkpoint = await open(t, SMALL_CONFIG, without(K));
    assert.equal(checkpoint.tensorsOf(0, 0).length, LAYER_TENSORS + 1);
    assert.throws(
      () => checkpoint.tensorsOf(1, 1),
      invalid(/"model\.layers\.1\.self_attn\.k_proj\.weight" \(32 × 64\) is missing.*llama needs/),
    );
  });

  it('names a tensor of another shape, with both', async (t) => {
    for (const shape of [[64, 32], [2048], [33, 64], [1, 32, 64]]) {
      const checkpoint = await open(t, SMALL_CONFIG, changed(K, { shape }));
      assert.throws(
        () => checkpoint.tensorsOf(1, 1),
        invalid(/k_proj\.weight" in model\.safetensors is F32 \[.*must be F32, F16, BF16 \[32, 64\]/),
      );
    }
  });

  it('names a tensor of a type that is not computed', async (t) => {
    const packed = await open(t, SMALL_CONFIG, changed(K, { type: 'U32' }));
    assert.throws(() => packed.tensorsOf(1, 1), invalid(/is U32 \[32, 64\] and must be F32/));
    const wide = await open(t, SMALL_CONFIG, changed(K, { type: 'F64' }));
    assert.throws(() => wide.tensorsOf(1, 1), invalid(/has the type F64, which is not computed/));
  });

  it('needs the whole of a fused projection', async (t) => {
    const config = { ...SMALL_CONFIG, architectures: ['Phi3ForCausalLM'], model_type: 'phi3' };
    const whole = await open(t, config, allTensors(config));
    const qkv = whole.tensors.get('model.layers.0.self_attn.qkv_proj.weight');
    assert.deepEqual(qkv?.shape, [128, 64]);
    assert.equal(whole.tensorsOf(0, 0).length, 1 + 6);
    const cut = allTensors(config).map((tensor) =>
      tensor.name.endsWith('1.self_attn.qkv_proj.weight') ? { ...tensor, shape: [96, 64] } : tensor,
    );
    const checkpoint = await open(t, config, cut);
    assert.throws(() => checkpoint.tensorsOf(1, 1), invalid(/qkv_proj\.weight".*\[96, 64\].*\[128, 64\]/));
  });
});

describe('an mlx-community checkpoint', () => {
  const CONFIG = { ...SMALL_CONFIG, quantization: { bits: 4, group_size: 64 } };
  /** As mlx writes it: matrices packed, vectors as they are. */
  const quantized = (bits: number) =>
    allTensors(SMALL_CONFIG).flatMap((tensor): TensorSpec[] => {
      const [rows, columns] = tensor.shape;
      if (columns === undefined) return [{ ...tensor, type: 'BF16' }];
      const stem = tensor.name.replace(/\.weight$/, '');
      const groups = [rows!, columns / 64];
      return [
        { name: tensor.name, type: 'U32', shape: [rows!, (columns * bits) / 32] },
        { name: `${stem}.scales`, type: 'BF16', shape: groups },
        { name: `${stem}.biases`, type: 'BF16', shape: groups },
      ];
    });

  for (const bits of [4, 8]) {
    it(`of ${bits} bits has scales and biases with every packed matrix`, async (t) => {
      const checkpoint = await open(
        t,
        { ...CONFIG, quantization: { bits, group_size: 64 } },
        quantized(bits),
      );
      assert.deepEqual(checkpoint.mlx, { bits, groupSize: 64 });
      const names = checkpoint.tensorsOf(0, 0);
      // Embedding and seven matrices of three tensors each, and two norms.
      assert.equal(names.length, 8 * 3 + 2);
      assert.deepEqual(names.slice(0, 3), [
        'model.embed_tokens.weight',
        'model.embed_tokens.scales',
        'model.embed_tokens.biases',
      ]);
    });
  }

  it('may leave a matrix as it is', async (t) => {
    const name = 'model.layers.0.mlp.up_proj';
    const mixed = quantized(4)
      .filter((tensor) => !tensor.name.startsWith(name))
      .concat({ name: `${name}.weight`, type: 'F16', shape: [128, 64] });
    const checkpoint = await open(t, CONFIG, mixed);
    assert.ok(!checkpoint.tensorsOf(0, 0).includes(`${name}.scales`));
  });

  it('that lacks scales, or is packed otherwise than its config says, is refused', async (t) => {
    const lacking = quantized(4).filter(({ name }) => name !== 'model.layers.0.mlp.up_proj.scales');
    const first = await open(t, CONFIG, lacking);
    assert.throws(() => first.tensorsOf(0, 0), invalid(/up_proj\.scales" \(128 × 1\) is missing/));
    const second = await open(t, CONFIG, quantized(8));
    assert.throws(() => second.tensorsOf(0, 0), invalid(/embed_tokens\.weight".*\[32, 16\].*\[32, 8\]/));
  });
});

describe('a folder that is no checkpoint', () => {
  it('without a config, or with a config that is none, says what belongs there', async (t) => {
    const folder = temporaryFolder(t);
    await assert.rejects(
      Checkpoint.open(folder, never),
      invalid(/config\.json is not there; a model’s folder/),
    );
    writeFileSync(path.join(folder, 'config.json'), '{');
    await assert.rejects(Checkpoint.open(folder, never), invalid(/config\.json is not JSON/));
    writeFileSync(path.join(folder, 'config.json'), Buffer.alloc(LIMITS.modelConfigBytesMax + 1, ' '));
    await assert.rejects(Checkpoint.open(folder, never), invalid(/at most 4194304 are read/));
  });

  it('without weights says that safetensors are read', async (t) => {
    const folder = temporaryFolder(t);
    writeModel(folder, SMALL_CONFIG, { 'pytorch_model.bin': Buffer.from('x') });
    await assert.rejects(
      Checkpoint.open(folder, never),
      invalid(/neither model\.safetensors nor model\.safetensors\.index\.json/),
    );
  });

  it('of an architecture that is not computed is refused before its weights are looked for', async (t) => {
    const folder = temporaryFolder(t);
    writeModel(folder, { ...SMALL_CONFIG, architectures: ['MixtralForCausalLM'] }, {});
    await assert.rejects(Checkpoint.open(folder, never), { code: 'model-unsupported' });
  });
});
