/**
 * Which files a model has: as the record in its folder says where a commit is there already, else as the hub lists those of the
 * commit that other nodes have, so that a mesh computes with one version; and as a node lists them where no hub answers.
 */
import { ExoError } from '../../shared/index.js';
import type { ModelFile } from '../hub/answer.js';
import type { Hub } from '../hub/hub.js';
import type { Sharing } from '../peers/sharing.js';
import type { ModelRecord } from '../store/record.js';
import type { Retries } from './retry.js';

/** What a download is of. */
export interface Listing {
  readonly commit: string;
  readonly files: readonly ModelFile[];
}

/** Where a list may come from. */
export interface ListingSources {
  readonly hub: Hub | undefined;
  readonly sharing: Sharing | undefined;
  readonly record: ModelRecord;
  readonly retries: Retries;
}

/** The list of the newest commit. Throws what a hub throws. */
export async function newestListing(
  hub: Hub,
  retries: Retries,
  model: { readonly repository: string; readonly revision: string },
  signal: AbortSignal,
): Promise<Listing> {
  const { repository, revision } = model;
  const commit = await retries.run(signal, () => hub.commitOf(repository, revision, signal));
  const files = await retries.run(signal, () => hub.files(repository, commit, signal));
  return { commit, files };
}

/** The list of the commit that is there, here or at another node, else of the newest. Throws what a hub throws, or `model-absent`. */
export async function settledListing(
  { hub, sharing, record, retries }: ListingSources,
  model: { readonly repository: string; readonly revision: string },
  signal: AbortSignal,
): Promise<Listing> {
  const { repository, revision } = model;
  const { data } = await record.load();
  if (data?.repository === repository && data.revision === revision) {
    return { commit: data.commit, files: [...data.files.values()] };
  }
  const known = await sharing?.listing(repository, signal);
  if (known?.commit != null && known.revision === revision) {
    const { commit, files } = known;
    const listed = files.map(({ path, size, hash }) => ({ path, size, hash }));
    try {
      return { commit, files: hub === undefined ? listed : await hub.files(repository, commit, signal) };
    } catch (error) {
      // A node that is trusted stands for it meanwhile.
      if (!(error instanceof ExoError) || !error.retryable) throw error;
      return { commit, files: listed };
    }
  }
  if (hub !== undefined) return newestListing(hub, retries, model, signal);
  throw new ExoError(
    'model-absent',
    `no node that this one trusts has ${repository}, and no hub may be asked (--offline); copy the model here, or start without --offline`,
  );
}
