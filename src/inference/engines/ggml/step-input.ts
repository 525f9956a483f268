/** What enters a step, checked and in the form in which it crosses to the engine's process. Pure. */
import { checkTensor, decodeBfloat16, decodeFloat16, type Tensor } from '../../../protocol/index.js';
import { ExoError } from '../../../shared/index.js';
import type { EngineInput } from '../../engine.js';

/** Bytes of int32 tokens or of float32 [sequence, hidden]. */
export interface EncodedInput {
  readonly input: 'tokens' | 'hidden';
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** Checks what can be checked without the model. Throws `tensor-invalid` or `engine-failed`. */
export function encodeInput(input: EngineInput, isFirstShard: boolean): EncodedInput {
  if (input.kind === 'hidden') checkTensor(input.hidden);
  if ((input.kind === 'tokens') !== isFirstShard) {
    throw new ExoError('engine-failed', 'tokens enter at layer 0 and hidden states at any other layer');
  }
  return input.kind === 'tokens' ? encodeTokens(input.tokens) : encodeHidden(input.hidden);
}

/** Throws `tensor-invalid` where hidden states are not of that model. */
export function checkWidth(input: EngineInput, hidden: number): void {
  if (input.kind === 'tokens') return;
  const { shape } = input.hidden;
  if (shape.at(-1) === hidden) return;
  throw new ExoError(
    'tensor-invalid',
    `hidden states of the shape [${shape.join(', ')}]; the model has ${hidden} elements`,
  );
}

function encodeTokens(tokens: readonly number[]): EncodedInput {
  if (tokens.length === 0) throw new ExoError('tensor-invalid', 'the input of a step is empty');
  const wrong = tokens.find((token) => !Number.isInteger(token) || token < 0 || token > 0x7fff_ffff);
  if (wrong !== undefined) throw new ExoError('tensor-invalid', `${wrong} is not a token`);
  return {
    input: 'tokens',
    sequence: tokens.length,
    payload: new Uint8Array(Int32Array.from(tokens).buffer),
  };
}

function encodeHidden({ shape, dtype, data }: Tensor): EncodedInput {
  const isBatch = shape.length === 3 && shape[0] === 1;
  const sequence = isBatch ? shape[1]! : shape[0]!;
  if ((!isBatch && shape.length !== 2) || sequence === 0 || data.length === 0) {
    throw new ExoError(
      'tensor-invalid',
      `hidden states are [1, sequence, hidden], not [${shape.join(', ')}]`,
    );
  }
  return { input: 'hidden', sequence, payload: toFloat32(dtype, data) };
}

function toFloat32(dtype: Tensor['dtype'], data: Buffer): Uint8Array {
  if (dtype === 'float32') return data;
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const floats = dtype === 'float16' ? decodeFloat16(data) : decodeBfloat16(data);
    return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  }
  throw new ExoError('tensor-invalid', `hidden states are float32, float16 or bfloat16, not ${dtype}`);
}
