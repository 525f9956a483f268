/**
 * The engine of a node and the models it has, by the node's settings. Called where a node is started (and before, to refuse a
 * model that nobody has).
 */
import { homedir } from 'node:os';
import {
  createEngine,
  DUMMY_MODELS,
  type EngineModels,
  type InferenceEngine,
  loadRealModels,
} from '../inference/index.js';
import type { Clock, Logger, Random } from '../shared/index.js';
import type { NodeSettings } from './config/index.js';

/** What the models are found with. */
export interface NodeEngineParts {
  /** `$EXO_HOME`. */
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** The models of a node with these settings, as of now. */
export async function nodeModels(settings: NodeSettings, parts: NodeEngineParts): Promise<EngineModels> {
  return settings.inference.engine === 'dummy' ? DUMMY_MODELS : storedModels(settings, parts);
}

/** The engine of a node with these settings; its models have been looked for. */
export async function nodeEngine(settings: NodeSettings, parts: NodeEngineParts): Promise<InferenceEngine> {
  if (settings.inference.engine === 'dummy') return createEngine('dummy');
  const { clock, log } = parts;
  const [models, { createGgmlEngine }] = await Promise.all([storedModels(settings, parts), loadRealModels()]);
  const { device, threads, quantisation } = settings.inference;
  const options = { device, quantisation, ...(threads === undefined ? {} : { threads }) };
  return createGgmlEngine(options, { files: models, models, clock, logger: log });
}

async function storedModels({ models: { seedDir } }: NodeSettings, parts: NodeEngineParts) {
  const { home, env, clock, random, log } = parts;
  const [{ StoredModels }, { DEMO_DIRECTORY, ModelStore, modelPlaces }] = await Promise.all([
    loadRealModels(),
    import('../models/index.js'),
  ]);
  const places = modelPlaces({ home, env, userHome: env['HOME'] || homedir(), seedDir });
  const store = new ModelStore({ places }, { clock, random });
  if (seedDir !== undefined) await store.adopt(seedDir);
  const models = new StoredModels({ store, demoDirectory: DEMO_DIRECTORY, clock, log });
  await models.refresh();
  return models;
}
