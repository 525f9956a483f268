/** Which layers see only a window. */
import { ExoError, printable } from '../../../shared/index.js';
import type { Fields } from '../fields.js';

/**
 * The layers whose attention has a window, by number: as `layer_types` lists them, or else by the family's `rule`.
 * Throws `model-unsupported` for other kinds of attention, `checkpoint-invalid` when the list has not all layers.
 */
export function windowedLayers(
  fields: Fields,
  layers: number,
  rule: (layer: number) => boolean,
): (layer: number) => boolean {
  const types = fields.texts('layer_types');
  if (types === undefined) return rule;
  if (types.length !== layers) {
    throw fields.fault('layer_types', `has ${types.length} entries for ${layers} layers`);
  }
  const other = types.find((type) => type !== 'full_attention' && type !== 'sliding_attention');
  if (other !== undefined) {
    throw new ExoError(
      'model-unsupported',
      `${fields.place}: layer_types has "${printable(other, 40)}"; this version computes full_attention and sliding_attention`,
    );
  }
  return (layer) => types[layer] === 'sliding_attention';
}
