/**
 * Whether the first bytes of a connection are the first record of a TLS handshake. Read before anything of TLS is made for
 * the connection: a stranger that sends half a record costs its own bytes and nothing else. Pure.
 */

/** The first byte of a TLS connection: a record of type handshake (RFC 8446, 5.1). */
export const TLS_FIRST_BYTE = 0x16;
/** type u8, version u16, length u16 */
const RECORD_HEADER_BYTES = 5;
const CLIENT_HELLO = 1;
const MAJOR_VERSION = 3;
/** Most plaintext of one record (RFC 8446, 5.1). */
const RECORD_BYTES_MAX = 16 * 1024;

/** What the bytes are: the whole first record (or more), its beginning, or something else. */
export type FirstRecord = 'complete' | 'partial' | 'garbage';

/** Looks at everything that has come so far; at least one byte. */
export function firstRecord(bytes: Buffer): FirstRecord {
  if (bytes[0] !== TLS_FIRST_BYTE) return 'garbage';
  if (bytes.length > 1 && bytes[1] !== MAJOR_VERSION) return 'garbage';
  if (bytes.length < RECORD_HEADER_BYTES) return 'partial';
  const length = bytes.readUInt16BE(3);
  if (length === 0 || length > RECORD_BYTES_MAX) return 'garbage';
  if (bytes.length > RECORD_HEADER_BYTES && bytes[RECORD_HEADER_BYTES] !== CLIENT_HELLO) return 'garbage';
  return bytes.length < RECORD_HEADER_BYTES + length ? 'partial' : 'complete';
}
