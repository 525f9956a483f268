/** What comes with a model from whoever published it: the head of a safetensors file, config.json, the index of a sharded one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readArchitecture } from '../../../src/models/architecture/config.js';
import { wantedTensors } from '../../../src/models/architecture/weight-shapes.js';
import { parseCheckpointIndex } from '../../../src/models/checkpoint/checkpoint-index.js';
import {
  parseSafetensorsHeader,
  SAFETENSORS_LENGTH_BYTES,
  type SafetensorsEntry,
  safetensorsHeaderBytes,
} from '../../../src/models/checkpoint/safetensors.js';
import { LIMITS, type Random } from '../../../src/shared/index.js';
import { ROOT } from '../../support/processes.js';
import type { FuzzTarget } from '../target.js';
import { jsonSeeds, varyJsonInput } from './json-text.js';

const FILE = 'f';
const HEADER_WORDS = [
  ...['dtype', 'shape', 'data_offsets', '__metadata__', 'F32', 'BF16', 'F4', 'U32', 'BOOL'],
  ...['{"dtype":"F32","shape":[2],"data_offsets":[0,8]}', '"data_offsets":[', '"shape":[0]'],
];

/** Length, header, and as many bytes of data as fit it or not. */
function fileOf(header: string, dataBytes: number): Buffer {
  const length = Buffer.alloc(SAFETENSORS_LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(dataBytes)]);
}

function read(input: Buffer): ReadonlyMap<string, SafetensorsEntry> {
  const file = { file: FILE, fileBytes: input.length };
  const length = safetensorsHeaderBytes(input.subarray(0, SAFETENSORS_LENGTH_BYTES), file);
  return parseSafetensorsHeader(
    input.subarray(SAFETENSORS_LENGTH_BYTES, SAFETENSORS_LENGTH_BYTES + length),
    file,
  );
}

/** The same tensors, written by someone else. */
function rewritten(
  tensors: ReadonlyMap<string, SafetensorsEntry>,
  dataStart: number,
  dataBytes: number,
): Buffer {
  const entries = [...tensors.values()].map(({ name, type, shape, offset, bytes }) => {
    const from = offset - dataStart;
    const entry = { dtype: type, shape, data_offsets: [from, from + bytes] };
    return `${JSON.stringify(name)}:${JSON.stringify(entry)}`;
  });
  return fileOf(`{${entries.reverse().join(', ')}}  `, dataBytes);
}

export const safetensors: FuzzTarget = {
  name: 'safetensors',
  bytesMax: 32 * 1024,
  words: HEADER_WORDS,
  codes: ['checkpoint-invalid'],
  seeds: () => [
    fileOf('{}', 0),
    fileOf('{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}', 16),
    fileOf(
      '{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[3],"data_offsets":[4,10]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"e":{"dtype":"F4","shape":[0,2],"data_offsets":[4,4]}}   ',
      10,
    ),
  ],
  /** Of the header, with a length that fits again; the data is as long as before, or as its last offset says. */
  vary(input: Buffer, random: Random) {
    if (input.length < SAFETENSORS_LENGTH_BYTES) return undefined;
    const length = Math.min(Number(input.readBigUInt64LE(0)), input.length - SAFETENSORS_LENGTH_BYTES);
    const end = SAFETENSORS_LENGTH_BYTES + length;
    const varied = varyJsonInput(HEADER_WORDS)(input.subarray(SAFETENSORS_LENGTH_BYTES, end), random);
    if (varied === undefined) return undefined;
    const ends = [...varied.toString('utf8').matchAll(/(\d+)\]\}/g)].map((match) => Number(match[1]));
    const fitting = Math.min(Math.max(0, ...ends), 4_096);
    return fileOf(varied.toString('utf8'), random.next() < 0.5 ? input.length - end : fitting);
  },
  run(input) {
    const tensors = read(input);
    const dataStart = SAFETENSORS_LENGTH_BYTES + Number(input.readBigUInt64LE(0));
    let end = dataStart;
    for (const { offset, bytes } of tensors.values()) {
      assert.equal(offset, end);
      end += bytes;
    }
    assert.equal(end, input.length);
    const other = rewritten(tensors, dataStart, input.length - dataStart);
    assert.equal(read(other).size, tensors.size);
    return `${Math.min(3, tensors.size)} ${[...new Set([...tensors.values()].map(({ type }) => type))].sort().join()}`;
  },
};

const CONFIG_WORDS = [
  ...['architectures', 'model_type', 'hidden_size', 'num_attention_heads', 'num_key_value_heads', 'head_dim'],
  ...['rope_scaling', 'rope_parameters', 'rope_theta', 'rope_type', 'factor', 'long_factor', 'short_factor'],
  ...['partial_rotary_factor', 'layer_types', 'sliding_window', 'use_sliding_window', 'max_window_layers'],
  ...['full_attention', 'sliding_attention', 'quantization', 'quantization_config', 'tie_word_embeddings'],
  ...['yarn', 'llama3', 'longrope', 'su', 'linear', 'mscale', 'truncate', 'beta_fast', 'vision_config'],
  ...['LlamaForCausalLM', 'Qwen3ForCausalLM', 'Phi3ForCausalLM', 'Gemma3ForCausalLM', 'gemma3_text'],
];

function knownConfigs(): readonly unknown[] {
  const file = path.join(ROOT, 'test/models/vectors/rope.json');
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { config: unknown }>;
  return Object.values(vectors).map(({ config }) => config);
}

export const modelConfig: FuzzTarget = {
  name: 'model-config',
  bytesMax: 16 * 1024,
  words: CONFIG_WORDS,
  codes: ['model-unsupported', 'checkpoint-invalid'],
  seeds: () => jsonSeeds(...knownConfigs()),
  vary: varyJsonInput(CONFIG_WORDS),
  run(input) {
    let config: unknown;
    try {
      config = JSON.parse(input.toString('utf8'));
    } catch {
      return 'no JSON';
    }
    const architecture = readArchitecture(config);
    const { layers, ropes, headDim, heads, kvHeads, contextLength, attentionScale } = architecture;
    assert.ok(layers.length >= 1 && layers.length <= LIMITS.modelLayersMax && heads % kvHeads === 0);
    assert.ok(contextLength >= 1 && Number.isFinite(attentionScale) && attentionScale > 0);
    for (const { dims, factors, attentionFactor } of ropes) {
      assert.ok(dims >= 2 && dims <= headDim && dims % 2 === 0 && attentionFactor > 0);
      assert.ok(factors === undefined || factors.length === dims / 2);
      assert.ok(factors?.every((factor) => Number.isFinite(factor) && factor > 0) !== false);
    }
    for (const { rope, window } of layers) {
      assert.ok(
        ropes[rope] !== undefined && (window === undefined || (window >= 1 && window < contextLength)),
      );
    }
    const wanted = wantedTensors(architecture, 0, layers.length - 1);
    assert.ok(wanted.every(({ shape }) => shape.every((size) => Number.isSafeInteger(size) && size >= 1)));
    const isScaled = ropes.map(({ factors }) => factors !== undefined).join();
    return `${architecture.family} ${isScaled} ${layers.some(({ window }) => window !== undefined)}`;
  },
};

const INDEX_WORDS = [
  'weight_map',
  'metadata',
  'model-00001-of-00002.safetensors',
  '../',
  '/',
  '\\',
  '.safetensors',
];

export const checkpointIndex: FuzzTarget = {
  name: 'checkpoint-index',
  bytesMax: 16 * 1024,
  words: INDEX_WORDS,
  codes: ['checkpoint-invalid'],
  seeds: () =>
    jsonSeeds(
      { weight_map: {} },
      {
        metadata: { total_size: 100 },
        weight_map: {
          'lm_head.weight': 'model-00002-of-00002.safetensors',
          'model.embed_tokens.weight': 'model-00001-of-00002.safetensors',
        },
      },
    ),
  vary: varyJsonInput(INDEX_WORDS),
  run(input) {
    const places = parseCheckpointIndex(input.toString('utf8'), FILE);
    const folder = path.resolve('/models/x');
    for (const name of places.values()) {
      assert.equal(path.dirname(path.join(folder, name)), folder);
      assert.equal(path.win32.basename(name), name);
    }
    return `${Math.min(3, places.size)} ${new Set(places.values()).size > 1}`;
  },
};
