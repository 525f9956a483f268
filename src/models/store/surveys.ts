/**
 * Surveys of folders, made anew only where a file in them has changed: a look at hundreds of models in the cache of the hub's tools
 * then costs a `stat` of each file, not its header. Called by `store.ts`.
 */
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { BoundedMap, LIMITS } from '../../shared/index.js';
import { type ModelSurvey, surveyModel } from './survey.js';

interface Kept {
  readonly stamp: string;
  readonly survey: ModelSurvey | undefined;
}

/** The surveys of one store, the latest `LIMITS.modelSurveysKept`. */
export class Surveys {
  readonly #kept = new BoundedMap<string, Kept>(LIMITS.modelSurveysKept);

  /** What is in a folder now; undefined where it holds no model. Rejects with the signal's reason. */
  async of(directory: string, signal: AbortSignal): Promise<ModelSurvey | undefined> {
    const known = this.#kept.get(directory);
    // Before the look: what changes during it is seen by the next one.
    const stamp = await stampOf(directory, known?.survey?.files ?? []);
    signal.throwIfAborted();
    const isSame = known !== undefined && known.stamp === stamp;
    const survey = isSame ? known.survey : await surveyModel(directory, signal);
    this.#kept.set(directory, { stamp, survey });
    return survey;
  }
}

/** Changes when a file of the folder does, or one of these that lie in folders of it. */
async function stampOf(directory: string, files: readonly string[]): Promise<string> {
  const names = await readdir(directory).catch(() => []);
  const nested = files.filter((name) => name.includes('/'));
  const hash = createHash('sha1');
  for (const name of [...names.sort(), ...nested]) {
    const stats = await stat(path.join(directory, name)).catch(() => undefined);
    hash.update(`${name}\0${stats?.ino} ${stats?.size} ${stats?.mtimeMs} ${stats?.ctimeMs}\0`);
  }
  return hash.digest('hex');
}
