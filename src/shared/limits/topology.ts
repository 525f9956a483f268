/** Of the shape of the mesh and what is told of it. Put together with the others in `limits.ts`. */
import { KIB, type LimitTable } from './limit-table.js';

/** Each with its reason. */
export const TOPOLOGY = {
  topologyNodesMax: [4_096, 'nodes in the graph'],
  topologyEdgesPerNode: [1_024, 'as peersMax'],
  topologyTextCharsMax: [256, 'an edge description, model or chip; the longest known chip name has 60'],
  memoryMbMax: [
    64 * 1024 * 1024,
    '64 TiB, twice the largest server on sale; a larger claim counts as this, so that no sum of shares overflows',
  ],
  topologyEpochAheadMs: [
    24 * 60 * 60 * 1000,
    'how far ahead of the clock an entry told by others may start: clocks set to the wrong time zone stay within it',
  ],
  topologyTombstoneMs: [
    600_000,
    'how long an absent node’s entry is kept, so that a late old one is known as old; frames live seconds',
  ],
  formerLinksKept: [
    64,
    'lost nodes whose links are remembered until it is clear who lost them; a whole mesh rarely dies at once',
  ],
  topologyUpdateBytesMax: [
    512 * KIB,
    'entries of one update, estimated: half of a control frame, so that the estimate may be off',
  ],
  topologyPushDelayMs: [50, 'changes within this time travel in one message'],
  topologySettleMs: [250, 'time a newcomer has to announce its links itself before its neighbours do'],
  topologySyncMemoryMs: [5_000, 'views equal to one just asked for are not asked for again within this'],
  topologySyncMs: [15_000, 'a random neighbour’s digest is compared this often, in case a push was lost'],
  legacyTopologyMs: [2_000, 'poll of an old peer’s topology; the original’s own loop'],
} as const satisfies LimitTable;
