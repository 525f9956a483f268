/**
 * Finds where the likeliest tokens end, without sorting a vocabulary: values are counted by the upper half of their bits,
 * which order as the values do, and only those that fall beside the end are sorted. Linear whatever the distribution
 * looks like, masked tokens (-Infinity) included. Plain loops: this runs for each token over 150,000 values. Pure.
 * Called by `sampler.ts`.
 */

/** The least likely token that is kept: kept is what is higher, and of the same value what has an id up to this one. */
export interface Cut {
  readonly value: number;
  readonly id: number;
}

/** float32 sorts by its upper 16 bits into so many buckets: sign, exponent, 7 bits of the fraction. */
const BUCKETS = 65_536;
/** A sample of so many values, and so many for each one that is wanted, leaves few ids to count. */
const SAMPLE_MIN = 4_096;
const SAMPLE_PER_COUNT = 16;
/** So few are sorted at once: cheaper than clearing the buckets. */
const SORTED_MAX = 2_048;

/** The `count` likeliest ids of a vocabulary (0 to all), in the order of the ids. No value may be NaN. */
export function likeliest(values: Float32Array, count: number): Int32Array {
  if (count === 0) return new Int32Array(0);
  let ids = allIds(values.length);
  // The last of the likeliest in a sample can only be lower than the last of the likeliest in all: most ids fall away.
  const step = Math.floor(ids.length / Math.max(SAMPLE_MIN, SAMPLE_PER_COUNT * count));
  if (step > 1) {
    const sample = everyNth(ids, step);
    ids = kept(cutByCount(values, sample, count), values, ids, true);
  }
  return kept(cutByCount(values, ids, count), values, ids, false);
}

function cutByCount(values: Float32Array, ids: Int32Array, count: number): Cut {
  if (ids.length <= SORTED_MAX) return cutAt(values, sorted(values, ids.slice())[count - 1]!);
  const bits = bitsOf(values);
  const counts = new Int32Array(BUCKETS);
  for (let place = 0; place < ids.length; place += 1) counts[bucketOf(bits[ids[place]!]!)]! += 1;
  let left = count;
  let bucket = BUCKETS - 1;
  while (bucket > 0 && counts[bucket]! < left) {
    left -= counts[bucket]!;
    bucket -= 1;
  }
  const beside = new Int32Array(counts[bucket]!);
  let found = 0;
  for (let place = 0; place < ids.length; place += 1) {
    const id = ids[place]!;
    if (bucketOf(bits[id]!) === bucket) beside[found++] = id;
  }
  return cutAt(values, sorted(values, beside)[Math.min(left, found) - 1]!);
}

/**
 * The cut after the smallest number of `ids` that together weigh at least `goal`; after all of them where they don't.
 * @param weights of `ids`, in the same order; a higher value never weighs less
 */
export function cutByWeight(values: Float32Array, ids: Int32Array, weights: Float64Array, goal: number): Cut {
  const bits = bitsOf(values);
  let sum = 0;
  let bucket = -1;
  if (ids.length > SORTED_MAX) {
    const sums = new Float64Array(BUCKETS);
    let lowest = BUCKETS - 1;
    for (let place = 0; place < ids.length; place += 1) {
      const own = bucketOf(bits[ids[place]!]!);
      sums[own]! += weights[place]!;
      if (own < lowest) lowest = own;
    }
    for (bucket = BUCKETS - 1; bucket > lowest && sum + sums[bucket]! < goal; bucket -= 1)
      sum += sums[bucket]!;
  }
  const weightOf = new Map<number, number>();
  for (let place = 0; place < ids.length; place += 1) {
    const id = ids[place]!;
    if (bucket === -1 || bucketOf(bits[id]!) === bucket) weightOf.set(id, weights[place]!);
  }
  const beside = sorted(values, Int32Array.from(weightOf.keys()));
  for (const id of beside) {
    sum += weightOf.get(id)!;
    if (sum >= goal) return cutAt(values, id);
  }
  return cutAt(values, beside[beside.length - 1]!);
}

/** Whether a token is kept by a cut. */
export function isKept(cut: Cut, values: Float32Array, id: number): boolean {
  const value = values[id]!;
  return value > cut.value || (value === cut.value && id <= cut.id);
}

/** Those of `ids` that a cut keeps; with `ties` also all that are as likely as its last. */
function kept(cut: Cut, values: Float32Array, ids: Int32Array, ties: boolean): Int32Array {
  const lastId = ties ? values.length : cut.id;
  const all = new Int32Array(ids.length);
  let count = 0;
  for (let place = 0; place < ids.length; place += 1) {
    const id = ids[place]!;
    const value = values[id]!;
    if (value > cut.value || (value === cut.value && id <= lastId)) all[count++] = id;
  }
  return all.subarray(0, count);
}

/** All ids of a vocabulary. */
export function allIds(count: number): Int32Array {
  const ids = new Int32Array(count);
  for (let id = 0; id < count; id += 1) ids[id] = id;
  return ids;
}

/** Likeliest first, of equal ones the lowest id. Sorts in place. */
export function sorted(values: Float32Array, ids: Int32Array): Int32Array {
  return ids.sort((a, b) => values[b]! - values[a]! || a - b);
}

function cutAt(values: Float32Array, id: number): Cut {
  return { value: values[id]!, id };
}

function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}

/** A higher value is in the same bucket or a higher one; zero has one, whatever its sign. */
function bucketOf(bits: number): number {
  if (bits >= 0) return (bits >>> 16) + BUCKETS / 2;
  return bits << 1 === 0 ? BUCKETS / 2 : BUCKETS / 2 - 1 - ((bits >>> 16) & 0x7fff);
}

function everyNth(ids: Int32Array, step: number): Int32Array {
  const some = new Int32Array(Math.ceil(ids.length / step));
  for (let place = 0; place < some.length; place += 1) some[place] = ids[place * step]!;
  return some;
}
