/**
 * The ring, weighted by memory: which node holds which share of a model, and which layers that is. Pure. The
 * node calls it for the snapshot, inference for every request.
 *
 * Fractions and layers are those of the Python original, digit for digit, because old peers in the same mesh
 * compute their own. Two of its faults are mended: all memories 0 means equal weights (it divides by zero), and a
 * node whose shard comes out empty leaves the ring (it indexes past its list). The rule for the latter: the k
 * shards that are not empty belong, in order, to the first k nodes, so the smallest nodes drop out. That is what
 * the original's own `shards[index]` gives wherever it does not throw.
 */
import type { DeviceCapabilities, Shard } from '../protocol/index.js';
import { ExoError, LIMITS } from '../shared/index.js';

/** A node's share of any model; `start` and `end` are fractions, rounded to 5 places. The last `end` may miss 1 by rounding. */
export interface Partition {
  readonly nodeId: string;
  readonly start: number;
  readonly end: number;
}

/** The layers that a node holds. */
export interface ShardAssignment {
  readonly nodeId: string;
  readonly shard: Shard;
}

/** One partition a node, in ring order: (memory, id) descending. Memory that is not a positive number counts as 0, more than `memoryMbMax` as that. */
export function partitionRing(nodes: ReadonlyMap<string, DeviceCapabilities>): Partition[] {
  const order = ringOrder(nodes);
  const weights = order.map((id) => usableMemory(nodes.get(id)!));
  let total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) {
    weights.fill(1);
    total = weights.length;
  }
  let start = 0;
  return order.map((nodeId, index) => {
    const end = roundTo5Places(start + weights[index]! / total);
    const partition = { nodeId, start, end };
    start = end;
    return partition;
  });
}

/** Node ids in the order of the ring: (memory, id) descending, ids by code point as Python compares them. */
export function ringOrder(nodes: ReadonlyMap<string, DeviceCapabilities>): string[] {
  return [...nodes.entries()]
    .sort(([idA, a], [idB, b]) => usableMemory(b) - usableMemory(a) || compareCodePoints(idB, idA))
    .map(([id]) => id);
}

/**
 * Exactly one shard for every node that stays in the ring, contiguous from layer 0 to `nLayers` - 1. Partitions
 * at the end of the ring that are not in the result hold nothing.
 * Throws `ring-incomplete` when `nLayers` is not a whole number ≥ 1.
 */
export function assignShards(
  partitions: readonly Partition[],
  modelId: string,
  nLayers: number,
): ShardAssignment[] {
  if (!Number.isSafeInteger(nLayers) || nLayers < 1) {
    throw new ExoError('ring-incomplete', `model "${modelId}" has ${nLayers} layers; it needs at least one`);
  }
  const shards: Shard[] = [];
  let startLayer = 0;
  for (const [index, partition] of partitions.entries()) {
    const last = index === partitions.length - 1;
    // Up-rounding adds up over many nodes and can carry a fraction past 1; no shard may leave the model.
    const endBefore = last ? nLayers : Math.min(nLayers, Math.trunc(partition.end * nLayers));
    if (endBefore > startLayer) shards.push({ modelId, startLayer, endLayer: endBefore - 1, nLayers });
    startLayer = Math.max(startLayer, endBefore);
  }
  return shards.map((shard, index) => ({ nodeId: partitions[index]!.nodeId, shard }));
}

/**
 * Python's `round(x, 5)` for x ≥ 0: the nearest decimal of the exact binary value, an exact half to the even
 * digit. `toFixed` does the same except for exact halves, and those are only the odd multiples of 1/64: a half
 * of 10^-5 that a binary fraction can hold must be divisible by 5^5.
 */
export function roundTo5Places(value: number): number {
  const sixtyFourths = value * 64;
  if (Number.isInteger(sixtyFourths) && Math.abs(sixtyFourths % 2) === 1) {
    const below = Math.floor(value * 100_000);
    return (below % 2 === 0 ? below : below + 1) / 100_000;
  }
  return Number(value.toFixed(5));
}

function usableMemory(capabilities: DeviceCapabilities): number {
  const { memory } = capabilities;
  return Number.isFinite(memory) && memory > 0 ? Math.min(memory, LIMITS.memoryMbMax) : 0;
}

/** UTF-16 order differs from code point order only where surrogates meet characters above U+D7FF. */
function compareCodePoints(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
