/**
 * The caches of all requests, within a budget. A request that comes gets room or is told to come again; what has been
 * used lately is never taken from it. What nobody has asked for in a long time, because whoever owned it is gone, makes
 * room first. Called by the scheduler.
 */
import { type Clock, ExoError } from '../../../../shared/index.js';
import type { Device } from '../library/index.js';
import { type CacheShape, capacityFor, SequenceCache } from './sequence-cache.js';

/** Bounds of the pool. */
export interface CachePoolOptions {
  /** Of all caches together. */
  readonly cacheBytesMax: number;
  /** A cache that was not used for so long has no owner any more, if its place is needed. */
  readonly abandonedAfterMs: number;
}

/** What the pool asks. */
export interface CachePoolComponents {
  readonly device: Device;
  readonly clock: Clock;
  /** Bytes that the machine still has before it swaps. */
  readonly freeBytes: () => number;
}

/** Stays free: for the results of steps, for the node, and for whoever else is on the machine. */
const RESERVE_BYTES = 64 * 1024 * 1024;
/** New requests leave this part of the budget to those that are under way and grow. */
const GROWTH_SHARE = 1 / 8;

interface Entry {
  readonly requestId: string;
  readonly shardKey: string;
  readonly cache: SequenceCache;
  usedAtMs: number;
  /** Steps that compute over it; it is not freed meanwhile. */
  uses: number;
}

/** All caches of an engine. */
export class CachePool {
  readonly #options: CachePoolOptions;
  readonly #components: CachePoolComponents;
  readonly #entries = new Map<string, Entry>();
  /** Released while a step computes over them. */
  readonly #released = new Set<Entry>();
  #bytes = 0;

  constructor(options: CachePoolOptions, components: CachePoolComponents) {
    this.#options = options;
    this.#components = components;
  }

  /** Bytes of all caches, filled or not. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether some request has a cache for that shard. */
  isUsed(shardKey: string): boolean {
    return [...this.#entries.values()].some((entry) => entry.shardKey === shardKey);
  }

  /** The cache of a request on a shard. Who finds it is about to use it: it is not abandoned. */
  find(requestId: string, shardKey: string): SequenceCache | undefined {
    const entry = this.#entries.get(keyOf(requestId, shardKey));
    if (entry !== undefined) entry.usedAtMs = this.#components.clock.now();
    return entry?.cache;
  }

  /** A new cache with room for `positions`. Throws `overloaded`, or `out-of-memory` where the machine would swap. */
  open(requestId: string, shardKey: string, shape: CacheShape, positions: number): SequenceCache {
    const cache = new SequenceCache(this.#components.device, shape);
    this.#reserve(cache, capacityFor(positions), this.#options.cacheBytesMax * (1 - GROWTH_SHARE));
    const usedAtMs = this.#components.clock.now();
    const entry = { requestId, shardKey, cache, usedAtMs, uses: 0 };
    this.#entries.set(keyOf(requestId, shardKey), entry);
    return cache;
  }

  /** Makes room for `positions` in a cache that is there. Throws as `open`; what is cached stays. */
  extend(cache: SequenceCache, positions: number): void {
    if (positions <= cache.capacity) return;
    const doubled = Math.max(2 * cache.capacity, capacityFor(positions));
    try {
      this.#reserve(cache, doubled, this.#options.cacheBytesMax);
    } catch (error) {
      if (doubled === capacityFor(positions)) throw error;
      this.#reserve(cache, capacityFor(positions), this.#options.cacheBytesMax);
    }
  }

  /** A step begins to compute over it. */
  hold(cache: SequenceCache): void {
    const entry = this.#entryOf(cache);
    if (entry !== undefined) entry.uses += 1;
  }

  /** The step has ended. */
  letGo(cache: SequenceCache): void {
    const entry = this.#entryOf(cache);
    if (entry === undefined) return;
    entry.uses -= 1;
    entry.usedAtMs = this.#components.clock.now();
    if (entry.uses === 0 && this.#released.delete(entry)) this.#free(entry);
  }

  /** Frees the caches of a request on every shard, now or when its step has ended; it may begin anew at once. */
  release(requestId: string): void {
    for (const [key, entry] of [...this.#entries]) {
      if (entry.requestId !== requestId) continue;
      this.#entries.delete(key);
      if (entry.uses === 0) this.#free(entry);
      else this.#released.add(entry);
    }
  }

  /** No step may run. */
  close(): void {
    for (const entry of [...this.#entries.values(), ...this.#released]) this.#free(entry);
    this.#entries.clear();
    this.#released.clear();
  }

  #reserve(cache: SequenceCache, capacity: number, budget: number): void {
    const before = bytesOf(cache.shape, cache.capacity);
    const after = bytesOf(cache.shape, capacity);
    // The smaller cache is freed when the larger one has its contents.
    while (this.#bytes + after - before > budget || after > this.#components.freeBytes() - RESERVE_BYTES) {
      const abandoned = this.#abandoned();
      if (abandoned === undefined) {
        const isBudget = this.#bytes + after - before > budget;
        throw isBudget ? this.#overloaded(after - before, budget) : this.#outOfMemory(after);
      }
      this.#entries.delete(keyOf(abandoned.requestId, abandoned.shardKey));
      this.#free(abandoned);
    }
    cache.grow(capacity);
    this.#bytes += after - before;
  }

  #abandoned(): Entry | undefined {
    const before = this.#components.clock.now() - this.#options.abandonedAfterMs;
    return [...this.#entries.values()]
      .filter((entry) => entry.uses === 0 && entry.usedAtMs <= before)
      .sort((a, b) => a.usedAtMs - b.usedAtMs)[0];
  }

  #overloaded(bytes: number, budget: number): ExoError {
    return new ExoError(
      'overloaded',
      `the caches of ${this.#entries.size} requests have ${mib(this.#bytes)} of ${mib(budget)} MiB, and ${mib(bytes)} MiB more are needed; try again when one of them has ended`,
      { retryable: true },
    );
  }

  #outOfMemory(bytes: number): ExoError {
    const free = Math.max(0, this.#components.freeBytes());
    return new ExoError(
      'out-of-memory',
      `the cache of a request needs ${mib(bytes)} MiB of memory, and ${mib(free)} MiB are free; end other programs, or try again when another request has ended`,
      { retryable: true },
    );
  }

  #entryOf(cache: SequenceCache): Entry | undefined {
    return [...this.#entries.values(), ...this.#released].find((entry) => entry.cache === cache);
  }

  #free(entry: Entry): void {
    this.#bytes -= bytesOf(entry.cache.shape, entry.cache.capacity);
    entry.cache.close();
  }
}

function keyOf(requestId: string, shardKey: string): string {
  return `${shardKey}\n${requestId}`;
}

/** Native bytes of a cache; the types of caches have one size for each element. */
function bytesOf({ layers, rowElements, elementBytes }: CacheShape, capacity: number): number {
  return 2 * layers * rowElements * elementBytes * capacity;
}

function mib(bytes: number): number {
  return Math.ceil(bytes / (1024 * 1024));
}
