/**
 * The engine of a node and the models it has, by the node's settings. Called where a node is started (and before, to refuse a
 * model that nobody has).
 */
import { homedir } from 'node:os';
import path from 'node:path';
import {
  createEngine,
  type Downloads,
  DUMMY_MODELS,
  type EngineModels,
  type InferenceEngine,
  loadGgml,
  loadNodeModels,
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

/** An engine, and the files of its models where it has any. */
export interface NodeEngine {
  readonly engine: InferenceEngine;
  readonly downloads?: Downloads;
}

/** The models of a node with these settings, as of now. */
export async function nodeModels(settings: NodeSettings, parts: NodeEngineParts): Promise<EngineModels> {
  if (settings.inference.engine === 'dummy') return DUMMY_MODELS;
  return (await storedModels(settings, parts)).models;
}

/** The engine of a node with these settings; its models are being looked for. */
export async function nodeEngine(settings: NodeSettings, parts: NodeEngineParts): Promise<NodeEngine> {
  if (settings.inference.engine === 'dummy') return { engine: createEngine('dummy') };
  const { clock, log } = parts;
  const [{ models, downloads }, { GgmlEngine }] = await Promise.all([
    storedModels(settings, parts),
    loadGgml(),
  ]);
  const { device, threads, quantisation } = settings.inference;
  const options = {
    ...{ device, quantisation, weightsDirectory: path.join(parts.home, 'weights') },
    ...(threads === undefined ? {} : { threads }),
  };
  return { engine: new GgmlEngine(options, { files: models, models, clock, logger: log }), downloads };
}

async function storedModels({ models: settings }: NodeSettings, parts: NodeEngineParts) {
  const { home, env, clock, random, log } = parts;
  const { seedDir, spare = false } = settings;
  const [{ Downloads, NodeModels }, room] = await Promise.all([
    loadNodeModels(),
    import('../models/index.js'),
  ]);
  const userHome = env['HOME'] || homedir();
  const store = new room.ModelStore({ places: room.modelPlaces({ home, env, userHome, seedDir }) }, parts);
  if (seedDir !== undefined) await store.adopt(seedDir);
  const endpoint = settings.hfEndpoint;
  const hub =
    settings.offline === true
      ? undefined
      : new room.Hub({ endpoint, token: room.readHubToken({ env, userHome }) }, { clock });
  const downloads = new Downloads({ store, clock, random, log });
  const fetches = new room.ModelFetches(
    { parallelMax: settings.parallelDownloadsMax, quick: settings.quickCheck },
    {
      ...{ store, hub, clock, random, log },
      sharing: () => downloads.sharing,
      checkConfig: (config) => void room.readArchitecture(config),
      onProgress: (progress) => downloads.onProgress(progress),
      onDone: (repository) => models.filesCame(repository),
    },
  );
  const models = new NodeModels({
    ...{ store, fetches, spare, clock, log },
    demoDirectory: room.DEMO_DIRECTORY,
  });
  downloads.use(models, fetches);
  await models.start();
  return { models, downloads };
}
