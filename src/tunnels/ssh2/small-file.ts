/** Reads a file of the user's ssh (known_hosts, a key, a configuration) that is expected to be small, whatever stands in its place. */
import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';

/** The text and what the system says about the file; undefined where there is none. Throws with the reason. */
export async function readSmallFile(
  path: string,
  bytesMax: number,
): Promise<{ readonly text: string; readonly stat: Stats } | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // Opened without waiting: a named pipe in its place would hold us up for ever.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new Error('it is not a file');
    if (stat.size > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
    return { text: await file.readFile('utf8'), stat };
  } finally {
    await file.close();
  }
}
