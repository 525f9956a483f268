/**
 * Tensors that have memory of their own on the device: gathered first, so that one buffer holds them all, then filled
 * one after the other. Called by `shard-weights.ts`.
 */
import { ExoError } from '../../../../shared/index.js';
import { askForHugePages, type Device, type Pointer } from '../library/index.js';
import type { Scratch } from './scratch.js';

/** Tensors and how to get their bytes. */
export class OwnedTensors {
  readonly #device: Device;
  readonly #bufferType: Pointer;
  /** This layout takes a tensor in one piece. */
  readonly #isWhole: boolean;
  readonly #tensors: { readonly tensor: Pointer; readonly chunks: () => Iterable<Uint8Array> }[] = [];
  #buffer: Pointer | undefined;
  #bytes = 0;

  constructor(device: Device, bufferType: Pointer = device.bufferType) {
    this.#device = device;
    this.#bufferType = bufferType;
    this.#isWhole = bufferType === device.repackedType;
  }

  /** Of the buffer. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `chunks` is called once, in `allocate`; a chunk is not kept. */
  add(tensor: Pointer, chunks: () => Iterable<Uint8Array>): void {
    this.#tensors.push({ tensor, chunks });
  }

  /** Throws `out-of-memory`. */
  allocate(scratch: Scratch): void {
    const { ggml } = this.#device;
    if (this.#tensors.length === 0) return;
    const alignment = ggml.ggml_backend_buft_get_alignment(this.#bufferType);
    const aligned = (bytes: number) => Math.ceil(bytes / alignment) * alignment;
    const sizes = this.#tensors.map(({ tensor }) =>
      aligned(ggml.ggml_backend_buft_get_alloc_size(this.#bufferType, tensor)),
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const buffer = ggml.ggml_backend_buft_alloc_buffer(this.#bufferType, total + alignment);
    if (buffer === null) throw new ExoError('out-of-memory', `no memory for ${total} bytes of weights`);
    this.#buffer = buffer;
    this.#bytes = total;
    const base = ggml.ggml_backend_buffer_get_base(buffer);
    if (this.#device.isCpu) askForHugePages(base, total + alignment);
    let at = Number((BigInt(alignment) - (base % BigInt(alignment))) % BigInt(alignment));
    for (const [index, { tensor, chunks }] of this.#tensors.entries()) {
      ggml.ggml_backend_tensor_alloc(buffer, tensor, base + BigInt(at));
      this.#fill(tensor, chunks(), scratch);
      at += sizes[index]!;
    }
    this.#tensors.length = 0;
  }

  #fill(tensor: Pointer, chunks: Iterable<Uint8Array>, scratch: Scratch): void {
    const { ggml } = this.#device;
    const total = ggml.ggml_nbytes(tensor);
    const whole = this.#isWhole ? scratch.take('whole', total) : undefined;
    let at = 0;
    for (const bytes of chunks) {
      if (whole === undefined) ggml.ggml_backend_tensor_set(tensor, bytes, at, bytes.length);
      else whole.set(bytes, at);
      at += bytes.length;
    }
    if (at !== total) throw new ExoError('internal', `a tensor of ${total} bytes got ${at}`);
    if (whole !== undefined) ggml.ggml_backend_tensor_set(tensor, whole, 0, total);
  }

  close(): void {
    if (this.#buffer !== undefined) this.#device.ggml.ggml_backend_buffer_free(this.#buffer);
    this.#buffer = undefined;
  }
}
