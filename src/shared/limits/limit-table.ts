/** The form of a table of bounds, and its units of memory. */

/** By name: the value, and why it is so. The unit is the last word of a name (Bytes, Ms, PerSecond; a bare noun is a count). */
export type LimitTable = Readonly<Record<string, readonly [value: number, reason: string]>>;

export const KIB = 1_024;
export const MIB = 1_024 * KIB;
