/**
 * Who may say what: the class of every kind of message, in one table. A connection has an access level, which its owner
 * raises when the other end has proven enough; what is above it is refused before memory is taken for it. Pure.
 */
import { TYPE_OF_KIND } from './frame.js';
import type { MessageKind } from './messages/messages.js';

/**
 * `open`: anybody who reaches the port. `member`: a node of this mesh (where no mesh key is set, everybody who says hello).
 * `trusted`: a node that proved it over an encrypted connection; whatever runs code, reads files or changes state.
 */
export type AccessLevel = 'open' | 'member' | 'trusted';

/** The class of each kind of message. An answer has the class of its question, and is only taken where it was asked for. */
export const ACCESS_OF_KIND: Readonly<Record<MessageKind, AccessLevel>> = {
  'health-request': 'open',
  'health-response': 'open',
  'auth-request': 'open',
  'auth-response': 'open',
  // They end the sender's own connection, or are shown to the operator; nothing else follows from them.
  goodbye: 'open',
  notice: 'open',
  'error-response': 'open',

  prompt: 'member',
  'prompt-response': 'member',
  'tensor-request': 'member',
  'tensor-response': 'member',
  result: 'member',
  'topology-request': 'member',
  'topology-response': 'member',
  'opaque-status': 'member',
  // Up to 256 MiB are echoed.
  ping: 'member',
  pong: 'member',
  'topology-update': 'member',
  'topology-updated': 'member',
  'topology-sync': 'member',
  'topology-synced': 'member',
  'cancel-request': 'member',
  'probe-request': 'member',
  'probe-response': 'member',
  'offer-request': 'member',
  'offer-response': 'member',

  // They read files, and let others fetch.
  'files-request': 'trusted',
  'files-response': 'trusted',
  'bytes-request': 'trusted',
  'bytes-response': 'trusted',
  'key-update': 'trusted',
  'key-updated': 'trusted',
};

const RANK: Readonly<Record<AccessLevel, number>> = { open: 0, member: 1, trusted: 2 };

/** By type code: every frame asks this. What no kind has is for trusted peers only, whatever it will be. */
const RANK_OF_TYPE: readonly number[] = Array.from({ length: 0x80 }, (_, type) => {
  const kinds = (Object.keys(TYPE_OF_KIND) as MessageKind[]).filter((kind) => TYPE_OF_KIND[kind] === type);
  return kinds.length === 0 ? RANK.trusted : Math.max(...kinds.map((kind) => RANK[ACCESS_OF_KIND[kind]]));
});

/** Whether a connection of this level may say a message of this type (without bit 7). */
export function mayUse(level: AccessLevel, type: number): boolean {
  return RANK[level] >= (RANK_OF_TYPE[type] ?? RANK.trusted);
}

/** Whether `level` is at least `wanted`. */
export function reaches(level: AccessLevel, wanted: AccessLevel): boolean {
  return RANK[level] >= RANK[wanted];
}
