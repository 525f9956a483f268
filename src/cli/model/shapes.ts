/** The JSON that `exo model …` prints. Pure. */
import { type DownloadProgress, type StoredModel, shortNameOf } from '../../models/index.js';

/** A model in one folder. */
export function storedJson({ repository, directory, place, survey, record }: StoredModel) {
  return {
    id: shortNameOf(repository) ?? repository,
    repository,
    directory,
    writable: place.isWritable,
    bytes: survey.bytes,
    layers: survey.layers ?? null,
    present_layers: survey.presentLayers,
    complete: survey.has(),
    missing_files: survey.missing,
    damaged_files: survey.damaged,
    /** Why it cannot be computed. */
    unusable: survey.fault ?? null,
    revision: record?.revision ?? null,
    commit: record?.commit ?? null,
  };
}

/** What `storedJson` makes. */
export type StoredJson = ReturnType<typeof storedJson>;

/** A finished download. */
export interface PulledJson {
  readonly total_bytes: number;
  readonly fetched_bytes: number;
  readonly files: ReadonlyArray<{
    readonly path: string;
    readonly bytes: number;
    readonly fetched_bytes: number;
  }>;
}

/** Its figures; zeros where nothing had to be done. */
export function pulledJson(progress: DownloadProgress | undefined): PulledJson {
  return {
    total_bytes: progress?.totalBytes ?? 0,
    fetched_bytes: progress?.downloadedBytesThisSession ?? 0,
    files: (progress?.files ?? []).map(({ path, totalBytes, downloadedBytesThisSession }) => ({
      path,
      bytes: totalBytes,
      fetched_bytes: downloadedBytesThisSession,
    })),
  };
}
