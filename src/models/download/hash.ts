/** Hashes of files, as hubs name them. Reads in pieces, so that other work goes on between them. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHash } from '../hub/answer.js';

const READ_BYTES = 1024 * 1024;

/** The hash of a file in hex. Rejects with the signal's reason, or with what the file system says. */
export async function hashFile(
  file: string,
  kind: FileHash['kind'],
  signal: AbortSignal,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const hash = createHash(kind === 'sha256' ? 'sha256' : 'sha1');
    // What git puts in front of the bytes of a file.
    if (kind === 'git-sha1') hash.update(`blob ${size}\0`);
    const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(READ_BYTES, size)));
    for (let at = 0; at < size; ) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) throw new Error(`${file} became shorter while it was read`);
      hash.update(buffer.subarray(0, bytesRead));
      onBytes(bytesRead);
      at += bytesRead;
    }
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}
