/** What is not in order in a model's folder, by its record and by the names that are there; no file is read. Called by `store.ts`. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { CONFIG_FILE, type LayerRange, smallFiles } from '../download/plan.js';
import type { ModelPlace } from './places.js';
import type { RecordData, RecordedFile } from './record.js';
import type { ModelSurvey } from './survey.js';

/** Names of files that a pull would fetch, or compare, again. Layers that nobody asked for are no flaw. */
export interface Flaws {
  /** Needed for any layer, or once found right here, and gone. */
  readonly missing: readonly string[];
  /** Not as they were when their hash was found right: written to since, or found damaged. */
  readonly doubted: readonly string[];
}

/** A model's folder; a `StoredModel` is one. */
interface Folder {
  readonly directory: string;
  readonly place: ModelPlace;
  readonly isLink: boolean;
  readonly survey: ModelSurvey;
  readonly record: RecordData | undefined;
}

/** The flaws of one folder, for some layers or all; none are known of a folder that this program does not write to. */
export async function flawsOf(
  { directory, place, isLink, survey, record }: Folder,
  shard: LayerRange | undefined,
): Promise<Flaws> {
  if (!place.isWritable || isLink) return { missing: [], doubted: [] };
  const isHere = (name: string) => survey.others.has(name);
  if (record === undefined) {
    const tokenizers = ['tokenizer.json', 'tokenizer.model'];
    const missing = isHere(CONFIG_FILE) ? [] : [CONFIG_FILE];
    return { missing: tokenizers.some(isHere) ? missing : [...missing, tokenizers[0]!], doubted: [] };
  }
  const wasHere = (name: string) => record.files.get(name)?.verified !== undefined;
  const small = smallFiles([...record.files.keys()]);
  const weights = shard === undefined ? survey.missing.filter(wasHere) : [];
  const doubted: string[] = [];
  for (const name of [...small, ...survey.filesOf(shard)].filter(isHere)) {
    const known = record.files.get(name);
    if (known !== undefined && !(await isAsFound(directory, known))) doubted.push(name);
  }
  return { missing: [...small.filter((name) => !isHere(name)), ...weights], doubted };
}

async function isAsFound(directory: string, { path: name, verified }: RecordedFile): Promise<boolean> {
  if (verified === undefined) return false;
  const now = await stat(path.join(directory, name)).catch(() => undefined);
  return now?.size === verified.size && now.mtimeMs === verified.mtimeMs;
}
