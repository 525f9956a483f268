/**
 * The frame: its layout, type codes and limits by type. No I/O, no state.
 *
 *    0               4      5               9
 *   +---------------+------+---------------+----------------------------------+
 *   | 45 58 4f 01   | type | length u32 BE | body: `length` bytes             |
 *   +---------------+------+---------------+----------------------------------+
 *
 * With bit 7 of the type set the frame is *correlated* and `length` also covers a prefix:
 *
 *    9               13      14               18
 *   +---------------+-------+----------------+--------------------------------+
 *   | id u32 BE     | flags | total u32 BE   | fragment                       |
 *   +---------------+-------+----------------+--------------------------------+
 *                            only with TOTAL
 *
 * id 0 is one-way: no answer is wanted and no error goes back. Each direction has its own ids; an answer carries the
 * id of its request. A message over `LIMITS.fragmentBytesMax` travels in several frames of one id and type: the first has
 * TOTAL (and the length of the whole body), all but the last have MORE. Frames of other messages may come between.
 * At most one one-way message is in fragments at a time. ABANDON: the sender gave the message up; its body is empty.
 *
 * docs/PROTOCOL.md is the norm.
 */
import { LIMITS } from '../shared/index.js';
import type { MessageKind } from './messages/messages.js';

/** `EXO` and the version of the base protocol. */
export const MAGIC: readonly number[] = [0x45, 0x58, 0x4f, 0x01];
/** Magic, type and length. */
export const HEADER_BYTES = 9;
/** Correlation id and flags. */
export const PREFIX_BYTES = 5;
/** The length of the whole body, after the flags of a first fragment. */
export const TOTAL_BYTES = 4;
/** Bit 7 of the type byte: the body begins with a correlation prefix. */
export const CORRELATED = 0x80;

/** More fragments of this message follow. */
export const FLAG_MORE = 0x01;
/** First of several fragments: the total body length follows the flags. */
export const FLAG_TOTAL = 0x02;
/** The sender gave this message up; forget what came of it. */
export const FLAG_ABANDON = 0x04;
/** Bits that this version does not know are an error: a sender may use them only after a feature is negotiated. */
export const FLAGS_KNOWN = FLAG_MORE | FLAG_TOTAL | FLAG_ABANDON;

/** Every type code. An answer is its request + 1. */
export const TYPE = {
  // base protocol: these exist with and without bit 7
  healthRequest: 0x01,
  healthResponse: 0x02,
  prompt: 0x10,
  promptResponse: 0x11,
  tensorRequest: 0x12,
  tensorResponse: 0x13,
  exampleRequest: 0x14,
  exampleResponse: 0x15,
  result: 0x20,
  topologyRequest: 0x30,
  topologyResponse: 0x31,
  opaqueStatus: 0x40,
  // ours: only with bit 7
  ping: 0x50,
  pong: 0x51,
  topologyUpdate: 0x52,
  topologyUpdated: 0x53,
  topologySync: 0x54,
  topologySynced: 0x55,
  goodbye: 0x56,
  notice: 0x58,
  cancelRequest: 0x5a,
  authRequest: 0x5c,
  authResponse: 0x5d,
  keyUpdate: 0x5e,
  keyUpdated: 0x5f,
  // Reserved for streams. The correlation id of `open` names the stream in all later frames of it, `opened` or an
  // error answers it. Data may be sent only within the credit that `window` frames (u32 BE: bytes more) have given;
  // `end` half-closes a direction, `reset` (a code in JSON) ends both at once. Neither side has them yet:
  // `open` gets `request-unsupported`.
  streamOpen: 0x60,
  streamOpened: 0x61,
  streamData: 0x62,
  streamWindow: 0x64,
  streamEnd: 0x66,
  streamReset: 0x68,
  probeRequest: 0x70,
  probeResponse: 0x71,
  offerRequest: 0x72,
  offerResponse: 0x73,
  filesRequest: 0x74,
  filesResponse: 0x75,
  bytesRequest: 0x76,
  bytesResponse: 0x77,
  errorResponse: 0x7f,
} as const;

/** The type code of each kind of message. */
export const TYPE_OF_KIND: Readonly<Record<MessageKind, number>> = {
  'health-request': TYPE.healthRequest,
  'health-response': TYPE.healthResponse,
  prompt: TYPE.prompt,
  'prompt-response': TYPE.promptResponse,
  'tensor-request': TYPE.tensorRequest,
  'tensor-response': TYPE.tensorResponse,
  result: TYPE.result,
  'topology-request': TYPE.topologyRequest,
  'topology-response': TYPE.topologyResponse,
  'opaque-status': TYPE.opaqueStatus,
  ping: TYPE.ping,
  pong: TYPE.pong,
  'topology-update': TYPE.topologyUpdate,
  'topology-updated': TYPE.topologyUpdated,
  'topology-sync': TYPE.topologySync,
  'topology-synced': TYPE.topologySynced,
  goodbye: TYPE.goodbye,
  notice: TYPE.notice,
  'cancel-request': TYPE.cancelRequest,
  'auth-request': TYPE.authRequest,
  'auth-response': TYPE.authResponse,
  'key-update': TYPE.keyUpdate,
  'key-updated': TYPE.keyUpdated,
  'probe-request': TYPE.probeRequest,
  'probe-response': TYPE.probeResponse,
  'offer-request': TYPE.offerRequest,
  'offer-response': TYPE.offerResponse,
  'files-request': TYPE.filesRequest,
  'files-response': TYPE.filesResponse,
  'bytes-request': TYPE.bytesRequest,
  'bytes-response': TYPE.bytesResponse,
  'error-response': TYPE.errorResponse,
};

const LIMITS_APART = new Map<number, number>([
  [TYPE.healthRequest, LIMITS.helloBytesMax],
  [TYPE.healthResponse, LIMITS.helloBytesMax],
  [TYPE.authRequest, LIMITS.authBytesMax],
  [TYPE.authResponse, LIMITS.authBytesMax],
  [TYPE.keyUpdate, LIMITS.authBytesMax],
  [TYPE.prompt, LIMITS.promptBytesMax],
  [TYPE.bytesResponse, LIMITS.fileBytesMax],
  [TYPE.tensorRequest, LIMITS.establishedFrameBytesMax],
  [TYPE.tensorResponse, LIMITS.establishedFrameBytesMax],
  [TYPE.exampleRequest, LIMITS.establishedFrameBytesMax],
  // may carry a tensor (an image, in the original)
  [TYPE.result, LIMITS.establishedFrameBytesMax],
  [TYPE.ping, LIMITS.establishedFrameBytesMax],
  [TYPE.pong, LIMITS.establishedFrameBytesMax],
]);

/** By type: every frame asks these, so they are arrays. */
const LIMIT_OF_TYPE = Array.from(
  { length: CORRELATED },
  (_, type) => LIMITS_APART.get(type) ?? LIMITS.controlFrameBytesMax,
);
const KNOWN = tableOf(Object.values(TYPE_OF_KIND));
const ONE_WAY = tableOf([TYPE.result, TYPE.opaqueStatus, TYPE.goodbye, TYPE.notice, TYPE.cancelRequest]);
const BASE = tableOf([0x01, 0x02, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x20, 0x30, 0x31, 0x40]);

function tableOf(types: readonly number[]): readonly boolean[] {
  return Array.from({ length: CORRELATED }, (_, type) => types.includes(type));
}

/** The longest body that a message of this type (without bit 7) may have at all, in bytes. */
export function typeLimitBytes(type: number): number {
  return LIMIT_OF_TYPE[type] ?? LIMITS.controlFrameBytesMax;
}

/** Whether this version has a message of this type (without bit 7). */
export function isKnownType(type: number): boolean {
  return KNOWN[type] === true;
}

/** Whether the type (without bit 7) exists uncorrelated. */
export function isBaseType(type: number): boolean {
  return BASE[type] === true;
}

/** Answers are 0x02 and every odd type from 0x11 up; this also holds for types that are not known yet. */
export function isAnswerType(type: number): boolean {
  return type === TYPE.healthResponse || (type >= 0x11 && (type & 1) === 1);
}

/** Types that are never answered, whatever their id. */
export function isOneWayType(type: number): boolean {
  return ONE_WAY[type] === true;
}
