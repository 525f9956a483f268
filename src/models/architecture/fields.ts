/**
 * Reads the fields of a JSON object one by one, each with its type and range, so that what is wrong is named by the place
 * where a person finds it. Not a schema: of a config only the fields that are used are looked at, and their meaning
 * depends on one another. Null is as good as absent, as in the programs that write these files. Pure.
 */
import { ExoError, LIMITS, printable } from '../../shared/index.js';

/** What a number may be. */
export interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** An object within a file, at `place` (`config.json: rope_scaling`). */
export class Fields {
  readonly place: string;
  readonly #value: Readonly<Record<string, unknown>>;

  /** Throws `checkpoint-invalid` unless `value` is an object. */
  constructor(value: unknown, place: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ExoError('checkpoint-invalid', `${place} is not a JSON object; ${WAY_OUT}`);
    }
    this.place = place;
    this.#value = value as Record<string, unknown>;
  }

  /** Whether the field is there and not null. */
  has(name: string): boolean {
    return this.#at(name) !== undefined;
  }

  /** Whether it is written there as null, which is not always what its absence means. */
  isNull(name: string): boolean {
    return Object.hasOwn(this.#value, name) && this.#value[name] === null;
  }

  /** As it is; undefined where it is null. */
  raw(name: string): unknown {
    return this.#at(name);
  }

  /** Whether it is the number 0, which some writers put where they mean nothing. */
  isZero(name: string): boolean {
    return this.#at(name) === 0;
  }

  /** A whole number; by default a size from 1. Without a `fallback` it must be there. Throws `checkpoint-invalid`. */
  size(name: string, fallback?: number, { min = 1, max = LIMITS.modelSizeMax }: Range = {}): number {
    return this.#required(name, this.optionalSize(name, { min, max }) ?? fallback);
  }

  optionalSize(name: string, { min = 1, max = LIMITS.modelSizeMax }: Range = {}): number | undefined {
    const value = this.#at(name);
    if (value === undefined) return undefined;
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
      return value as number;
    }
    throw this.#bad(name, `a whole number from ${min} to ${max}`);
  }

  /** A finite number greater than 0. Throws `checkpoint-invalid`. */
  positive(name: string, fallback?: number): number {
    return this.#required(name, this.optionalPositive(name) ?? fallback);
  }

  optionalPositive(name: string): number | undefined {
    const value = this.#at(name);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    throw this.#bad(name, 'a number greater than 0');
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.#at(name) ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.#bad(name, 'true or false');
  }

  text(name: string): string | undefined {
    const value = this.#at(name);
    if (value === undefined || typeof value === 'string') return value;
    throw this.#bad(name, 'a text');
  }

  /** A list of texts. */
  texts(name: string): readonly string[] | undefined {
    const value = this.#at(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
    throw this.#bad(name, 'a list of texts');
  }

  /** A list of that many numbers greater than 0. */
  positives(name: string, length: number): readonly number[] {
    const value = this.#required(name, this.#at(name));
    const isPositive = (one: unknown) => typeof one === 'number' && Number.isFinite(one) && one > 0;
    if (Array.isArray(value) && value.length === length && value.every(isPositive)) return value;
    throw this.#bad(name, `a list of ${length} numbers greater than 0`);
  }

  /** An object within this one. */
  fields(name: string): Fields | undefined {
    const value = this.#at(name);
    return value === undefined ? undefined : new Fields(value, `${this.place}: ${name}`);
  }

  /** Names and values as they are. */
  entries(): ReadonlyArray<readonly [string, unknown]> {
    return Object.entries(this.#value);
  }

  /** An error about one field. Code `checkpoint-invalid`. */
  fault(name: string, why: string): ExoError {
    return new ExoError('checkpoint-invalid', `${this.place}: ${name} ${why}; ${WAY_OUT}`);
  }

  #at(name: string): unknown {
    return (Object.hasOwn(this.#value, name) ? this.#value[name] : undefined) ?? undefined;
  }

  #required<T>(name: string, value: T | undefined): T {
    if (value === undefined) throw this.fault(name, 'is missing');
    return value;
  }

  #bad(name: string, what: string): ExoError {
    return this.fault(name, `is ${shown(this.#at(name))} and must be ${what}`);
  }
}

const WAY_OUT = 'fetch the model again (exo model pull), or mend the file';

function shown(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? `"${printable(value, 60)}"` : String(value);
}
