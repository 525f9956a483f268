/**
 * How much of which model is on the disk of this node, and which models with short names are not: for the API. Called by
 * `downloads.ts`.
 */
import { catalogue, type ModelStore, shortNameOf } from '../../models/index.js';

/** How much of a model is here. */
export interface ModelOnDisk {
  readonly id: string;
  readonly name: string;
  readonly repository: string;
  /** Of the layers that a node may need: all of the model. */
  readonly isComplete: boolean;
  /** 0 to 100; never 100 before it is complete. */
  readonly percentage: number;
  readonly bytes: number;
  /** Null where it is not known. */
  readonly totalBytes: number | null;
}

/** What is on disk; with `isOnline` also the models with short names that are not. Rejects with the signal's reason. */
export async function modelInventory(
  store: Pick<ModelStore, 'each'>,
  isOnline: boolean,
  signal: AbortSignal,
): Promise<readonly ModelOnDisk[]> {
  const known = new Map<string, ModelOnDisk>();
  for await (const { repository, survey, record } of store.each(signal)) {
    const id = shortNameOf(repository) ?? repository;
    const isComplete = survey.has();
    const total = record === undefined ? undefined : totalOf(record.files.values());
    const percentage = isComplete ? 100 : percentOf(survey.bytes, total);
    const before = known.get(id);
    if (before !== undefined && before.percentage >= percentage) continue;
    const totalBytes = isComplete ? survey.bytes : (total ?? null);
    known.set(id, {
      ...{ id, name: repository, repository, isComplete, percentage },
      bytes: survey.bytes,
      totalBytes,
    });
  }
  const rest = catalogue()
    .filter(({ id }) => isOnline && !known.has(id))
    .map(({ id, name, repository }) => ({
      ...{ id, name, repository },
      isComplete: false,
      percentage: 0,
      bytes: 0,
      totalBytes: null,
    }));
  return [...known.values(), ...rest];
}

/** What of a repository would be fetched for all layers. */
function totalOf(files: Iterable<{ readonly path: string; readonly size: number }>): number {
  let total = 0;
  for (const { path, size } of files) if (/\.(safetensors|json|jinja)$/.test(path)) total += size;
  return total;
}

function percentOf(bytes: number, total: number | undefined): number {
  return total === undefined || total === 0 ? 0 : Math.min(99, Math.floor((bytes * 100) / total));
}
