/**
 * The messages of ssh's control socket that we use, as bytes (OpenSSH's PROTOCOL.mux, version 4, since 5.4; unix sockets
 * since 6.7). Speaking it instead of starting `ssh -O` gives one typed answer per forward. Pure: no I/O.
 *
 *   u32 length of what follows | u32 type | u32 request id (not in hello) | fields; a string is u32 length + bytes
 */

import type { Endpoint } from '../description/tunnel-spec.js';

/** Version of the protocol that both sides must say. */
export const MUX_VERSION = 4;

const HELLO = 0x00000001;
const C_ALIVE_CHECK = 0x10000004;
const C_OPEN_FORWARD = 0x10000006;
const S_OK = 0x80000001;
const S_PERMISSION_DENIED = 0x80000002;
const S_FAILURE = 0x80000003;
const S_ALIVE = 0x80000005;
const S_REMOTE_PORT = 0x80000007;

const FORWARD_LOCAL = 1;
const FORWARD_REMOTE = 2;
/** In the place of a port: the address is the path of a unix socket (PORT_STREAMLOCAL, -2). */
const PORT_UNIX = 0xfffffffe;

/** What the master says. */
export type MuxAnswer =
  | { readonly kind: 'hello'; readonly version: number }
  | { readonly kind: 'ok'; readonly id: number }
  | { readonly kind: 'port'; readonly id: number; readonly port: number }
  | { readonly kind: 'alive'; readonly id: number; readonly pid: number }
  /** `text` is the master's own, for the log; nothing is decided by it. */
  | { readonly kind: 'refused'; readonly id: number; readonly text: string }
  | { readonly kind: 'other'; readonly type: number };

/** One u32 per number, big-endian. */
function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

/** A string field. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([u32(bytes.length), bytes]);
}

function message(...fields: readonly Buffer[]): Buffer {
  const body = Buffer.concat(fields);
  return Buffer.concat([u32(body.length), body]);
}

/** The first message of each side. */
export function muxHello(): Buffer {
  return message(u32(HELLO, MUX_VERSION));
}

/** Asks for the pid of the master. */
export function muxAliveCheck(id: number): Buffer {
  return message(u32(C_ALIVE_CHECK, id));
}

/** Asks for one forward; the answer comes when it stands, for `-R` after the server's own. */
export function muxOpenForward(id: number, kind: 'L' | 'R', listen: Endpoint, target: Endpoint): Buffer {
  const type = kind === 'L' ? FORWARD_LOCAL : FORWARD_REMOTE;
  return message(u32(C_OPEN_FORWARD, id, type), endpoint(listen), endpoint(target));
}

function endpoint(end: Endpoint): Buffer {
  return end.kind === 'tcp'
    ? Buffer.concat([text(end.host), u32(end.port)])
    : Buffer.concat([text(end.path), u32(PORT_UNIX)]);
}

/** Reads one message without its length. Throws a RangeError when it is cut short. */
export function readMuxAnswer(body: Buffer): MuxAnswer {
  const type = body.readUInt32BE(0);
  switch (type) {
    case HELLO:
      return { kind: 'hello', version: body.readUInt32BE(4) };
    case S_OK:
      return { kind: 'ok', id: body.readUInt32BE(4) };
    case S_REMOTE_PORT:
      return { kind: 'port', id: body.readUInt32BE(4), port: body.readUInt32BE(8) };
    case S_ALIVE:
      return { kind: 'alive', id: body.readUInt32BE(4), pid: body.readUInt32BE(8) };
    case S_PERMISSION_DENIED:
    case S_FAILURE:
      return { kind: 'refused', id: body.readUInt32BE(4), text: readText(body, 8) };
    default:
      return { kind: 'other', type };
  }
}

function readText(body: Buffer, offset: number): string {
  const length = body.readUInt32BE(offset);
  return body.toString('utf8', offset + 4, Math.min(offset + 4 + length, body.length));
}

/** Cuts a stream of bytes into messages, without their length fields. */
export class LengthPrefixed {
  #pending: Buffer = Buffer.alloc(0);
  readonly #bytesMax: number;

  /** @param bytesMax longest message that is accepted */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The messages that `bytes` completes. Throws a RangeError when one is longer than allowed. */
  *push(bytes: Buffer): Generator<Buffer> {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    while (this.#pending.length >= 4) {
      const length = this.#pending.readUInt32BE(0);
      if (length > this.#bytesMax) throw new RangeError(`a message of ${length} bytes`);
      if (this.#pending.length < 4 + length) return;
      const body = this.#pending.subarray(4, 4 + length);
      this.#pending = this.#pending.subarray(4 + length);
      yield body;
    }
  }
}
