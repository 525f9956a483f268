/** What targets that read JSON have in common. */
import assert from 'node:assert/strict';
import type { Random } from '../../../src/shared/index.js';
import { varyJson } from '../json-mutate.js';

/** A `vary` for inputs that are JSON and nothing else. */
export function varyJsonInput(words: readonly string[] = []) {
  return (input: Buffer, random: Random): Buffer | undefined => {
    const text = varyJson(input.toString('utf8'), random, words);
    return text === undefined ? undefined : Buffer.from(text);
  };
}

/** Samples as inputs. */
export function jsonSeeds(...values: readonly unknown[]): Buffer[] {
  return values.map((value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));
}

/** The keys of an object at two levels: what kind of thing was read. */
export function keysOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.entries(value)
    .slice(0, 20)
    .map(([key, inner]) => `${key}:${inner === null ? 'null' : Array.isArray(inner) ? 'list' : typeof inner}`)
    .join(',');
}

/** Whether two values say the same on the wire, which has no -0, no undefined, and whole megabytes only. */
export function assertSaysSame(a: unknown, b: unknown, why: string): void {
  assert.equal(textOf(a), textOf(b), why);
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    if (key === 'memory' && typeof inner === 'number') return Math.round(inner);
    return inner instanceof Map ? [...inner] : inner;
  });
}
