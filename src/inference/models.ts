/**
 * The catalogue: which models exist and which engine runs them from where. Only models that an engine of this version
 * can run are listed. The ring asks it for the number of layers, the API for the names.
 */
import { ExoError, printable } from '../shared/index.js';

/** One model. */
export interface ModelEntry {
  /** The name that requests use, and the `model_id` of shards. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  readonly layers: number;
  /** The repository to take it from, by the name of the engine that runs it. */
  readonly engines: Readonly<Record<string, string>>;
}

const CATALOGUE: readonly ModelEntry[] = [
  { id: 'dummy', name: 'Dummy', layers: 8, engines: { dummy: 'dummy' } },
];

/** The model that is used when none is named, by engine. */
const DEFAULT_MODELS: Readonly<Record<string, string>> = { dummy: 'dummy' };

/** All models that an engine can run. */
export function modelsOf(engine: string): readonly ModelEntry[] {
  return CATALOGUE.filter((model) => Object.hasOwn(model.engines, engine));
}

/** The model of exactly that id. Throws `model-unknown`, naming the known ones. */
export function findModel(id: string, engine: string): ModelEntry {
  const models = modelsOf(engine);
  const model = models.find((entry) => entry.id === id);
  if (model !== undefined) return model;
  const known = models.map((entry) => entry.id).join(', ') || 'none';
  throw new ExoError(
    'model-unknown',
    `Unsupported model: ${printable(id)}; the ${engine} engine has: ${known}`,
  );
}

/** The default model's id: the configured one, or the engine's own. Not checked. */
export function defaultModelId(engine: string, configured?: string): string {
  return configured ?? DEFAULT_MODELS[engine] ?? modelsOf(engine)[0]?.id ?? '';
}

/**
 * The model that a request means: `gpt-*` and no name are the default model, as in the original.
 * Throws `model-unknown`.
 */
export function resolveModel(
  name: string | undefined,
  options: { readonly engine: string; readonly defaultModel?: string | undefined },
): ModelEntry {
  const isDefault = name === undefined || name === '' || name.startsWith('gpt-');
  return findModel(isDefault ? defaultModelId(options.engine, options.defaultModel) : name, options.engine);
}
