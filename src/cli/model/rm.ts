/** `exo model rm`. */
import { printable } from '../../shared/index.js';
import { bytes } from '../format/units.js';
import type { CliHost } from '../host.js';
import { CALLED_OFF, type ConfirmOptions, confirmed } from '../trust/confirm.js';
import { answer } from '../trust/key.js';
import { repositoryNamed } from './pull.js';
import { type ModelOptions, openStore } from './settings.js';

/** Removes the files of a model. */
export async function remove(
  host: CliHost,
  name: string,
  options: ModelOptions & ConfirmOptions,
): Promise<number> {
  const { id, repository } = repositoryNamed(name);
  const store = openStore(host);
  const found = await store.find(repository, new AbortController().signal);
  const writable = found.filter(({ place }) => place.isWritable);
  if (writable.length > 0) {
    const size = bytes(writable.reduce((total, { survey }) => total + survey.bytes, 0));
    const where = writable.map(({ directory }) => directory).join(', ');
    const what = `${printable(repository, 120)} (${size}) is removed from ${printable(where, 400)}.`;
    if (!(await confirmed(host, what, options))) return CALLED_OFF;
  }
  const removed = await store.remove(repository);
  return answer(host, options, { id, repository, ...removed }, [
    `${printable(id, 120)} is removed: ${removed.directories.join(', ')} (${bytes(removed.bytes)})`,
    ...removed.kept.map((folder) => `${folder} is kept: exo does not write there`),
  ]);
}
