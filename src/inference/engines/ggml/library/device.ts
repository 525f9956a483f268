/**
 * What computes: one device of this machine with its threads, opened, and checked with a product whose result is known.
 * One per process: thread pools of several would spin against each other. Called by the engine's program.
 */
import { ExoError } from '../../../../shared/index.js';
import { DEVICE, type Pointer, TYPE } from './functions.js';
import { type Ggml, openGgml } from './open-library.js';

/** How to compute. */
export interface DeviceOptions {
  /** `auto` takes a GPU where there is one; else the name of a device (`CPU`, `Metal`, …). */
  readonly device: string;
  /** Threads of the CPU device. */
  readonly threads: number;
  /** Idle threads sleep between two steps instead of spinning. */
  readonly quiet: boolean;
}

/** An open device. */
export interface Device {
  readonly ggml: Ggml;
  readonly name: string;
  readonly description: string;
  readonly isCpu: boolean;
  readonly bufferType: Pointer;
  /** A layout that this processor multiplies faster with, if it has one (CPU_REPACK). */
  readonly repackedType: Pointer | undefined;
  /** Whether matrices of a type can have that layout; others end the process there. Rows must be whole groups (`REPACK_ROWS`). */
  repacks(type: number): boolean;
  /** A buffer over memory that is there already; undefined where the device has memory of its own. */
  bufferOver(address: Pointer, bytes: number, largestTensorBytes: number): Pointer | undefined;
  /** Runs a graph, away from the event loop. One at a time. Throws `engine-failed`. */
  compute(graph: Pointer): Promise<void>;
  close(): void;
}

/** Lies behind 512 bytes of processor mask, the number of threads and the priority (ggml_threadpool_params). */
const POLL_OFFSET_BYTES = 520;
/** Larger than the structure. */
const PARAMS_BYTES = 1024;

/** Opens a device. Throws `engine-failed` or `option-invalid`. */
export async function openDevice(options: DeviceOptions): Promise<Device> {
  const ggml = openGgml();
  const handle = choose(ggml, options.device);
  const backend = ggml.ggml_backend_dev_init(handle, null);
  const name = ggml.ggml_backend_dev_name(handle);
  if (backend === null) throw new ExoError('engine-failed', `the device ${name} cannot be opened`);
  const isCpu = ggml.ggml_backend_dev_type(handle) === DEVICE.CPU;
  if (isCpu) useThreads(ggml, handle, backend, options);
  const repacked = isCpu ? repackedType(ggml, handle) : undefined;
  const repackable = repacked === undefined ? [] : repackableTypes(ggml, handle, repacked);
  const device: Device = {
    ggml,
    name,
    description: ggml.ggml_backend_dev_description(handle),
    isCpu,
    bufferType: ggml.ggml_backend_dev_buffer_type(handle),
    repackedType: repacked,
    repacks: (type) => repackable.includes(type),
    bufferOver: (address, bytes, largest) =>
      ggml.ggml_backend_dev_buffer_from_host_ptr(handle, address, bytes, largest) ?? undefined,
    compute: (graph) =>
      new Promise((resolve, reject) => {
        ggml.ggml_backend_graph_compute.async(backend, graph, (error, status) => {
          if (!error && status === 0) resolve();
          else
            reject(new ExoError('engine-failed', `the device ${name} could not compute (status ${status})`));
        });
      }),
    close: () => ggml.ggml_backend_free(backend),
  };
  await selfTest(device);
  return device;
}

function choose(ggml: Ggml, wanted: string): Pointer {
  const devices = Array.from({ length: ggml.ggml_backend_dev_count() }, (_, index) =>
    ggml.ggml_backend_dev_get(index),
  );
  const names = devices.map((device) => ggml.ggml_backend_dev_name(device));
  const ofType = (...types: number[]) =>
    devices.find((device) => types.includes(ggml.ggml_backend_dev_type(device)));
  const found =
    wanted === 'auto'
      ? (ofType(DEVICE.GPU, DEVICE.INTEGRATED_GPU) ?? ofType(DEVICE.CPU))
      : devices[names.findIndex((name) => isNamed(name.toLowerCase(), wanted.toLowerCase()))];
  if (found !== undefined) return found;
  throw wanted === 'auto'
    ? new ExoError('engine-failed', 'the native libraries have nothing that runs on this processor')
    : new ExoError('option-invalid', `there is no device "${wanted}" here; there are: ${names.join(', ')}`);
}

/** Versions of the libraries call the GPU of a Mac `Metal` or `MTL0`. */
function isNamed(name: string, wanted: string): boolean {
  return name === wanted || (wanted === 'metal' && /^(?:metal|mtl)\d*$/.test(name));
}

/** A pool of our own instead of one per run, so that threads live on between two tokens. */
function useThreads(ggml: Ggml, device: Pointer, backend: Pointer, options: DeviceOptions): void {
  const registry = ggml.ggml_backend_dev_backend_reg(device);
  const address = (name: string) => {
    const found = ggml.ggml_backend_reg_get_proc_address(registry, name);
    if (found === null) throw new ExoError('engine-failed', `the CPU library has no ${name}`);
    return found;
  };
  const params = Buffer.alloc(PARAMS_BYTES);
  ggml.ggml_threadpool_params_init(params, options.threads);
  if (options.quiet) params.writeUInt32LE(0, POLL_OFFSET_BYTES);
  const pool = ggml.callAddress(address('ggml_threadpool_new'), 'pointer', ['bytes'], [params]);
  if (pool === null) throw new ExoError('engine-failed', 'no threads can be started');
  ggml.callAddress(
    address('ggml_backend_set_n_threads'),
    'void',
    ['pointer', 'int32'],
    [backend, options.threads],
  );
  ggml.callAddress(
    address('ggml_backend_cpu_set_threadpool'),
    'void',
    ['pointer', 'pointer'],
    [backend, pool],
  );
}

function repackedType(ggml: Ggml, device: Pointer): Pointer | undefined {
  const registry = ggml.ggml_backend_dev_backend_reg(device);
  const get = ggml.ggml_backend_reg_get_proc_address(registry, 'ggml_backend_dev_get_extra_bufts');
  const list =
    get === null ? null : (ggml.callAddress(get, 'optional', ['pointer'], [device]) as Pointer | null);
  for (let at = list; at !== null; at += 8n) {
    const type = ggml.pointerAt(at);
    if (type === null) return undefined;
    if (ggml.ggml_backend_buft_name(type) === 'CPU_REPACK') return type;
  }
  return undefined;
}

/** A matrix of these sizes is whole in every layout: 16 rows at most are woven together, of blocks of 256 elements at most. */
export const REPACK_ROWS = 16;
const REPACK_COLUMNS = 256;
const REPACK_CANDIDATES = [TYPE.Q4_0, TYPE.Q4_K, TYPE.Q8_0];

/** Which types have such a layout depends on what the processor can: the device is asked for a product of each. */
function repackableTypes(ggml: Ggml, device: Pointer, repacked: Pointer): number[] {
  return REPACK_CANDIDATES.filter((type) => {
    const context = ggml.newContext(4 * ggml.ggml_tensor_overhead());
    const matrix = ggml.ggml_new_tensor_2d(context, type, REPACK_COLUMNS, REPACK_ROWS);
    const buffer = ggml.ggml_backend_alloc_ctx_tensors_from_buft(context, repacked);
    // Only the matrix has the layout: what it is multiplied with comes from elsewhere.
    const vector = ggml.ggml_new_tensor_2d(context, TYPE.F32, REPACK_COLUMNS, 1);
    const isSupported =
      buffer !== null &&
      ggml.ggml_backend_dev_supports_op(device, ggml.ggml_mul_mat(context, matrix, vector));
    if (buffer !== null) ggml.ggml_backend_buffer_free(buffer);
    ggml.ggml_free(context);
    return isSupported;
  });
}

/** [1 2; 3 4] × (5, 6) = (17, 39): a binding that does not fit the library must not get as far as a model. */
async function selfTest(device: Device): Promise<void> {
  const { ggml } = device;
  const context = ggml.newContext(
    8 * ggml.ggml_tensor_overhead() + ggml.ggml_graph_overhead_custom(8, false),
  );
  const allocator = ggml.ggml_gallocr_new(device.bufferType);
  try {
    const matrix = ggml.ggml_new_tensor_2d(context, TYPE.F32, 2, 2);
    const vector = ggml.ggml_new_tensor_1d(context, TYPE.F32, 2);
    ggml.ggml_set_input(matrix);
    ggml.ggml_set_input(vector);
    const product = ggml.ggml_mul_mat(context, matrix, vector);
    ggml.ggml_set_output(product);
    const graph = ggml.ggml_new_graph_custom(context, 8, false);
    ggml.ggml_build_forward_expand(graph, product);
    const isAllocated = ggml.ggml_gallocr_alloc_graph(allocator, graph);
    ggml.ggml_backend_tensor_set(matrix, bytesOf(1, 2, 3, 4), 0, 16);
    ggml.ggml_backend_tensor_set(vector, bytesOf(5, 6), 0, 8);
    await device.compute(graph);
    const result = new Float32Array(2);
    ggml.ggml_backend_tensor_get(product, new Uint8Array(result.buffer), 0, 8);
    if (isAllocated && result[0] === 17 && result[1] === 39) return;
    throw new ExoError(
      'engine-failed',
      `the device ${device.name} multiplies wrongly (${result.join(', ')} instead of 17, 39); run: npm ci, or choose another device`,
    );
  } finally {
    ggml.ggml_gallocr_free(allocator);
    ggml.ggml_free(context);
  }
}

function bytesOf(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}
