/**
 * `model.safetensors.index.json`: in which file of a sharded checkpoint each tensor lies. The names come from whoever wrote
 * the checkpoint, so they may only be names of files beside the index. Pure.
 */
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import { repeatedName } from './repeated-name.js';

/** Its name. */
export const CHECKPOINT_INDEX = 'model.safetensors.index.json';

/** The file name of each tensor. `file` is for messages. Throws `checkpoint-invalid`. */
export function parseCheckpointIndex(text: string, file: string): ReadonlyMap<string, string> {
  const fault = (why: string, cause?: unknown) =>
    new ExoError(
      'checkpoint-invalid',
      `${printable(file)} ${why}; fetch the file again (exo model pull)`,
      cause === undefined ? {} : { cause },
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault('is not JSON', error);
  }
  const map = (value as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw fault('has no weight_map, which says where each tensor lies');
  }
  const repeated = repeatedName(text);
  if (repeated !== undefined) throw fault(`names "${printable(repeated)}" twice`);
  const places = new Map<string, string>();
  const files = new Set<string>();
  for (const [tensor, name] of Object.entries(map)) {
    if (typeof name !== 'string' || !isPlainName(name)) {
      const shown = typeof name === 'string' ? `"${printable(name, 80)}"` : typeof name;
      throw fault(
        `places "${printable(tensor)}" in ${shown}, which is not the name of a .safetensors file beside it`,
      );
    }
    places.set(tensor, name);
    files.add(name);
    if (files.size > LIMITS.checkpointFilesMax) {
      throw fault(`names more than ${LIMITS.checkpointFilesMax} files`);
    }
  }
  return places;
}

/** Letters, digits and `._-`: no way out of the folder, no drive, no stream of a file, no device. */
function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,190}\.safetensors$/.test(name);
}
