/** In how many bits weights are kept, and which type a matrix gets then. Pure; loads no native code. */
import { type ElementType, TYPE } from '../library/functions.js';

/** How weights can be kept. `none` leaves them as they are in the file. */
export const QUANTISATIONS = ['none', 'q8_0', 'q4_0', 'q4_k'] as const;

/** How weights are kept. */
export type Quantisation = (typeof QUANTISATIONS)[number];

const TYPES = { q8_0: TYPE.Q8_0, q4_0: TYPE.Q4_0, q4_k: TYPE.Q4_K } as const;
/** Elements that share a scale. */
const BLOCKS: Readonly<Record<number, number>> = { [TYPE.Q8_0]: 32, [TYPE.Q4_0]: 32, [TYPE.Q4_K]: 256 };

/**
 * The type that a matrix gets; undefined where it stays as it is. The head keeps eight bits: an error there is an error
 * of every token. Rows that are not whole blocks take the next coarser way that fits them.
 */
export function quantisedType(
  quantisation: Quantisation,
  columns: number,
  isHead: boolean,
): ElementType | undefined {
  if (quantisation === 'none') return undefined;
  const wanted = isHead ? TYPE.Q8_0 : TYPES[quantisation];
  return [wanted, TYPE.Q8_0].find((type) => columns % BLOCKS[type]! === 0);
}
