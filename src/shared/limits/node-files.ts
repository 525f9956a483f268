/** Of files of models that nodes give to each other. Put together with the others in `limits.ts`. */
import { KIB, type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const NODE_FILES = {
  fileBytesMax: [
    1 * MIB,
    'of one file in one answer to another node: four fragments, so that a tensor on the same connection waits for one',
  ],
  fileBytesMin: [
    16 * KIB,
    'of such an answer, where the link is slow or busy: 130 ms at 1 Mbit/s; what is asked for first',
  ],
  fileReadsPerPeer: [2, 'such answers under way for one node: the next is read while the last one travels'],
  fileReadsMax: [4, 'such answers being read for all nodes at once; the disk is also read by the engine'],
  fileReadsQueuedMax: [64, 'such questions that wait for their turn; more are answered `overloaded`'],
  fileRangesMax: [512, 'ranges of one file in a list; a shard’s has some ten'],
  fileRangesListedMax: [8_192, 'ranges of all files in one list: it must fit a message'],
  fileLooksMax: [
    4,
    'looks at a disk on which a claim changes again and again; then the asking node asks again',
  ],
  peerFileFailuresMax: [
    4,
    'failures of one node with one file before it is left: a file that gets its name, or a connection that is replaced, costs one',
  ],
  filesListedMax: [1_024, 'files of a model in one list; the largest models have some 300'],
  peerFilesTimeoutMs: [10_000, 'answer of another node about files; one that takes longer is not waited for'],
  peerFilesLookMs: [
    250,
    'between two looks at what another node has meanwhile, of what it fetches from the hub for both',
  ],
  peerFilesPatienceMs: [
    15_000,
    'without more of a file at the node that fetches it, before this one fetches it, too',
  ],
  modelFetchesMax: [
    64,
    'downloads of a node that run or wait, over all models; as many as it has generations, each of which may name another',
  ],
  downloadTellMs: [500, 'least time between two reports of a download to other nodes'],
  downloadHeardMs: [
    15_000,
    'a download of another node of which nothing is heard for so long is not shown any more',
  ],
  downloadStatusFiles: [32, 'files in such a report: those under way first'],
  downloadsShownMax: [
    256,
    'downloads of all nodes that a node tells of: every node of a large mesh and some that are over',
  ],
} as const satisfies LimitTable;
