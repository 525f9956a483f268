/** Of keys, proofs and what is kept of them. Put together with the others in `limits.ts`. */
import { KIB, type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const TRUST = {
  nodeKeyFileBytesMax: [4 * KIB, 'an Ed25519 key has 120 bytes, the mark of the machine 65'],
  trustFileBytesMax: [4 * MIB, 'four thousand nodes have about 1 MiB'],
  trustPollMs: [
    1_000,
    'between two looks whether a command changed keys or trust, or an editor authorized_keys',
  ],
  modelsLookEveryMs: [
    2_000,
    'between two looks at the folders of models, whatever names are asked for: a look reads headers of files',
  ],
  authorizedKeysSettleMs: [
    250,
    'an editor that empties authorized_keys and writes it again is done by then; looked at again before anybody goes',
  ],
  trustLockMs: [
    10_000,
    'a lock on such a file that does not move for so long is left over; it is held for ms',
  ],
  trustLockWaitMs: [30_000, 'for such a lock before the change is given up'],
  trustedNodesMax: [
    4_096,
    'nodes with a known key; as topologyNodesMax. The oldest that is only pinned makes room',
  ],
  meshKeyGraceMs: [
    7 * 24 * 60 * 60 * 1000,
    'a replaced mesh key is still accepted: a laptop that was off for a week comes back by itself',
  ],
  authTokenCharsMin: [16, 'a token that people made up; every guess costs an attacker one scrypt'],
  invitationsMax: [64, 'invitations not used yet'],
  invitationMs: [24 * 60 * 60 * 1000, 'to walk over to the other machine, or to send a message and wait'],
  invitationGuessesMax: [
    5,
    'wrong proofs for one invitation in a row; more wait for invitationGuessRefillMs each',
  ],
  invitationGuessRefillMs: [10_000, 'one more of them after this'],
  sshAgentTimeoutMs: [3_000, 'answer of an ssh agent; one that asks a person holds up the handshake'],
  sshSignKeysMax: [4, 'ssh keys that sign for one handshake'],
  authorizedKeysBytesMax: [1 * MIB, 'an authorized_keys file; some 2,500 RSA keys'],
  sshRsaBitsMin: [2_048, 'shorter RSA keys are refused; OpenSSH makes 3,072'],
  sshChallengeMs: [5 * 60 * 1000, 'from a challenge to its signature: a person may have to touch something'],
  sshChallengesUsedMax: [
    4_096,
    'challenges that were answered and must not be again, until they are too old',
  ],
  sshSessionMs: [24 * 60 * 60 * 1000, 'a session by ssh key; a day of work'],
  sshSessionsMax: [256, 'sessions by ssh key at once; the oldest of the same key makes room'],
  sshSessionsPerKeyMax: [16, 'sessions of one ssh key at once'],
  tokenFileBytesMax: [4 * KIB, 'a file with one token'],
  meshKeyProofsMax: [5, 'of the eight proofs of a connection; the others are for other methods'],
  meshKeyAheadMsMax: [
    24 * 60 * 60 * 1000,
    'a clock may be a day wrong; a key from next year would stay the newest for a year',
  ],
  secretCharsMax: [4_096, 'a mesh key or an invitation as somebody wrote it; they have some hundred'],
  fingerprintCharsMax: [128, '`SHA256:` and 43 characters, however it is written'],
  meshKeyGraceMsMax: [
    30 * 24 * 60 * 60 * 1000,
    'an older mesh key is accepted for a month at most; a machine that was away longer joins anew',
  ],
  sshKeyLineCharsMax: [
    8_192,
    'a line of authorized_keys with an RSA key of 16,384 bits has 2,800; a signature of one fewer',
  ],
  sshChallengeCharsMax: [128, 'a challenge of ours has 44'],
  sshFormatCharsMax: [64, 'the name of a signature format; OpenSSH’s longest has 43'],
} as const satisfies LimitTable;
