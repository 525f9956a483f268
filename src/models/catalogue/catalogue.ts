/**
 * What a person may write for a model, and what it means: a short name, any `org/repo`, any folder. Knows no disk and no hub.
 * Called by the commands, the node and the engine's port for files.
 */
import path from 'node:path';
import { closest, ExoError, LIMITS, printable } from '../../shared/index.js';
import type { Family } from '../architecture/architecture.js';
import { MODELS, NOT_COMPUTED } from './table.js';

/** A model that has a short name. */
export interface CatalogueModel {
  readonly id: string;
  /** For people. */
  readonly name: string;
  readonly layers: number;
  readonly family: Family;
  /** `org/repo`. */
  readonly repository: string;
}

/** What a name means. */
export type ModelReference =
  | {
      readonly kind: 'repository';
      /** As it was written: what shards of it are called. */
      readonly id: string;
      readonly repository: string;
      readonly model?: CatalogueModel;
    }
  | { readonly kind: 'directory'; readonly id: string; readonly directory: string };

/** A name of a repository or its owner. Two dashes stand between them in folders, so neither has two. */
const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?$/;

const CATALOGUE: readonly CatalogueModel[] = MODELS.map(([id, name, layers, family, repository]) => ({
  id,
  name,
  layers,
  family,
  repository,
}));
const BY_ID: ReadonlyMap<string, CatalogueModel> = new Map(CATALOGUE.map((model) => [model.id, model]));

/** All models with a short name that an engine computes. */
export function catalogue(): readonly CatalogueModel[] {
  return CATALOGUE;
}

/** The model of exactly that short name. */
export function catalogueModel(id: string): CatalogueModel | undefined {
  return BY_ID.get(id);
}

/** The short name of a repository, if it has one. */
export function shortNameOf(repository: string): string | undefined {
  return CATALOGUE.find((model) => model.repository === repository)?.id;
}

/** Short names that have all words in them or in the model's name. */
export function searchCatalogue(words: string): readonly CatalogueModel[] {
  const wanted = words
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return CATALOGUE.filter(({ id, name, repository }) => {
    const text = `${id} ${name} ${repository}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

/** What a name means. Throws `model-unknown`, or `model-unsupported` for a short name whose architecture is not computed. */
export function resolveReference(text: string): ModelReference {
  if (path.isAbsolute(text)) return { kind: 'directory', id: text, directory: path.resolve(text) };
  const model = BY_ID.get(text.toLowerCase());
  if (model !== undefined) return { kind: 'repository', id: model.id, repository: model.repository, model };
  const refused = NOT_COMPUTED.find(
    ([id, , , , repository]) => id === text.toLowerCase() || repository === text,
  );
  if (refused !== undefined) {
    throw new ExoError(
      'model-unsupported',
      `${refused[0]} is of the architecture ${refused[3]}, which no engine of this version computes; exo model search lists models that are`,
    );
  }
  if (isRepository(text)) {
    const named = CATALOGUE.find(({ repository }) => repository === text);
    return {
      kind: 'repository',
      id: text,
      repository: text,
      ...(named === undefined ? {} : { model: named }),
    };
  }
  const near = closest(text, [...BY_ID.keys()]);
  throw new ExoError(
    'model-unknown',
    `${printable(text, 100)} is neither a short name, nor org/repo, nor the absolute path of a folder${near === undefined ? '' : `; did you mean ${near}?`}`,
  );
}

/** Whether a text is `org/repo`. */
export function isRepository(text: string): boolean {
  const [owner, name, more] = text.split('/');
  if (owner === undefined || name === undefined || more !== undefined) return false;
  return [owner, name].every((part) => NAME.test(part) && !part.includes('--') && !part.includes('..'));
}

/** Whether a hub's name of a file stays below the folder of its model, and can be one on every system. */
export function isFilePath(text: string): boolean {
  return (
    text.length <= LIMITS.modelFilePathCharsMax &&
    text.split('/').every((part) => /^[A-Za-z0-9_][A-Za-z0-9_.+() -]*$/.test(part) && !/[. ]$/.test(part))
  );
}

/** The folder of a repository in a folder of models, as in the original. */
export function folderName(repository: string): string {
  return repository.replace('/', '--');
}

/** The repository that a folder is of; undefined where the name is none of ours. */
export function repositoryOf(folder: string): string | undefined {
  const repository = folder.replace('--', '/');
  return isRepository(repository) ? repository : undefined;
}
