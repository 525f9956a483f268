/** Token ids as they travel from the last shard back to the first: a 1 × n tensor of int64, as the original's. */
import type { Tensor } from '../protocol/index.js';
import { ExoError, LIMITS } from '../shared/index.js';
import { elementCount, readElements, tensorOf } from './tensor-elements.js';

/** The tensor that carries token ids to the first shard. */
export function tokenTensor(tokens: readonly number[]): Tensor {
  return tensorOf('int64', [1, tokens.length], tokens);
}

/** The token ids of a tensor of any shape and number type. Throws `tensor-invalid` for what no token id can be. */
export function tokensOf(tensor: Tensor): readonly number[] {
  const count = elementCount(tensor);
  if (count > LIMITS.stepTokensMax) {
    throw new ExoError(
      'tensor-invalid',
      `a token tensor has ${count} tokens; at most ${LIMITS.stepTokensMax} can enter in one step`,
    );
  }
  const tokens = readElements(tensor);
  if (tokens.length === 0) throw new ExoError('tensor-invalid', 'a token tensor has no token');
  const wrong = tokens.find((token) => !Number.isSafeInteger(token) || token < 0);
  if (wrong !== undefined)
    throw new ExoError('tensor-invalid', `${wrong} in a token tensor is not a token id`);
  return tokens;
}
