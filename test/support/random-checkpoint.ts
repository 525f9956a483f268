/**
 * Checkpoints with random weights, for tests and benches: config.json and model.safetensors as transformers would write
 * them, in seconds also at the size of a real small model. What the values are says random-tensors.ts.
 */
import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fillRandom, type ModelConfig, type RandomTensor, randomTensors } from './random-tensors.js';

/** Types that weights are written in. */
export type RandomType = 'F32' | 'F16' | 'BF16';

/** What the weights are. */
export interface RandomCheckpointOptions {
  readonly seed: number;
  /** F32 unless given; the others are the same values, rounded to nearest even. */
  readonly type?: RandomType;
}

/** Elements that are made and written at once: 4 MiB of F32. */
const CHUNK_ELEMENTS = 1 << 20;
/** The data begins at a multiple of this, as the library of safetensors has it. */
const HEADER_ALIGNMENT_BYTES = 8;

/** Writes config.json and model.safetensors into `directory`, which is made where it is missing. */
export async function writeRandomCheckpoint(
  directory: string,
  config: ModelConfig,
  { seed, type = 'F32' }: RandomCheckpointOptions,
): Promise<void> {
  const tensors = randomTensors(config);
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  const file = await open(path.join(directory, 'model.safetensors'), 'w');
  try {
    await file.writeFile(headerOf(tensors, type));
    for (const tensor of tensors) {
      // Written before the next chunk is made, so that one buffer does for all.
      for (const bytes of randomBytes(tensor, seed, type)) await file.writeFile(bytes);
    }
  } finally {
    await file.close();
  }
}

/** The bytes of one tensor in chunks. A chunk is valid until the next one is asked for. */
export function* randomBytes(tensor: RandomTensor, seed: number, type: RandomType): Generator<Uint8Array> {
  const total = elementsOf(tensor);
  const values = new Float32Array(Math.min(CHUNK_ELEMENTS, total));
  const bits = new Uint32Array(values.buffer);
  const halves = new Uint16Array(type === 'F32' ? 0 : values.length);
  for (let from = 0; from < total; from += CHUNK_ELEMENTS) {
    const count = Math.min(CHUNK_ELEMENTS, total - from);
    fillRandom(values.subarray(0, count), tensor, seed, from);
    if (type === 'F32') {
      yield new Uint8Array(values.buffer, 0, count * 4);
      continue;
    }
    const narrow = type === 'BF16' ? narrowToBf16 : narrowToF16;
    narrow(bits.subarray(0, count), halves);
    yield new Uint8Array(halves.buffer, 0, count * 2);
  }
}

/** Bits of float32 to bits of bfloat16, to nearest, ties to even. For finite values. */
export function narrowToBf16(bits: Uint32Array, halves: Uint16Array): void {
  for (let at = 0; at < bits.length; at++) {
    const x = bits[at]!;
    halves[at] = (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
}

/** Bits of float32 to bits of float16, to nearest, ties to even. For values below 65,520 in size. */
export function narrowToF16(bits: Uint32Array, halves: Uint16Array): void {
  const small = new Float32Array(1);
  const smallBits = new Uint32Array(small.buffer);
  for (let at = 0; at < bits.length; at++) {
    const x = bits[at]!;
    const size = x & 0x7fffffff;
    let half: number;
    if (size >= 0x38800000) {
      half = (size - 0x38000000 + 0xfff + ((x >>> 13) & 1)) >>> 13;
    } else {
      // Below 2^-14 halves are multiples of 2^-24, which is the step of float32 from 0.5 on: adding 0.5 rounds.
      smallBits[0] = size;
      small[0] = small[0]! + 0.5;
      half = smallBits[0]! - 0x3f000000;
    }
    halves[at] = ((x >>> 16) & 0x8000) | half;
  }
}

function headerOf(tensors: readonly RandomTensor[], type: RandomType): Uint8Array {
  const entries: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const tensor of tensors) {
    const start = end;
    end += elementsOf(tensor) * (type === 'F32' ? 4 : 2);
    entries[tensor.name] = { dtype: type, shape: tensor.shape, data_offsets: [start, end] };
  }
  const json = JSON.stringify(entries);
  const length = Math.ceil(json.length / HEADER_ALIGNMENT_BYTES) * HEADER_ALIGNMENT_BYTES;
  const header = Buffer.alloc(8 + length, ' ');
  header.writeBigUInt64LE(BigInt(length), 0);
  header.write(json, 8, 'latin1');
  return header;
}

function elementsOf(tensor: RandomTensor): number {
  return tensor.shape.reduce((product, size) => product * size, 1);
}
