/**
 * The model that is measured: the shape of Qwen2.5-0.5B with random weights in BF16, written in a second or two. A block of
 * random numbers is repeated, each time from another place: what weights are does not change how fast they are read.
 */
import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { seededRandom } from '../../src/shared/index.js';
import { narrowToBf16 } from '../../test/support/random-checkpoint.js';
import { type RandomTensor, randomTensors } from '../../test/support/random-tensors.js';

/** What differs between the sizes. */
export interface BenchShape {
  readonly layers: number;
  readonly vocab: number;
}

/** `full` is Qwen2.5-0.5B, 0.99 GB in BF16; `small` shows that the bench works. */
export const SHAPES: Readonly<Record<'full' | 'small', BenchShape>> = {
  full: { layers: 24, vocab: 151_936 },
  small: { layers: 6, vocab: 16_384 },
};
export const HIDDEN = 896;
export const HEADS = 14;
export const KV_HEADS = 2;
export const INTERMEDIATE = 4864;
export const CONTEXT = 32_768;
export const ROPE_BASE = 1_000_000;
export const EPSILON = 1e-6;

/** Not a multiple of any row, so that no two rows are equal. */
const BLOCK_ELEMENTS = 524_287;
const WRITE_ELEMENTS = 1 << 22;

/** Writes config.json and model.safetensors. */
export async function writeModel(directory: string, { layers, vocab }: BenchShape): Promise<void> {
  const config = {
    architectures: ['Qwen2ForCausalLM'],
    model_type: 'qwen2',
    hidden_size: HIDDEN,
    intermediate_size: INTERMEDIATE,
    num_hidden_layers: layers,
    num_attention_heads: HEADS,
    num_key_value_heads: KV_HEADS,
    vocab_size: vocab,
    max_position_embeddings: CONTEXT,
    rms_norm_eps: EPSILON,
    rope_theta: ROPE_BASE,
    hidden_act: 'silu',
    tie_word_embeddings: true,
    torch_dtype: 'bfloat16',
  };
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, 'config.json'), JSON.stringify(config));
  const tensors = randomTensors(config);
  const file = await open(path.join(directory, 'model.safetensors'), 'w');
  try {
    await file.writeFile(header(tensors));
    const blocks = new Map<string, Uint16Array>();
    for (const [index, tensor] of tensors.entries()) await writeTensor(file, tensor, index, blocks);
  } finally {
    await file.close();
  }
}

async function writeTensor(
  file: { writeFile(bytes: Uint8Array): Promise<void> },
  tensor: RandomTensor,
  index: number,
  blocks: Map<string, Uint16Array>,
): Promise<void> {
  const key = `${tensor.mean} ${tensor.spread}`;
  const block = blocks.get(key) ?? randomBlock(tensor);
  blocks.set(key, block);
  const total = elementsOf(tensor);
  const chunk = new Uint16Array(Math.min(total, WRITE_ELEMENTS));
  let from = (index * 97_003) % block.length;
  for (let done = 0; done < total; ) {
    const count = Math.min(chunk.length, total - done);
    for (let at = 0; at < count; ) {
      const part = block.subarray(from, from + count - at);
      chunk.set(part, at);
      at += part.length;
      from = (from + part.length) % block.length;
    }
    await file.writeFile(new Uint8Array(chunk.buffer, 0, count * 2));
    done += count;
  }
}

function randomBlock({ mean, spread }: RandomTensor): Uint16Array {
  const random = seededRandom(5);
  const values = Float32Array.from({ length: BLOCK_ELEMENTS }, () => mean + (random.next() * 2 - 1) * spread);
  const halves = new Uint16Array(values.length);
  narrowToBf16(new Uint32Array(values.buffer), halves);
  return halves;
}

function header(tensors: readonly RandomTensor[]): Uint8Array {
  let end = 0;
  const entries = tensors.map((tensor) => {
    const start = end;
    end += elementsOf(tensor) * 2;
    return [tensor.name, { dtype: 'BF16', shape: tensor.shape, data_offsets: [start, end] }] as const;
  });
  const json = JSON.stringify(Object.fromEntries(entries));
  const length = Math.ceil(json.length / 64) * 64 - 8;
  const padded = json.length > length ? length + 64 : length;
  const bytes = Buffer.alloc(8 + padded, ' ');
  bytes.writeBigUInt64LE(BigInt(padded), 0);
  bytes.write(json, 8, 'latin1');
  return bytes;
}

function elementsOf({ shape }: RandomTensor): number {
  return shape.reduce((product, size) => product * size, 1);
}
