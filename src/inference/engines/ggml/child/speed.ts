/**
 * How fast this device is with weights of one type: bytes of weights in a second while it decodes, multiply-adds in a
 * second in a prompt. From the steps that ran where there were enough of them, else from a short test. Called by `program.ts`.
 */
import { BoundedMap, type Clock, ExoError, LIMITS } from '../../../../shared/index.js';
import type { Device, ElementType, Pointer } from '../library/index.js';
import { TYPE } from '../library/index.js';

/** What a device does in a second. */
export interface Speed {
  readonly bytesPerS: number;
  readonly multiplyAddsPerS: number;
}

/** One step on a shard. */
export interface TimedStep {
  readonly tokens: number;
  readonly requests: number;
  readonly weightBytes: number;
  /** Of one token. */
  readonly multiplyAdds: number;
  readonly seconds: number;
}

/** Square matrices of the test, so many that they do not fit into a processor's cache: 128 MiB in the files' usual two bytes. */
const SIZE = 2048;
const MATRICES = 16;
const PROMPT_TOKENS = 128;
/** A prompt uses each weight so often that where it lies hardly matters: a few of them say as much, in a fraction of the time. */
const PROMPT_MATRICES = 2;
/** The best counts: a neighbour that disturbs one of them says nothing of the device. */
const RUNS = 4;
/** Steps of a prompt with fewer tokens are half decode. */
const PREFILL_TOKENS_MIN = 64;
/** The middle of so many: a step that was disturbed counts for nothing. */
const STEPS_KEPT = 15;
const STEPS_MIN = 3;

interface Steps {
  readonly decode: number[];
  readonly prefill: number[];
}

/** Speeds by model and by type. */
export class Speeds {
  readonly #device: Device;
  readonly #clock: Clock;
  readonly #steps = new BoundedMap<string, Steps>(LIMITS.engineModelsKept);
  readonly #tested = new Map<ElementType, Promise<Speed>>();

  constructor(components: { readonly device: Device; readonly clock: Clock }) {
    this.#device = components.device;
    this.#clock = components.clock;
  }

  /** A step has run. */
  note(modelId: string, { tokens, requests, weightBytes, multiplyAdds, seconds }: TimedStep): void {
    if (seconds <= 0) return;
    let steps = this.#steps.get(modelId);
    if (steps === undefined) {
      steps = { decode: [], prefill: [] };
      this.#steps.set(modelId, steps);
    }
    if (tokens === 1) keep(steps.decode, weightBytes / seconds);
    else if (requests === 1 && tokens >= PREFILL_TOKENS_MIN)
      keep(steps.prefill, (multiplyAdds * tokens) / seconds);
  }

  /** `alone` runs work while no step computes. Throws `engine-failed` or `out-of-memory`. */
  async of(
    modelId: string,
    type: ElementType,
    alone: <T>(work: () => Promise<T>) => Promise<T>,
  ): Promise<Speed> {
    const { decode = [], prefill = [] } = this.#steps.get(modelId) ?? {};
    const [bytesPerS, multiplyAddsPerS] = [middle(decode), middle(prefill)];
    if (bytesPerS !== undefined && multiplyAddsPerS !== undefined) return { bytesPerS, multiplyAddsPerS };
    const tested = await this.#test(type, alone);
    return {
      bytesPerS: bytesPerS ?? tested.bytesPerS,
      multiplyAddsPerS: multiplyAddsPerS ?? tested.multiplyAddsPerS,
    };
  }

  #test(type: ElementType, alone: <T>(work: () => Promise<T>) => Promise<T>): Promise<Speed> {
    const known = this.#tested.get(type);
    if (known !== undefined) return known;
    const testing = alone(() => testSpeed(this.#device, this.#clock, type)).catch((error: unknown) => {
      this.#tested.delete(type);
      throw error;
    });
    this.#tested.set(type, testing);
    return testing;
  }
}

function keep(values: number[], value: number): void {
  values.push(value);
  if (values.length > STEPS_KEPT) values.shift();
}

function middle(values: readonly number[]): number | undefined {
  return values.length < STEPS_MIN ? undefined : [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** A chain of products with matrices that are all zero: what they hold does not change how long it takes. */
async function testSpeed(device: Device, clock: Clock, type: ElementType): Promise<Speed> {
  const { ggml } = device;
  const context = ggml.newContext((MATRICES + 1) * ggml.ggml_tensor_overhead());
  const matrices = Array.from({ length: MATRICES }, () => ggml.ggml_new_tensor_2d(context, type, SIZE, SIZE));
  const buffer = ggml.ggml_backend_alloc_ctx_tensors_from_buft(context, device.bufferType);
  try {
    if (buffer === null)
      throw new ExoError('out-of-memory', 'no memory to measure the speed of this machine');
    ggml.ggml_backend_buffer_clear(buffer, 0);
    const bytes = MATRICES * SIZE * ggml.ggml_row_size(type, SIZE);
    const few = matrices.slice(0, PROMPT_MATRICES);
    const multiplyAdds = few.length * SIZE * SIZE * PROMPT_TOKENS;
    return {
      bytesPerS: bytes / (await bestSeconds(device, clock, matrices, 1)),
      multiplyAddsPerS: multiplyAdds / (await bestSeconds(device, clock, few, PROMPT_TOKENS)),
    };
  } finally {
    if (buffer !== null) ggml.ggml_backend_buffer_free(buffer);
    ggml.ggml_free(context);
  }
}

async function bestSeconds(
  device: Device,
  clock: Clock,
  matrices: readonly Pointer[],
  tokens: number,
): Promise<number> {
  const { ggml } = device;
  const nodes = 2 * matrices.length + 8;
  const context = ggml.newContext(
    nodes * ggml.ggml_tensor_overhead() + ggml.ggml_graph_overhead_custom(nodes, false),
  );
  const allocator = ggml.ggml_gallocr_new(device.bufferType);
  try {
    const input = ggml.ggml_new_tensor_2d(context, TYPE.F32, SIZE, tokens);
    ggml.ggml_set_input(input);
    let x = input;
    for (const matrix of matrices) x = ggml.ggml_mul_mat(context, matrix, x);
    ggml.ggml_set_output(x);
    const graph = ggml.ggml_new_graph_custom(context, nodes, false);
    ggml.ggml_build_forward_expand(graph, x);
    if (!ggml.ggml_gallocr_alloc_graph(allocator, graph)) {
      throw new ExoError('out-of-memory', 'no memory to measure the speed of this machine');
    }
    const zeros = new Uint8Array(SIZE * tokens * 4);
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < RUNS; run += 1) {
      ggml.ggml_backend_tensor_set(input, zeros, 0, zeros.length);
      const from = clock.now();
      await device.compute(graph);
      best = Math.min(best, clock.now() - from);
    }
    return best / 1000;
  } finally {
    ggml.ggml_gallocr_free(allocator);
    ggml.ggml_free(context);
  }
}
