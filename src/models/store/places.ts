/** In which folders models are looked for, in which order, and into which one they are fetched. Creates nothing. */
import path from 'node:path';

/** A folder of models: each is in a folder `<org>--<repo>` of it. */
export interface ModelPlace {
  /** Absolute. */
  readonly path: string;
  /** Whether this program may write and remove there. */
  readonly isWritable: boolean;
  /** Laid out as the hub's own tools do it: `models--<org>--<repo>/snapshots/<commit>`. Never written to. */
  readonly isHubCache?: true;
}

/** What the places follow from. */
export interface PlaceOptions {
  /** `$EXO_HOME`. */
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  readonly userHome: string;
  /** `--models-seed-dir`: used where it is, as far as its models cannot be moved. */
  readonly seedDir?: string | undefined;
}

/**
 * The places, those first in which a model is looked for first. Models are fetched into the first: of `EXO_MODELS_DIRS`, else
 * `$EXO_HOME/models`. The folders of the original, and those of the hub's own tools, are used and left as they are.
 */
export function modelPlaces({ home, env, userHome, seedDir }: PlaceOptions): ModelPlace[] {
  const writable = [...listOf(env['EXO_MODELS_DIRS']), path.join(home, 'models')];
  const readOnly = [
    ...listOf(env['EXO_MODELS_READ_ONLY_DIRS']),
    ...(seedDir === undefined ? [] : [seedDir]),
    path.join(home, 'downloads'),
    path.join(userHome, '.cache', 'exo', 'downloads'),
  ];
  const hubHome =
    env['HF_HOME'] || path.join(env['XDG_CACHE_HOME'] || path.join(userHome, '.cache'), 'huggingface');
  const hubCache = env['HF_HUB_CACHE'] || path.join(hubHome, 'hub');
  const seen = new Set<string>();
  return [
    ...writable.map((folder) => ({ path: path.resolve(folder), isWritable: true })),
    ...readOnly.map((folder) => ({ path: path.resolve(folder), isWritable: false })),
    { path: path.resolve(hubCache), isWritable: false, isHubCache: true as const },
  ].filter((place) => !seen.has(place.path) && seen.add(place.path));
}

/** Folders as PATH has them. */
function listOf(text: string | undefined): string[] {
  return (text ?? '').split(path.delimiter).filter((folder) => folder !== '');
}
