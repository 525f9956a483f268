/** `exo model search`. */
import { searchCatalogue } from '../../models/index.js';
import { ExoError, LIMITS, printable, toExoError } from '../../shared/index.js';
import type { CliHost } from '../host.js';
import { Progress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';
import { answer } from '../trust/key.js';
import { formatFound } from './format.js';
import { isOffline, type ModelOptions, openHub, openStore } from './settings.js';

/** Finds models by words of their names; without words shows all short names. */
export async function search(
  host: CliHost,
  words: readonly string[],
  options: ModelOptions & { readonly limit: string },
): Promise<number> {
  const limit = /^\d{1,3}$/.test(options.limit) ? Number(options.limit) : 0;
  if (limit < 1 || limit > LIMITS.searchResultsMax) {
    throw new ExoError(
      'option-invalid',
      `--limit: "${printable(options.limit, 40)}" is not a whole number from 1 to ${LIMITS.searchResultsMax}`,
    );
  }
  const text = words.join(' ');
  const short = searchCatalogue(text);
  const found =
    text === '' || isOffline(host, options) ? undefined : await askHub(host, text, limit, options);
  const stored = await openStore(host).list(new AbortController().signal);
  const here = new Set(stored.map(({ repository }) => repository));
  const value = {
    short_names: short.map(({ id, name, layers, repository, family }) => ({
      id,
      name,
      layers,
      family,
      repository,
      here: here.has(repository),
    })),
    hub: found?.models.map((model) => ({ ...model, here: here.has(model.repository) })) ?? null,
  };
  const code = answer(host, options, value, formatFound(short, found?.models, here));
  if (found?.failure !== undefined)
    host.stderr.write(`the hub was not asked: ${printable(found.failure, 300)}\n`);
  return code;
}

/** A hub that does not answer leaves the short names; they are an answer, too. */
async function askHub(host: CliHost, text: string, limit: number, options: ModelOptions) {
  const { hub } = openHub(host, options);
  const stop = stopSignal(host);
  const progress = new Progress(host, `asking ${hub.name}`);
  try {
    return { models: await hub.search(text, limit, stop.signal), failure: undefined };
  } catch (error) {
    stop.signal.throwIfAborted();
    return { models: [], failure: toExoError(error).message };
  } finally {
    progress.end();
    stop.release();
  }
}
