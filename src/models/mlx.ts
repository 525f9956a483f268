/** How an mlx-community checkpoint says that it is quantised. */
import { ExoError, printable } from '../shared/index.js';
import type { Fields } from './fields.js';
import type { MlxQuantization } from './tensor-entry.js';

/** Sizes of a group in mlx. */
const GROUP_SIZES = [32, 64, 128];

/**
 * From a config; undefined where it has no `quantization`. Throws `model-unsupported` for other bits than 4 and 8, other
 * modes than affine and layers that differ, `checkpoint-invalid` for values that make no sense.
 */
export function readMlxQuantization(config: Fields): MlxQuantization | undefined {
  const fields = config.fields('quantization');
  if (fields === undefined) return undefined;
  const mode = fields.text('mode') ?? 'affine';
  if (mode !== 'affine') throw unsupported(fields, `the mode "${printable(mode, 40)}"`, 'affine');
  // Beside the three, each entry is a layer with bits of its own.
  const layer = fields.entries().find(([, value]) => typeof value === 'object' && value !== null)?.[0];
  if (layer !== undefined) {
    throw unsupported(fields, `bits of its own for ${printable(layer, 80)}`, 'one number of bits for all');
  }
  const bits = fields.size('bits');
  if (bits !== 4 && bits !== 8) throw unsupported(fields, `${bits} bits`, '4 and 8');
  const groupSize = fields.size('group_size', 64);
  if (!GROUP_SIZES.includes(groupSize)) {
    throw fields.fault('group_size', `is ${groupSize} and must be ${GROUP_SIZES.join(', ')}`);
  }
  return { bits, groupSize };
}

function unsupported(fields: Fields, has: string, known: string): ExoError {
  return new ExoError(
    'model-unsupported',
    `${fields.place} has ${has}; this version computes ${known}. Take another conversion of the model`,
  );
}
