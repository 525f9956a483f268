/** How an mlx-community checkpoint says that it is quantised. */
import { ExoError, printable } from '../../shared/index.js';
import type { Fields } from './fields.js';
import type { MlxQuantization } from './tensor-entry.js';
import type { WantedTensor } from './weight-shapes.js';

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

/** The three tensors that a quantised matrix is made of. */
export interface MlxParts {
  /** Packed, lowest bits first: [rows, columns × bits / 32]. */
  readonly weight: WantedTensor;
  /** A value is its number × scale + bias of its group: [rows, columns / groupSize]. */
  readonly scales: WantedTensor;
  readonly biases: WantedTensor;
}

/** The parts of a matrix `name.weight`; undefined for what mlx leaves as it is: vectors, and rows that are no whole groups. */
export function mlxParts(
  { name, shape }: WantedTensor,
  { bits, groupSize }: MlxQuantization,
): MlxParts | undefined {
  const [rows, columns] = shape;
  if (rows === undefined || columns === undefined || columns % groupSize !== 0) return undefined;
  const stem = name.replace(/\.weight$/, '');
  const groups = [rows, columns / groupSize];
  return {
    weight: { name, shape: [rows, (columns * bits) / 32] },
    scales: { name: `${stem}.scales`, shape: groups },
    biases: { name: `${stem}.biases`, shape: groups },
  };
}
