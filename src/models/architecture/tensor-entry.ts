/** Where a tensor of a checkpoint lies. Plain data: it crosses to the process that computes. */

/** Element types of safetensors that weights come in; U32 and U8 hold packed quantised ones. */
export type WeightType = 'F32' | 'F16' | 'BF16' | 'U32' | 'U8' | 'I32' | 'I64';

/** One tensor. */
export interface TensorEntry {
  readonly name: string;
  readonly type: WeightType;
  readonly shape: readonly number[];
  /** Absolute path. */
  readonly file: string;
  /** Of the first byte, from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** How an mlx-community checkpoint is quantised: `name.weight` packed in U32, with `name.scales` and `name.biases`. */
export interface MlxQuantization {
  readonly bits: 4 | 8;
  readonly groupSize: number;
}
