/** Which earlier tokens a token sees, as numbers that are added to scores: 0 or minus infinity, in float16. Pure. */

const SEEN = 0x0000;
const HIDDEN = 0xfc00;

/**
 * Fills [sequence, positions]: the token at row r has the place `position + r` and sees itself, those before it, and
 * with `window` only the last `window` of these. Positions after it are hidden.
 */
export function fillMask(
  mask: Uint16Array,
  position: number,
  sequence: number,
  positions: number,
  window?: number,
): void {
  mask.fill(HIDDEN);
  for (let row = 0; row < sequence; row += 1) {
    const last = position + row;
    const first = window === undefined ? 0 : Math.max(0, last - window + 1);
    mask.fill(SEEN, row * positions + first, row * positions + last + 1);
  }
}
