/** Of what computes, and its processes. Put together with the others in `limits.ts`. */
import { type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const ENGINES = {
  engineLoadMs: [
    30 * 60 * 1000,
    'to load a shard: 32 GiB from a disk of 20 MB/s; what takes longer hangs, and the engine’s process is started anew',
  ],
  engineTurnMs: [
    1_000,
    'for another engine of this machine to end its step: longer than a step of any answer that is worth waiting for; a part of a prompt may take as long',
  ],
  engineProfileMs: [
    5 * 60 * 1000,
    'to measure a machine, which waits for the steps that run: part of a prompt takes two minutes on slow ones; a load is not counted',
  ],
  engineModelsKept: [32, 'models of which an engine remembers how fast it was; a node computes a few'],
  modelNamesKept: [
    256,
    'models that clients have named and that a node remembers something of; they may name any',
  ],
  fatalShardsKept: [64, 'shards that are remembered because the engine’s process ended while it loaded them'],
  engineHeadBytesMax: [
    16 * MIB,
    'head of a frame between node and engine process; the description of a model of a hundred layers is under a megabyte',
  ],
  enginePayloadBytesMax: [
    1024 * MIB,
    'its tensor: eight thousand tokens of a model with 32,768 hidden elements in float32',
  ],
  engineResultBytes: [
    16 * MIB,
    'memory that both share: logits of 26 requests with a vocabulary of 150,000; what has no room goes over the pipe',
  ],
  madeWeightsBytesMax: [
    32 * 1024 * MIB,
    'made weights on the disk: three models of 8 billion weights in both kinds of quantisation',
  ],
  diskSpareBytes: [2 * 1024 * MIB, 'left for everybody else on that disk'],
  engineThreadsMax: [1_024, '`--threads`: the largest machines on sale have some hundred cores'],
} as const satisfies LimitTable;
