/**
 * The native functions that are called, and their types: one table gives both the C prototype and the TypeScript
 * signature, because a wrong argument is not an exception but the end of the process. From ggml.h, ggml-alloc.h and
 * ggml-backend.h of the pinned version. Not the binding itself (`open-library.ts`).
 */

/** Address of something native. Never made up: only what a native function returned, plus an offset. */
export type Pointer = bigint;

/** How each kind is said in TypeScript. */
interface Kinds {
  void: undefined;
  pointer: Pointer;
  /** NULL where there is none. */
  optional: Pointer | null;
  /** Bytes that native code reads or writes during the call, or their address. */
  bytes: Uint8Array | Pointer;
  text: string;
  bool: boolean;
  int32: number;
  int64: number;
  size: number;
  float: number;
}

/** The name of a kind. */
export type Kind = keyof Kinds;

/** Result first, arguments after it. */
type Signature = readonly [Kind, ...Kind[]];

/** libggml: backends and devices. */
export const LOADER = {
  ggml_backend_load_all_from_path: ['void', 'text'],
  ggml_backend_dev_count: ['size'],
  ggml_backend_dev_get: ['pointer', 'size'],
} as const satisfies Record<string, Signature>;

/** libggml-base: tensors, graphs and buffers. */
export const BASE = {
  ggml_version: ['text'],
  ggml_tensor_overhead: ['size'],
  ggml_graph_overhead_custom: ['size', 'size', 'bool'],
  ggml_row_size: ['size', 'int32', 'int64'],
  ggml_free: ['void', 'pointer'],
  ggml_nbytes: ['size', 'pointer'],
  ggml_new_tensor_1d: ['pointer', 'pointer', 'int32', 'int64'],
  ggml_new_tensor_2d: ['pointer', 'pointer', 'int32', 'int64', 'int64'],
  ggml_set_input: ['void', 'pointer'],
  ggml_set_output: ['void', 'pointer'],

  ggml_add: ['pointer', 'pointer', 'pointer', 'pointer'],
  ggml_mul: ['pointer', 'pointer', 'pointer', 'pointer'],
  ggml_scale: ['pointer', 'pointer', 'pointer', 'float'],
  ggml_scale_bias: ['pointer', 'pointer', 'pointer', 'float', 'float'],
  ggml_sqr: ['pointer', 'pointer', 'pointer'],
  ggml_tanh: ['pointer', 'pointer', 'pointer'],
  ggml_sigmoid: ['pointer', 'pointer', 'pointer'],
  ggml_swiglu_split: ['pointer', 'pointer', 'pointer', 'pointer'],
  ggml_geglu_split: ['pointer', 'pointer', 'pointer', 'pointer'],
  ggml_rms_norm: ['pointer', 'pointer', 'pointer', 'float'],
  ggml_mul_mat: ['pointer', 'pointer', 'pointer', 'pointer'],
  ggml_concat: ['pointer', 'pointer', 'pointer', 'pointer', 'int32'],
  ggml_reshape_2d: ['pointer', 'pointer', 'pointer', 'int64', 'int64'],
  ggml_reshape_3d: ['pointer', 'pointer', 'pointer', 'int64', 'int64', 'int64'],
  ggml_view_1d: ['pointer', 'pointer', 'pointer', 'int64', 'size'],
  ggml_view_2d: ['pointer', 'pointer', 'pointer', 'int64', 'int64', 'size', 'size'],
  ggml_view_3d: ['pointer', 'pointer', 'pointer', 'int64', 'int64', 'int64', 'size', 'size', 'size'],
  ggml_permute: ['pointer', 'pointer', 'pointer', 'int32', 'int32', 'int32', 'int32'],
  ggml_get_rows: ['pointer', 'pointer', 'pointer', 'pointer'],
  ggml_set_rows: ['pointer', 'pointer', 'pointer', 'pointer', 'pointer'],
  // x, positions, frequency factors; dims, mode, original context; base, scale, ext, attention, beta fast and slow.
  ggml_rope_ext: [
    'pointer',
    'pointer',
    'pointer',
    'pointer',
    'optional',
    'int32',
    'int32',
    'int32',
    'float',
    'float',
    'float',
    'float',
    'float',
    'float',
  ],
  // q, k, v, mask; scale, ALiBi bias, soft cap.
  ggml_flash_attn_ext: [
    'pointer',
    'pointer',
    'pointer',
    'pointer',
    'pointer',
    'pointer',
    'float',
    'float',
    'float',
  ],
  ggml_flash_attn_ext_set_prec: ['void', 'pointer', 'int32'],

  ggml_new_graph_custom: ['pointer', 'pointer', 'size', 'bool'],
  ggml_build_forward_expand: ['void', 'pointer', 'pointer'],
  ggml_gallocr_new: ['pointer', 'pointer'],
  ggml_gallocr_free: ['void', 'pointer'],
  ggml_gallocr_alloc_graph: ['bool', 'pointer', 'pointer'],
  ggml_gallocr_get_buffer_size: ['size', 'pointer', 'int32'],
  ggml_backend_graph_compute: ['int32', 'pointer', 'pointer'],

  ggml_backend_dev_name: ['text', 'pointer'],
  ggml_backend_dev_description: ['text', 'pointer'],
  ggml_backend_dev_type: ['int32', 'pointer'],
  ggml_backend_dev_backend_reg: ['pointer', 'pointer'],
  ggml_backend_reg_get_proc_address: ['optional', 'pointer', 'text'],
  ggml_backend_dev_init: ['optional', 'pointer', 'optional'],
  ggml_backend_free: ['void', 'pointer'],
  ggml_backend_dev_supports_op: ['bool', 'pointer', 'pointer'],
  ggml_backend_dev_buffer_type: ['pointer', 'pointer'],
  ggml_backend_dev_buffer_from_host_ptr: ['optional', 'pointer', 'pointer', 'size', 'size'],
  ggml_backend_buft_name: ['text', 'pointer'],
  ggml_backend_buft_alloc_buffer: ['optional', 'pointer', 'size'],
  ggml_backend_buft_get_alignment: ['size', 'pointer'],
  ggml_backend_buft_get_alloc_size: ['size', 'pointer', 'pointer'],
  ggml_backend_buffer_free: ['void', 'pointer'],
  ggml_backend_buffer_clear: ['void', 'pointer', 'int32'],
  ggml_backend_buffer_get_base: ['pointer', 'pointer'],
  ggml_backend_buffer_get_size: ['size', 'pointer'],
  ggml_backend_buffer_set_usage: ['void', 'pointer', 'int32'],
  ggml_backend_tensor_alloc: ['int32', 'pointer', 'pointer', 'pointer'],
  ggml_backend_tensor_set: ['void', 'pointer', 'bytes', 'size', 'size'],
  ggml_backend_tensor_get: ['void', 'pointer', 'bytes', 'size', 'size'],
  ggml_backend_view_init: ['int32', 'pointer'],
  ggml_backend_tensor_copy: ['void', 'pointer', 'pointer'],
  ggml_backend_alloc_ctx_tensors_from_buft: ['optional', 'pointer', 'pointer'],

  ggml_threadpool_params_init: ['void', 'bytes', 'int32'],
  ggml_fp32_to_fp16_row: ['void', 'bytes', 'bytes', 'int64'],
  ggml_fp16_to_fp32_row: ['void', 'bytes', 'bytes', 'int64'],
  ggml_bf16_to_fp32_row: ['void', 'bytes', 'bytes', 'int64'],
  ggml_quantize_chunk: ['size', 'int32', 'bytes', 'bytes', 'int64', 'int64', 'int64', 'optional'],
} as const satisfies Record<string, Signature>;

type ArgumentsOf<S> = S extends readonly [Kind, ...infer A extends readonly Kind[]]
  ? { -readonly [I in keyof A]: Kinds[A[I]] }
  : never;
/** A native function. `async` computes on another thread; nothing else may touch what it works on meanwhile. */
export interface NativeFunction<A extends readonly unknown[], R> {
  (...args: A): R;
  async(...args: [...A, (error: unknown, result: R) => void]): void;
}
type Bound<T extends Record<string, Signature>> = {
  readonly [K in keyof T]: NativeFunction<ArgumentsOf<T[K]>, Kinds[T[K][0]]>;
};

/** Everything that is called, by its C name. */
export type NativeFunctions = Bound<typeof LOADER> & Bound<typeof BASE>;

/** Element types (enum ggml_type). */
export const TYPE = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 8,
  Q4_K: 12,
  I32: 26,
  I64: 27,
  BF16: 30,
} as const;

/** An element type of ggml. */
export type ElementType = (typeof TYPE)[keyof typeof TYPE];

/** enum ggml_backend_dev_type. */
export const DEVICE = { CPU: 0, GPU: 1, INTEGRATED_GPU: 2 } as const;

/** Rotary pairs are half a rotation apart (GGML_ROPE_TYPE_NEOX). */
export const ROPE_NEOX = 2;

/** Sums in float32 (GGML_PREC_F32). */
export const PRECISION_F32 = 10;
