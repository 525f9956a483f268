/**
 * Memory that node and engine process share, for what is too large for the pipe between them: logits of 150,000 tokens take ten turns
 * of both event loops there. A file without a name: the process maps it and puts results into places, the node reads them.
 * The node's side; the process's is `../child/result-places.ts`.
 */
import { closeSync, openSync, readSync, unlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Where a result lies. */
export interface ResultPlace {
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** Smaller results go over the pipe: a step of one token between two shards is one write. */
export const RESULT_BYTES_MIN = 64 * 1024;
/** Buffers that wait for the next result, as many as come at once: fresh memory costs more than reading into it does. */
const BUFFERS_KEPT = 8;
/** Memory that looks like a file; elsewhere the folder for temporary files does, and nothing is written to its disk unless memory is short. */
const SHARED_MEMORY = '/dev/shm';

/** The file, until it is closed. */
export class ResultFile {
  readonly fd: number;
  /** All of one size. */
  #free: Buffer[] = [];
  readonly #lent = new WeakSet<Uint8Array>();

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Undefined where the system has no files without names, or there is no room. */
  static open(): ResultFile | undefined {
    if (process.platform === 'win32') return undefined;
    for (const folder of process.platform === 'linux' ? [SHARED_MEMORY, os.tmpdir()] : [os.tmpdir()]) {
      // It has the name for a moment only, so one for each process is enough.
      const file = path.join(folder, `exo-results-${process.pid}`);
      try {
        const fd = openSync(file, 'wx+', 0o600);
        unlinkSync(file);
        return new ResultFile(fd);
      } catch {
        // The pipe does it too.
      }
    }
    return undefined;
  }

  /** The reader's, unless he gives it back. Throws what reading throws. */
  read({ offset, bytes }: ResultPlace): Buffer {
    if (this.#free[0]?.length !== bytes) this.#free = [];
    // Of its own, so that it is aligned for float32.
    const data = this.#free.pop() ?? Buffer.allocUnsafeSlow(bytes);
    this.#lent.add(data);
    for (let at = 0; at < bytes; ) {
      const count = readSync(this.fd, data, at, bytes - at, offset + at);
      if (count === 0) throw new Error('the results of the engine are too short');
      at += count;
    }
    return data;
  }

  /** Nobody looks at it any more. What was not read here, or is given back a second time, is left alone. */
  giveBack(data: Buffer): void {
    if (!this.#lent.delete(data)) return;
    const isLike = this.#free.length === 0 || this.#free[0]!.length === data.length;
    if (isLike && this.#free.length < BUFFERS_KEPT) this.#free.push(data);
  }

  close(): void {
    closeSync(this.fd);
  }
}
