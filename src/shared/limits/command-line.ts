/** Of what commands read, ask and wait for. Put together with the others in `limits.ts`. */
import { KIB, type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const COMMAND_LINE = {
  apiAnswerBytesMax: [
    64 * MIB,
    'an answer of a node; a mesh of a thousand nodes has some megabytes of status',
  ],
  eventCharsMax: [
    1_000_000,
    'one event of a stream: a token, or the names of the files of a model; a megabyte of it is not from a node',
  ],
  childOutputCharsMax: [
    1 * MIB,
    'kept of what a program prints; what a hostile far side prints beyond it ends the command',
  ],
  farLineCharsMax: [256 * KIB, 'a line between the two ends of exo connect; it holds one peer entry at most'],
  farStderrCharsMax: [4_000, 'kept of what the far program says beside it'],
  logBytesMax: [8 * MIB, 'of the log of a background node, which is then put aside at its next start'],
  quotedCharsMax: [60, 'of what a person wrote, in the message that refuses it'],
  pullNodesAskedMax: [4, 'nodes of one EXO_HOME share its folder of models; the first that can does it'],
  searchResultsMax: [100, 'models that one search lists; a person reads no more'],
  shellLineCharsMax: [64 * KIB, 'the longest command line that is built; every system takes 128 KiB'],
  farMessageCharsMax: [1_000, 'an error of the far side of exo connect: a sentence or two'],
  portTriesMax: [200, 'ports that are tried for a free one, one after the other'],
  tunnelWaitSecondsMax: [86_400, '`exo tunnel open --wait`: a day'],
  verifyTokensMax: [1_000, 'tokens of one answer that is compared'],
  verifyTimeoutSecondsMax: [
    3_600,
    'an hour for one answer: a slow machine, which may have to fetch its model first',
  ],
  pingCountMax: [1_000_000, 'eleven days of one a second; more is a typing mistake'],
} as const satisfies LimitTable;
