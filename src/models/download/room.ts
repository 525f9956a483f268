/** Whether a disk has room for what is about to be fetched. */
import { statfs } from 'node:fs/promises';
import { ExoError } from '../../shared/index.js';

/** Throws `disk-full` where fewer than `bytes` are free in the folder. */
export async function assertRoom(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (bytes <= free) return;
  throw new ExoError(
    'disk-full',
    `${directory} has room for ${megabytes(free)} and ${megabytes(bytes)} are needed; make room (exo model list shows what is there, exo model rm removes one), or name another folder with EXO_MODELS_DIRS`,
  );
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6).toLocaleString('en-US')} MB`;
}
