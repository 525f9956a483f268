/**
 * The measured model as libllama reads it: the very bytes that the engine computes with, in a GGUF file. Only what
 * a model of this one shape needs, from the published description of the format. Run by `main.ts`, once for each type.
 */
import { open } from 'node:fs/promises';
import { type Ggml, TYPE } from '../../src/inference/engines/ggml/library/index.js';
import { chunksOf, findMatrix } from '../../src/inference/engines/ggml/weights/matrix.js';
import type { Quantisation } from '../../src/inference/engines/ggml/weights/quantisation.js';
import { Scratch } from '../../src/inference/engines/ggml/weights/scratch.js';
import { findTensor, readRows, toFloats } from '../../src/inference/engines/ggml/weights/stored-tensor.js';
import { type PlannedWeight, planWeights } from '../../src/inference/engines/ggml/weights/weight-plan.js';
import { Checkpoint } from '../../src/models/index.js';
import { CONTEXT, EPSILON, HEADS, HIDDEN, INTERMEDIATE, KV_HEADS, ROPE_BASE } from './model.js';

const MAGIC = 0x46554747;
const VERSION = 3;
const ALIGNMENT = 32;
/** Numbers of the kinds of values. */
const KIND = { uint32: 4, float32: 6, string: 8 } as const;
/** What libllama calls the roles. */
const NAMES: Readonly<Partial<Record<PlannedWeight['role'], string>>> = {
  attentionNorm: 'attn_norm.weight',
  q: 'attn_q.weight',
  k: 'attn_k.weight',
  v: 'attn_v.weight',
  qBias: 'attn_q.bias',
  kBias: 'attn_k.bias',
  vBias: 'attn_v.bias',
  o: 'attn_output.weight',
  ffnNorm: 'ffn_norm.weight',
  gate: 'ffn_gate.weight',
  up: 'ffn_up.weight',
  down: 'ffn_down.weight',
};

interface Entry {
  readonly name: string;
  /** Innermost first. */
  readonly sizes: readonly number[];
  readonly type: number;
  readonly bytes: number;
  /** A chunk is valid until the next one. */
  readonly chunks: () => Iterable<Uint8Array>;
}

/** Writes `file` from the checkpoint in `directory`. */
export async function writeGguf(
  ggml: Ggml,
  file: string,
  directory: string,
  quantisation: Quantisation,
): Promise<void> {
  const { architecture, tensors: known } = await Checkpoint.open(directory, new AbortController().signal);
  const tensors = Object.fromEntries(known);
  const scratch = new Scratch();
  const last = architecture.layers.length - 1;
  const entries = planWeights(architecture, 0, last).map(({ layer, role, ref, shape }): Entry => {
    // The head is the embedding: there is one tensor for both.
    const name =
      role === 'head'
        ? 'token_embd.weight'
        : role === 'finalNorm'
          ? 'output_norm.weight'
          : `blk.${layer}.${NAMES[role]}`;
    if (shape.length === 1) {
      const tensor = findTensor(tensors, ref, shape);
      const chunks = () => [new Uint8Array(toFloats(ggml, tensor, readRows(tensor, 0, 1)).buffer)];
      return { name, sizes: shape, type: TYPE.F32, bytes: shape[0]! * 4, chunks };
    }
    const matrix = findMatrix(tensors, ref, shape, { quantisation }, role === 'head');
    const { type, rows, columns } = matrix;
    return {
      name,
      sizes: [columns, rows],
      type,
      bytes: rows * ggml.ggml_row_size(type, columns),
      chunks: () => chunksOf(matrix, ggml, scratch),
    };
  });
  const out = await open(file, 'w');
  try {
    const front = header(entries, last + 1, architecture.vocab);
    await out.writeFile(padded(front));
    for (const { bytes, chunks } of entries) {
      for (const chunk of chunks()) await out.writeFile(chunk);
      await out.writeFile(new Uint8Array((ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT));
    }
  } finally {
    await out.close();
  }
}

function header(entries: readonly Entry[], layers: number, vocab: number): Uint8Array {
  const values: Buffer[] = [];
  const add = (key: string, kind: number, value: Buffer) => values.push(text(key), u32(kind), value);
  const number = (key: string, value: number) => add(key, KIND.uint32, u32(value));
  add('general.architecture', KIND.string, text('qwen2'));
  add('tokenizer.ggml.model', KIND.string, text('no_vocab'));
  number('qwen2.vocab_size', vocab);
  number('qwen2.context_length', CONTEXT);
  number('qwen2.embedding_length', HIDDEN);
  number('qwen2.block_count', layers);
  number('qwen2.feed_forward_length', INTERMEDIATE);
  number('qwen2.attention.head_count', HEADS);
  number('qwen2.attention.head_count_kv', KV_HEADS);
  add('qwen2.rope.freq_base', KIND.float32, f32(ROPE_BASE));
  add('qwen2.attention.layer_norm_rms_epsilon', KIND.float32, f32(EPSILON));
  let offset = 0;
  const infos = entries.map(({ name, sizes, type, bytes }) => {
    const info = Buffer.concat([text(name), u32(sizes.length), ...sizes.map(u64), u32(type), u64(offset)]);
    offset += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return info;
  });
  const counts = [u32(MAGIC), u32(VERSION), u64(entries.length), u64(values.length / 3)];
  return Buffer.concat([...counts, ...values, ...infos]);
}

function padded(bytes: Uint8Array): Uint8Array {
  const rest = bytes.length % ALIGNMENT;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(ALIGNMENT - rest)]);
}

function text(value: string): Buffer {
  return Buffer.concat([u64(value.length), Buffer.from(value)]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}
