/** What is not in order in a model's folder, by its record and by the names that are there; no file is read. Called by `store.ts`. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { CHECKPOINT_FILE } from '../checkpoint/checkpoint.js';
import { CONFIG_FILE, isFetched, smallFiles } from '../download/plan.js';
import type { RecordData, RecordedFile } from './record.js';
import type { ModelSurvey } from './survey.js';

/** Names of files. Layers that nobody asked for are no flaw. */
export interface Flaws {
  /** Needed for any layer, or once found right here, and gone. */
  readonly missing: readonly string[];
  /** Not as they were when their hash was found right: written to since, or found damaged. */
  readonly doubted: readonly string[];
}

/** The flaws of one folder. */
export async function flawsOf(
  directory: string,
  survey: ModelSurvey,
  record: RecordData | undefined,
): Promise<Flaws> {
  const missing = new Set(record === undefined ? missingByName(survey) : missingByRecord(survey, record));
  // Without any layer here, all of them are wanted.
  if (survey.presentLayers.length === 0) for (const name of survey.missing) missing.add(name);
  const doubted: string[] = [];
  for (const file of record?.files.values() ?? []) {
    const isHere = isFetched(file.path) && survey.others.has(file.path);
    if (isHere && !(await isAsFound(directory, file))) doubted.push(file.path);
  }
  return { missing: [...missing].sort(), doubted: doubted.sort() };
}

/** A folder that this program did not fetch: of those that every model has, and its weights. */
function missingByName({ others, missing, files }: ModelSurvey): string[] {
  const isOldTokenizer = others.has('tokenizer.model');
  const names = [CONFIG_FILE, ...(isOldTokenizer ? [] : ['tokenizer.json'])];
  const weights = files.length === 1 && files[0] === CHECKPOINT_FILE ? [] : missing;
  return [...names.filter((name) => !others.has(name)), ...weights];
}

function missingByRecord({ others, missing }: ModelSurvey, { files }: RecordData): string[] {
  const wasHere = (name: string) => files.get(name)?.verified !== undefined;
  return [...smallFiles([...files.keys()]).filter((name) => !others.has(name)), ...missing.filter(wasHere)];
}

async function isAsFound(directory: string, { path: name, verified }: RecordedFile): Promise<boolean> {
  if (verified === undefined) return false;
  const now = await stat(path.join(directory, name)).catch(() => undefined);
  return now?.size === verified.size && now.mtimeMs === verified.mtimeMs;
}
