/** How long a frame and what is in it may be. Put together with the others in `limits.ts`. */
import { KIB, type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const FRAMES = {
  freshFrameBytesMax: [
    64 * KIB,
    'before the first health check nothing large is needed; OpenSSH allows 256 KiB, syncthing’s hello 32 KiB',
  ],
  helloBytesMax: [16 * KIB, 'a hello with capabilities is under 2 KiB; the rest is room for later fields'],
  legacyStrangerFrameBytesMax: [
    1 * MIB,
    'an old peer at an address nobody named may send prompts and results, not weights',
  ],
  legacyFrameBytesMax: [
    256 * MIB,
    'an old peer on loopback or at a configured address: as an established one',
  ],
  establishedFrameBytesMax: [
    256 * MIB,
    'the largest tensor: 8k tokens x 8k hidden x 4 bytes; gRPC in the first exo allowed 256 MiB',
  ],
  controlFrameBytesMax: [1 * MIB, 'topology, status, results and errors; NATS caps a payload at 1 MiB'],
  metadataBytesMax: [64 * KIB, 'JSON in front of a tensor; 175 bytes are usual'],
  promptBytesMax: [8 * MIB, 'about two million tokens of text; longer ones are files'],
  fragmentBytesMax: [256 * KIB, '20 ms of a 100 Mbit/s link: what a health check may have to wait behind'],
  memoryBudgetBytes: [
    1024 * MIB,
    'bodies being received and not yet handled, over all peers; beyond it large messages are refused',
  ],
  legacyBudgetBytes: [512 * MIB, 'the part of it that peers without a hello may use together'],
  smallBodyBytesMax: [64 * KIB, 'bodies up to this come from a shared slab and outside the budget'],
  payloadPoolBytesMax: [
    64 * MIB,
    'large buffers kept for their next use: four 16 MiB tensors; what is more goes back to the system',
  ],
  slabsKept: [
    16,
    'slabs of 64 KiB kept for their next use: what a connection has on its way at once, and some',
  ],
  bodiesShownMax: [16, 'bodies that answers on their way still show; more are left to the garbage collector'],
  metadataKept: [128, 'metadata texts remembered per connection: one for each request and shape in flight'],
  metadataKeptBytesMax: [1 * KIB, 'longer ones, with a large inference state, are not worth remembering'],
  jsonDepthMax: [32, 'topology nests 5 deep; deeper input is hostile'],
  authBytesMax: [32 * KIB, 'proofs of a connection, and keys on their way to a trusted node'],
  authProofsMax: [8, 'ways to be known that one end tries; there are four'],
  authFieldCharsMax: [4 * KIB, 'one field of a proof: an RSA public key of 16,384 bits has 2,800'],
  meshKeysMax: [8, 'mesh keys at once: the newest, and older ones in their grace time'],
  errorTextCharsMax: [1_000, 'what a person reads of a failure on another machine'],
  reasonCharsMax: [400, 'a reason in a message: a sentence that a person reads'],
  tensorRankMax: [8, 'dimensions of a tensor: more than any model has'],
} as const satisfies LimitTable;
