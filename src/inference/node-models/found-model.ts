/**
 * Models on disk as entries that requests can name: what one looks like in the folder of a store, the demo model, a folder that
 * somebody named. Which of them are known at a moment is the matter of `disk-index.ts`.
 */
import {
  Checkpoint,
  type LayerRange,
  type ModelSurvey,
  resolveReference,
  type StoredModel,
  shortNameOf,
  smallFiles,
  surveyModel,
} from '../../models/index.js';
import type { Shard } from '../../protocol/index.js';
import { ExoError, printable } from '../../shared/index.js';
import { DEMO_MODEL, type ModelEntry } from '../engine-models.js';

/** An entry, and where its files are. */
export interface FoundModel extends ModelEntry {
  readonly directory: string;
  /** Absent: it is where it is, and nothing of it is fetched. */
  readonly repository?: string;
  /** Its configuration is here, and of the other small files not all. `usable`: the tokenizer is. */
  readonly isBegun?: 'usable' | 'started';
}

/** The models by name; those of the first place win, unless a later one has more of it. */
export function addStored(
  known: Map<string, FoundModel>,
  { repository, directory, survey, record }: StoredModel,
): void {
  const id = nameOf(repository);
  const isComplete = survey.has();
  if (survey.layers === undefined || (known.has(id) && !(isComplete && !known.get(id)!.ready))) return;
  const { layers, contextTokens } = survey;
  const small = record === undefined ? [] : smallFiles([...record.files.keys()]);
  const begun = survey.others.has('tokenizer.json') ? 'usable' : 'started';
  known.set(id, {
    ...{ id, name: repository, layers, ready: isComplete, directory, repository },
    storedLayers: survey.presentLayers,
    ...(small.every((name) => survey.others.has(name)) ? {} : { isBegun: begun }),
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(survey.fault === undefined ? {} : { unusable: survey.fault }),
  });
}

/** The model that comes with the program. Throws what `Checkpoint.open` throws. */
export async function demoModel(directory: string, signal: AbortSignal): Promise<FoundModel> {
  const { architecture } = await Checkpoint.open(directory, signal);
  return {
    id: DEMO_MODEL,
    name: 'Demo (about exo-mesh)',
    layers: architecture.layers.length,
    ready: true,
    contextTokens: architecture.contextLength,
    directory,
  };
}

/** A folder that was named by its path. Throws `model-unknown` where it holds no model. */
export async function folderModel(id: string, directory: string, signal: AbortSignal): Promise<FoundModel> {
  const survey = await surveyModel(directory, signal);
  if (survey?.layers === undefined) {
    const fault = survey === undefined ? undefined : configFault(survey);
    if (fault !== undefined) throw fault;
    const why = `holds no config.json${survey === undefined ? ' and no weights' : ''}`;
    throw new ExoError(
      'model-unknown',
      `the folder ${printable(directory, 300)} ${why} (seen from this node)`,
    );
  }
  const { layers, contextTokens } = survey;
  return {
    ...{ id, name: directory, layers, ready: survey.has(), directory },
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(survey.fault === undefined ? {} : { unusable: survey.fault }),
  };
}

/** What is wrong with a configuration that is there and does not even say how many layers there are. */
export function configFault({ directory, layers, fault }: ModelSurvey): ExoError | undefined {
  if (layers !== undefined || fault === undefined) return undefined;
  return new ExoError(
    'checkpoint-invalid',
    `the config.json of ${printable(directory, 300)} cannot be used: ${printable(fault, 300)}`,
  );
}

/** A model's one name: the short one where it has one. */
export function nameOf(text: string): string {
  if (text === DEMO_MODEL) return text;
  try {
    const reference = resolveReference(text);
    return reference.kind === 'repository'
      ? (shortNameOf(reference.repository) ?? reference.repository)
      : text;
  } catch (error) {
    if (error instanceof ExoError) return text;
    throw error;
  }
}

/** Layers of a shard, where it is one of the model. */
export function layersOf({ startLayer, endLayer, nLayers }: Shard, layers: number): LayerRange | undefined {
  const isShard = nLayers === layers && startLayer >= 0 && startLayer <= endLayer && endLayer < layers;
  return isShard ? { startLayer, endLayer, layers } : undefined;
}
