/**
 * Floats in fewer bits. Small errors stay: stated and measured in the tests. Called by `matrix.ts`.
 */
import type { ElementType, Ggml } from '../library/index.js';
import type { Scratch } from './scratch.js';

/** Whole rows of floats, wherever they come from, in that type; in scratch memory where there is one. */
export function quantise(
  ggml: Ggml,
  floats: Float32Array,
  columns: number,
  type: ElementType,
  scratch?: Scratch,
): Uint8Array {
  const rows = floats.length / columns;
  const bytes = rows * ggml.ggml_row_size(type, columns);
  const target = scratch?.take('quantised', bytes) ?? new Uint8Array(bytes);
  const source = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  ggml.ggml_quantize_chunk(type, source, target, 0, rows, columns, null);
  return target;
}
