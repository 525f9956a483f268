/**
 * Places for large results in memory that the node reads too (`../process/result-file.ts`). A request has at most one: the node has
 * read it when the next step of the request comes. Called by `program.ts`.
 */
import { writeSync } from 'node:fs';
import { LIMITS } from '../../../../shared/index.js';
import { mapShared } from '../library/index.js';
import { RESULT_BYTES_MIN, type ResultPlace } from '../process/result-file.js';

/** Places begin at multiples of a page. */
const PAGE_BYTES = 16 * 1024;

/** Places in a mapped file. */
export class ResultPlaces {
  readonly #memory: ArrayBuffer;
  readonly #taken = new Map<string, ResultPlace>();

  private constructor(memory: ArrayBuffer) {
    this.#memory = memory;
  }

  /** Undefined where there is no such file. */
  static open(fd: number): ResultPlaces | undefined {
    try {
      // Taken now: a mapped page for which there is no room later ends the process.
      writeSync(fd, new Uint8Array(LIMITS.engineResultBytes), 0, LIMITS.engineResultBytes, 0);
      return new ResultPlaces(mapShared(fd, LIMITS.engineResultBytes));
    } catch {
      return undefined;
    }
  }

  /** Memory for a result of so many numbers, which the node can read; undefined where it is small or there is no room. */
  reserve(requestId: string, count: number): Float32Array | undefined {
    const bytes = count * 4;
    if (bytes < RESULT_BYTES_MIN) return undefined;
    const known = this.#taken.get(requestId);
    const place = known?.bytes === bytes ? known : this.#find(requestId, bytes);
    if (place === undefined) return undefined;
    this.#taken.set(requestId, place);
    return new Float32Array(this.#memory, place.offset, count);
  }

  /** Puts a result where the node can read it, if it is not there already; undefined where that is not possible. */
  put(requestId: string, values: Float32Array): ResultPlace | undefined {
    if (values.buffer === this.#memory) return { offset: values.byteOffset, bytes: values.byteLength };
    const target = this.reserve(requestId, values.length);
    target?.set(values);
    return target && { offset: target.byteOffset, bytes: target.byteLength };
  }

  /** The request is over. */
  release(requestId: string): void {
    this.#taken.delete(requestId);
  }

  /** The first gap that is large enough. */
  #find(requestId: string, bytes: number): ResultPlace | undefined {
    this.#taken.delete(requestId);
    let offset = 0;
    for (const place of [...this.#taken.values()].sort((a, b) => a.offset - b.offset)) {
      if (offset + bytes <= place.offset) break;
      offset = Math.ceil((place.offset + place.bytes) / PAGE_BYTES) * PAGE_BYTES;
    }
    return offset + bytes <= LIMITS.engineResultBytes ? { offset, bytes } : undefined;
  }
}
