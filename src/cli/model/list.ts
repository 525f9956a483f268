/** `exo model list`. */

import { type CliHost, colours } from '../host.js';
import { answer } from '../trust/key.js';
import { formatModels } from './format.js';
import { type ModelOptions, openStore } from './settings.js';
import { storedJson } from './shapes.js';

/** Shows what is kept here. */
export async function list(host: CliHost, options: ModelOptions): Promise<number> {
  const store = openStore(host);
  const models = (await store.list(new AbortController().signal)).map(storedJson);
  const folders = store.places.map(({ path, isWritable }) => ({ path, writable: isWritable }));
  const lines = formatModels(models, colours(host.stdout, host.env));
  return answer(host, options, { models, folders }, lines);
}
