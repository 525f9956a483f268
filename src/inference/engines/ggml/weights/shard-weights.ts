/**
 * The weights of a shard as native tensors: matrices stay where they lie in the mapped files wherever the device can
 * read them there, everything else is copied once. Only the shard's tensors are touched. Called by `../shard.ts`.
 */
import type { Architecture, MlxQuantization } from '../../../../models/index.js';
import { ExoError } from '../../../../shared/index.js';
import { type Device, type MappedFile, mapFile, type Pointer, TYPE } from '../library/index.js';
import type { MadeFiles } from './made-files.js';
import { chunksOf, findMatrix, isRepackable, type Matrix } from './matrix.js';
import { OwnedTensors } from './owned-tensors.js';
import type { Quantisation } from './quantisation.js';
import { Scratch } from './scratch.js';
import {
  elementBytesOf,
  findTensor,
  readRows,
  type StoredTensor,
  type TensorTable,
  toFloats,
} from './stored-tensor.js';
import { type LayerRole, type PlannedWeight, planWeights } from './weight-plan.js';

/** Tensors of one layer by role. */
export type LayerTensors = Readonly<Partial<Record<LayerRole, Pointer>>>;

/** What to load. */
export interface ShardSource {
  /** Of an mlx-community checkpoint. */
  readonly mlx?: MlxQuantization;
  readonly architecture: Architecture;
  readonly tensors: TensorTable;
  readonly startLayer: number;
  /** Inclusive. */
  readonly endLayer: number;
}

/** The largest page of any system that is supported (macOS on ARM). */
const PAGE_BYTES = 16 * 1024;
/** GGML_BACKEND_BUFFER_USAGE_WEIGHTS. */
const USAGE_WEIGHTS = 1;

/** Loaded weights. */
export class ShardWeights {
  readonly layers: readonly LayerTensors[];
  /** Frequency factors by the index in `Architecture.ropes`; null where all are 1. */
  readonly ropeFactors: readonly (Pointer | null)[];
  /** Only with the last layer. */
  readonly finalNorm: Pointer | undefined;
  readonly head: Pointer | undefined;
  readonly #device: Device;
  readonly #context: Pointer;
  readonly #files = new Map<string, MappedFile>();
  readonly #buffers: Pointer[] = [];
  readonly #owned: OwnedTensors;
  /** In the layout that this processor multiplies faster with. */
  readonly #repacked: OwnedTensors;

  /** `made`: where matrices are kept that are made; absent, they are made each time. Throws `checkpoint-invalid` or `out-of-memory`. */
  constructor(device: Device, source: ShardSource, quantisation: Quantisation, made?: MadeFiles) {
    const { architecture, startLayer, endLayer } = source;
    const plan = planWeights(architecture, startLayer, endLayer);
    this.#device = device;
    const count = plan.length + architecture.ropes.length;
    this.#context = device.ggml.newContext((count + 1) * device.ggml.ggml_tensor_overhead());
    this.#owned = new OwnedTensors(device);
    this.#repacked = new OwnedTensors(device, device.repackedType);
    try {
      const scratch = new Scratch();
      const pointers = this.#load(plan, source, quantisation, scratch, made);
      this.ropeFactors = architecture.ropes.map(({ factors }) =>
        factors === undefined ? null : this.#vector(Float32Array.from(factors)),
      );
      this.#owned.allocate(scratch);
      this.#repacked.allocate(scratch);
      const byLayer = Array.from(
        { length: endLayer - startLayer + 1 },
        () => ({}) as Record<string, Pointer>,
      );
      for (const [index, { layer, role }] of plan.entries()) {
        if (layer >= 0) byLayer[layer]![role] = pointers[index]!;
      }
      this.layers = byLayer;
      this.finalNorm = pointers[plan.findIndex(({ role }) => role === 'finalNorm')];
      this.head = pointers[plan.findIndex(({ role }) => role === 'head')];
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Of the device's memory; what is mapped is the file's. */
  get ownBytes(): number {
    return this.#owned.bytes + this.#repacked.bytes;
  }

  /** No graph may use the tensors any more. */
  close(): void {
    const { ggml } = this.#device;
    for (const buffer of this.#buffers.splice(0)) ggml.ggml_backend_buffer_free(buffer);
    this.#owned.close();
    this.#repacked.close();
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
    ggml.ggml_free(this.#context);
  }

  #load(
    plan: readonly PlannedWeight[],
    { tensors, mlx }: ShardSource,
    quantisation: Quantisation,
    scratch: Scratch,
    made: MadeFiles | undefined,
  ): Pointer[] {
    const form = { quantisation, ...(mlx === undefined ? {} : { mlx }) };
    const found = plan.map(({ ref, shape, role }) =>
      shape.length === 2 ? findMatrix(tensors, ref, shape, form, role === 'head') : undefined,
    );
    const matrices = made === undefined ? found : this.#kept(plan, found, scratch, made);
    const bufferOf = this.#mapFiles(matrices.flatMap((matrix) => matrix?.stored ?? []));
    return plan.map(({ ref, shape, plus }, index) => {
      const matrix = matrices[index];
      if (matrix !== undefined) return this.#matrix(matrix, bufferOf, scratch);
      const tensor = findTensor(tensors, ref, shape);
      const floats = toFloats(this.#device.ggml, tensor, readRows(tensor, 0, 1));
      return this.#vector(plus === 0 ? floats : floats.map((value) => value + plus));
    });
  }

  /** What is made, by layer, read from where it is kept. */
  #kept(
    plan: readonly PlannedWeight[],
    matrices: readonly (Matrix | undefined)[],
    scratch: Scratch,
    made: MadeFiles,
  ): readonly (Matrix | undefined)[] {
    const kept = [...matrices];
    for (const layer of new Set(plan.map((weight) => weight.layer))) {
      const places = [...plan.keys()].filter(
        (at) => plan[at]!.layer === layer && matrices[at] !== undefined && matrices[at]!.stored === undefined,
      );
      if (places.length === 0) continue;
      const group = places.map((at) => matrices[at]!);
      for (const [index, stored] of made.place(this.#device.ggml, group, scratch)?.entries() ?? []) {
        const read: Matrix['read'] = (_, from, to, into) => readRows(stored, from, to, into);
        kept[places[index]!] = { ...group[index]!, stored, read };
      }
    }
    return kept;
  }

  #matrix(matrix: Matrix, bufferOf: ReadonlyMap<string, Pointer>, scratch: Scratch): Pointer {
    const { ggml } = this.#device;
    const { stored, type, columns, rows } = matrix;
    const tensor = ggml.ggml_new_tensor_2d(this.#context, type, columns, rows);
    const isRepacked = isRepackable(matrix, this.#device);
    const buffer = stored && !isRepacked ? bufferOf.get(stored.file) : undefined;
    // Elements of files lie at multiples of their own size, or are copied to where they do.
    if (stored !== undefined && buffer !== undefined && stored.offset % elementBytesOf(stored) === 0) {
      const address = this.#files.get(stored.file)!.address + BigInt(stored.offset);
      ggml.ggml_backend_tensor_alloc(buffer, tensor, address);
    } else {
      const owner = isRepacked ? this.#repacked : this.#owned;
      owner.add(tensor, () => chunksOf(matrix, ggml, scratch));
    }
    return tensor;
  }

  /** Buffers over the part of each file that has the shard's matrices; none for a device with memory of its own. */
  #mapFiles(matrices: readonly StoredTensor[]): Map<string, Pointer> {
    const buffers = new Map<string, Pointer>();
    for (const file of new Set(matrices.map((tensor) => tensor.file))) {
      const here = matrices.filter((tensor) => tensor.file === file);
      const from = Math.min(...here.map(({ offset }) => offset));
      const to = Math.max(...here.map(({ offset, rows, rowBytes }) => offset + rows * rowBytes));
      const largest = Math.max(...here.map(({ rows, rowBytes }) => rows * rowBytes));
      const mapped = this.#mapped(file, to);
      const start = from - (from % PAGE_BYTES);
      const buffer = this.#device.bufferOver(mapped.address + BigInt(start), to - start, largest);
      if (buffer === undefined) {
        this.#files.delete(file);
        mapped.close();
        continue;
      }
      this.#buffers.push(buffer);
      this.#device.ggml.ggml_backend_buffer_set_usage(buffer, USAGE_WEIGHTS);
      buffers.set(file, buffer);
    }
    return buffers;
  }

  /** Reading beyond the end of a mapped file ends the process: the size is looked at here. */
  #mapped(file: string, bytesNeeded: number): MappedFile {
    const mapped = mapFile(file);
    this.#files.set(file, mapped);
    if (mapped.bytes < bytesNeeded) {
      throw new ExoError(
        'checkpoint-invalid',
        `${file} ends at ${mapped.bytes} bytes; its tensors need ${bytesNeeded}: it is not completely there`,
      );
    }
    return mapped;
  }

  #vector(values: Float32Array): Pointer {
    const tensor = this.#device.ggml.ggml_new_tensor_1d(this.#context, TYPE.F32, values.length);
    this.#owned.add(tensor, () => [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)]);
    return tensor;
  }
}
