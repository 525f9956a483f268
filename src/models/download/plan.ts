/**
 * What of a repository a node needs for its layers: the small files, and of each file of weights all, nothing or some tensors. By
 * the names of tensors alone, which all families share: `…layers.<n>.…`, the embedding, and what comes behind the last layer.
 * Pure. Called by `download.ts` and `store-survey.ts`.
 */

import { LIMITS } from '../../shared/index.js';
import { CHECKPOINT_INDEX } from '../checkpoint/checkpoint-index.js';
import type { ByteRange } from './ranges.js';
import { bridged, normalized, sum } from './ranges.js';

/** Layers of a shard, both inclusive. */
export interface LayerRange {
  readonly startLayer: number;
  readonly endLayer: number;
  /** Of the whole model. */
  readonly layers: number;
}

/** What a node needs of one file of weights. */
export type FileNeed = 'all' | 'none' | 'some';

export const CONFIG_FILE = 'config.json';

/** Files beside the weights: configuration, tokenizer, template. In the order in which they are fetched. */
const SMALL_FILES: readonly string[] = [
  CONFIG_FILE,
  CHECKPOINT_INDEX,
  'generation_config.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'tokenizer.json',
];
/** Only where there is no tokenizer.json. */
const OLD_TOKENIZER_FILES: readonly string[] = ['tokenizer.model', 'vocab.json', 'merges.txt'];

/** Parts of models that also look or listen; what is computed here reads text. */
const NOT_TEXT = /(^|\.)(vision_tower|vision_model|multi_modal_projector|audio_tower|vision_embed_tokens)\./;
/** A share of a file above which all of it is fetched: then its hash can be checked. */
const WHOLE_SHARE = 0.9;

/** Of the files of a repository the small ones that are needed, in the order in which they are fetched. */
export function smallFiles(paths: readonly string[]): string[] {
  const there = new Set(paths);
  const names = there.has('tokenizer.json') ? SMALL_FILES : [...SMALL_FILES, ...OLD_TOKENIZER_FILES];
  return names.filter((name) => there.has(name));
}

/** Whether a file of this name is one that is fetched for some node. */
export function isFetched(name: string): boolean {
  return (
    SMALL_FILES.includes(name) || OLD_TOKENIZER_FILES.includes(name) || /^[^/]+\.safetensors$/.test(name)
  );
}

/** Whether a node needs a tensor. `isTied`: the checkpoint has no output matrix of its own. */
export function isNeeded(tensor: string, shard: LayerRange | undefined, isTied: boolean): boolean {
  if (shard === undefined) return true;
  if (NOT_TEXT.test(tensor)) return false;
  const layer = layerOf(tensor);
  if (layer !== undefined) return layer >= shard.startLayer && layer <= shard.endLayer;
  const isLast = shard.endLayer >= shard.layers - 1;
  if (/(^|\.)(embed_tokens|wte|tok_embeddings)\./.test(tensor))
    return shard.startLayer === 0 || (isLast && isTied);
  return isLast;
}

/** The layer that a tensor belongs to. */
export function layerOf(tensor: string): number | undefined {
  const match = NOT_TEXT.test(tensor) ? null : /(?:^|\.)layers\.(\d{1,6})\./.exec(tensor);
  return match === null ? undefined : Number(match[1]);
}

/** Whether no tensor is an output matrix: then the embedding is it. */
export function isTied(tensors: Iterable<string>): boolean {
  for (const name of tensors)
    if (/(^|\.)(lm_head|output)\./.test(name) && layerOf(name) === undefined) return false;
  return true;
}

/** What a node needs of each file, by an index (tensor → file). */
export function needsByFile(
  index: ReadonlyMap<string, string>,
  shard: LayerRange | undefined,
): Map<string, FileNeed> {
  const tied = isTied(index.keys());
  const counts = new Map<string, { needed: number; all: number }>();
  for (const [tensor, file] of index) {
    const count = counts.get(file) ?? { needed: 0, all: 0 };
    count.all += 1;
    if (isNeeded(tensor, shard, tied)) count.needed += 1;
    counts.set(file, count);
  }
  return new Map(
    [...counts].map(([file, { needed, all }]) => [
      file,
      needed === 0 ? 'none' : needed === all ? 'all' : 'some',
    ]),
  );
}

/** Where the tensors of one file lie. */
export interface TensorPlace {
  readonly offset: number;
  readonly bytes: number;
}

/**
 * The ranges of a file that hold its header and the needed tensors; `'all'` where that is nearly everything. `tied` is of the
 * whole checkpoint.
 */
export function neededRanges(
  file: {
    readonly size: number;
    readonly headerBytes: number;
    readonly tensors: ReadonlyMap<string, TensorPlace>;
  },
  shard: LayerRange | undefined,
  tied: boolean,
): 'all' | ByteRange[] {
  const ranges: ByteRange[] = [[0, file.headerBytes]];
  for (const [name, { offset, bytes }] of file.tensors) {
    if (isNeeded(name, shard, tied)) ranges.push([offset, offset + bytes]);
  }
  const joined = bridged(normalized(ranges), LIMITS.downloadGapBytes);
  return sum(joined) >= file.size * WHOLE_SHARE ? 'all' : joined;
}

/** Number of layers that a config names; undefined where it names none. */
export function layersOf(config: unknown): number | undefined {
  const fields = (config ?? {}) as {
    num_hidden_layers?: unknown;
    text_config?: { num_hidden_layers?: unknown };
  };
  const count = fields.num_hidden_layers ?? fields.text_config?.num_hidden_layers;
  return Number.isSafeInteger(count) && (count as number) > 0 && (count as number) <= LIMITS.modelLayersMax
    ? (count as number)
    : undefined;
}
