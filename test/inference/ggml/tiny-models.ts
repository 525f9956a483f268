/**
 * Small random models, one for every property that a family has, and their weights in a file. Values are drawn in the
 * order of the names; float32 rounded, so that the reference reads what the engine reads.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type {
  Architecture,
  LayerSpec,
  LayerWeights,
  MlxQuantization,
  TensorEntry,
  WeightRef,
} from '../../../src/models/index.js';
import {
  bfloat16ToNumber,
  float16ToNumber,
  numberToBfloat16,
  numberToFloat16,
} from '../../../src/protocol/index.js';
import { seededRandom } from '../../../src/shared/index.js';
import type { WeightReader } from '../../support/reference-model.js';

const LAYERS = 5;
const HIDDEN = 64;
const HEAD_DIM = 16;
const HEADS = 4;
const KV_HEADS = 2;
const INTERMEDIATE = 96;
const VOCAB = 160;

/** Element types, or how mlx packs matrices. */
export type TinyType = 'F32' | 'F16' | 'BF16' | 'mlx4' | 'mlx8';

/** Elements that share scale and bias in mlx. */
const MLX_GROUP = 32;

/** What a family adds to the plain Llama. */
interface Traits {
  readonly bias?: boolean;
  readonly qkNorm?: boolean;
  readonly postNorms?: boolean;
  readonly fused?: boolean;
  readonly tied?: boolean;
  readonly windows?: readonly (number | undefined)[];
  readonly over?: Partial<Architecture>;
}

const FACTORS = Array.from({ length: HEAD_DIM / 2 }, (_, index) => 1 + index / 3);

const TRAITS: Readonly<Record<string, Traits>> = {
  'llama with rope factors': {
    over: { ropes: [{ dims: HEAD_DIM, base: 10_000, factors: FACTORS, attentionFactor: 1 }] },
  },
  'mistral with a window': { windows: [6] },
  'qwen2 with biases': { bias: true, tied: true },
  'qwen3 with head norms': { qkNorm: true },
  'phi3 with fused weights, partial rotation and yarn': {
    fused: true,
    over: { ropes: [{ dims: 12, base: 10_000, factors: FACTORS.slice(0, 6), attentionFactor: 1.19 }] },
  },
  'gemma2 with caps, post norms and windows': {
    postNorms: true,
    tied: true,
    windows: [6, undefined],
    over: {
      normPlusOne: true,
      activation: 'gelu-tanh',
      embeddingScale: 8,
      attentionScale: 0.2,
      attentionSoftcap: 5,
      logitSoftcap: 3,
    },
  },
  'gemma3 with two rotations': {
    postNorms: true,
    qkNorm: true,
    windows: [5, 5, undefined],
    over: {
      normPlusOne: true,
      activation: 'gelu-tanh',
      embeddingScale: 8,
      ropes: [
        { dims: HEAD_DIM, base: 1_000_000, factors: FACTORS.map(() => 8), attentionFactor: 1 },
        { dims: HEAD_DIM, base: 10_000, attentionFactor: 1 },
      ],
    },
  },
};

/** Names of the models. */
export const TINY_MODELS = Object.keys(TRAITS);

/** A model whose weights lie in a file of its own. */
export interface TinyModel {
  readonly architecture: Architecture;
  readonly tensors: Readonly<Record<string, TensorEntry>>;
  readonly mlx?: MlxQuantization;
  /** What the reference reads. */
  readonly read: WeightReader;
  readonly layers: number;
  remove(): void;
}

/** Writes a model. `seed` gives the weights. */
export function tinyModel(name: string, type: TinyType = 'F32', seed = 1): TinyModel {
  const traits = TRAITS[name]!;
  const shapes = new Map<string, readonly number[]>();
  const architecture = describe(traits, shapes);
  const directory = mkdtempSync(path.join(tmpdir(), 'exo-test-'));
  const file = path.join(directory, 'model.bin');
  const random = seededRandom(seed);
  const values = new Map<string, Float64Array>();
  const tensors: Record<string, TensorEntry> = {};
  const chunks: Buffer[] = [];
  let offset = 0;
  for (const [tensor, shape] of shapes) {
    const count = shape.reduce((product, size) => product * size, 1);
    const isNorm = tensor.includes('norm');
    const middle = isNorm && !architecture.normPlusOne ? 1 : 0;
    const spread = shape.length === 2 ? 1.7 / Math.sqrt(shape[1]!) : 0.3;
    const floats = Float32Array.from({ length: count }, () => middle + (random.next() * 2 - 1) * spread);
    const isPacked = type.startsWith('mlx') && shape.length === 2;
    const { parts, seen } = isPacked
      ? packMlx(tensor, shape, floats, type === 'mlx4' ? 4 : 8)
      : encode(tensor, shape, floats, type === 'mlx4' || type === 'mlx8' ? 'F16' : type);
    values.set(tensor, seen);
    for (const { bytes, ...part } of parts) {
      tensors[part.name] = { ...part, file, offset, bytes: bytes.length };
      chunks.push(bytes);
      offset += bytes.length;
    }
  }
  writeFileSync(file, Buffer.concat(chunks));
  const read: WeightReader = ({ tensor, rows }) => {
    const all = values.get(tensor)!;
    const columns = shapes.get(tensor)![1] ?? 1;
    return rows === undefined ? all : all.subarray(rows[0] * columns, rows[1] * columns);
  };
  return {
    architecture,
    tensors,
    read,
    layers: LAYERS,
    ...(type === 'mlx4' || type === 'mlx8'
      ? { mlx: { bits: type === 'mlx4' ? 4 : 8, groupSize: MLX_GROUP } as const }
      : {}),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function describe(traits: Traits, shapes: Map<string, readonly number[]>): Architecture {
  const ref = (tensor: string, ...shape: number[]): WeightRef => {
    shapes.set(tensor, shape);
    return { tensor };
  };
  const embedding = ref('embed', VOCAB, HIDDEN);
  const windows = traits.windows ?? [undefined];
  const layers = Array.from({ length: LAYERS }, (_, layer): LayerSpec => {
    const window = windows[layer % windows.length];
    return {
      weights: layerWeights(`layers.${layer}`, traits, ref),
      rope: traits.over?.ropes?.length === 2 && window !== undefined ? 1 : 0,
      ...(window === undefined ? {} : { window }),
    };
  });
  return {
    family: 'llama',
    hidden: HIDDEN,
    heads: HEADS,
    kvHeads: KV_HEADS,
    headDim: HEAD_DIM,
    intermediate: INTERMEDIATE,
    vocab: VOCAB,
    contextLength: 2048,
    normEpsilon: 1e-5,
    normPlusOne: false,
    activation: 'silu',
    embeddingScale: 1,
    attentionScale: HEAD_DIM ** -0.5,
    ropes: [{ dims: HEAD_DIM, base: 10_000, attentionFactor: 1 }],
    layers,
    embedding,
    finalNorm: ref('final.norm', HIDDEN),
    head: traits.tied ? embedding : ref('head', VOCAB, HIDDEN),
    ...traits.over,
  };
}

function layerWeights(
  prefix: string,
  traits: Traits,
  ref: (tensor: string, ...shape: number[]) => WeightRef,
): LayerWeights {
  const [q, kv] = [HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM];
  const of = (name: string, ...shape: number[]) => ref(`${prefix}.${name}`, ...shape);
  const when = <K extends string>(
    condition: boolean | undefined,
    parts: Record<K, WeightRef> | (() => Record<K, WeightRef>),
  ) => (condition ? (typeof parts === 'function' ? parts() : parts) : {});
  const fused = (tensor: string, ...sizes: number[]) => {
    const whole = of(
      tensor,
      sizes.reduce((sum, size) => sum + size, 0),
      HIDDEN,
    );
    let from = 0;
    return sizes.map((size): WeightRef => {
      from += size;
      return { ...whole, rows: [from - size, from] };
    });
  };
  const [wq, wk, wv] = traits.fused
    ? fused('qkv', q, kv, kv)
    : [of('q', q, HIDDEN), of('k', kv, HIDDEN), of('v', kv, HIDDEN)];
  const [gate, up] = traits.fused
    ? fused('gate_up', INTERMEDIATE, INTERMEDIATE)
    : [of('gate', INTERMEDIATE, HIDDEN), of('up', INTERMEDIATE, HIDDEN)];
  return {
    attentionNorm: of('attention.norm', HIDDEN),
    q: wq!,
    k: wk!,
    v: wv!,
    ...when(traits.bias, () => ({
      qBias: of('q.bias', q),
      kBias: of('k.bias', kv),
      vBias: of('v.bias', kv),
    })),
    ...when(traits.qkNorm, () => ({ qNorm: of('q.norm', HEAD_DIM), kNorm: of('k.norm', HEAD_DIM) })),
    o: of('o', HIDDEN, q),
    ...when(traits.postNorms, () => ({
      attentionPostNorm: of('attention.post.norm', HIDDEN),
      ffnPostNorm: of('ffn.post.norm', HIDDEN),
    })),
    ffnNorm: of('ffn.norm', HIDDEN),
    gate: gate!,
    up: up!,
    down: of('down', HIDDEN, INTERMEDIATE),
  };
}

/** A tensor of the file, before it has a place in it. */
type Part = Pick<TensorEntry, 'name' | 'type' | 'shape'> & { readonly bytes: Buffer };

/** The tensor in a type, and the numbers that it means then. */
function encode(
  name: string,
  shape: readonly number[],
  floats: Float32Array,
  type: 'F32' | 'F16' | 'BF16',
): { parts: Part[]; seen: Float64Array } {
  const part = (array: Float32Array | Uint16Array) => [
    { name, type, shape, bytes: Buffer.from(array.buffer) },
  ];
  if (type === 'F32') return { parts: part(floats), seen: Float64Array.from(floats) };
  const halves = Uint16Array.from(floats, type === 'F16' ? numberToFloat16 : numberToBfloat16);
  const back = type === 'F16' ? float16ToNumber : bfloat16ToNumber;
  return { parts: part(halves), seen: Float64Array.from(halves, back) };
}

/** Packed as mlx does: value = number × scale + bias, the lowest bits first. */
function packMlx(
  name: string,
  shape: readonly number[],
  floats: Float32Array,
  bits: 4 | 8,
): { parts: Part[]; seen: Float64Array } {
  const highest = 2 ** bits - 1;
  const groups = floats.length / MLX_GROUP;
  const [scales, biases] = [new Uint16Array(groups), new Uint16Array(groups)];
  const packed = Buffer.alloc((floats.length * bits) / 8);
  const seen = new Float64Array(floats.length);
  for (let group = 0; group < groups; group += 1) {
    const part = floats.subarray(group * MLX_GROUP, (group + 1) * MLX_GROUP);
    const low = Math.min(...part);
    scales[group] = numberToFloat16((Math.max(...part) - low) / highest);
    biases[group] = numberToFloat16(low);
    const [scale, bias] = [float16ToNumber(scales[group]!), float16ToNumber(biases[group]!)];
    for (const [index, value] of part.entries()) {
      const at = group * MLX_GROUP + index;
      const number = Math.max(0, Math.min(highest, Math.round((value - bias) / scale)));
      packed[bits === 8 ? at : at >> 1]! |= bits === 8 ? number : number << ((at & 1) * 4);
      seen[at] = number * scale + bias;
    }
  }
  const [rows = 0, columns = 0] = shape;
  const side = { type: 'F16', shape: [rows, columns / MLX_GROUP] } as const;
  return {
    seen,
    parts: [
      { name, type: 'U32', shape: [rows, (columns * bits) / 32], bytes: packed },
      { name: `${name}.scales`, ...side, bytes: Buffer.from(scales.buffer) },
      { name: `${name}.biases`, ...side, bytes: Buffer.from(biases.buffer) },
    ],
  };
}
