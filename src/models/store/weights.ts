/** A file of weights as it lies on disk: whole under its name, or in part beside a record of what is there. */
import { stat } from 'node:fs/promises';
import { PARTIAL_SUFFIX, recordedRanges } from '../download/partial.js';
import type { ByteRange } from '../download/ranges.js';

/** Where the bytes are. */
export interface WeightsOnDisk {
  /** The file to read: of the full length also where it has holes. */
  readonly file: string;
  /** What of it is there; absent: all. */
  readonly ranges?: readonly ByteRange[];
}

/** Where the bytes of a file of weights are; undefined where there are none. `file` is its name when it is whole. */
export async function weightsOnDisk(file: string): Promise<WeightsOnDisk | undefined> {
  const stats = await stat(file).catch(() => undefined);
  if (stats?.isFile() === true) return { file };
  const recorded = await recordedRanges(file);
  return recorded === undefined ? undefined : { file: `${file}${PARTIAL_SUFFIX}`, ranges: recorded.ranges };
}
