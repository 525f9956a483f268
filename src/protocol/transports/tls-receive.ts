/**
 * How decrypted bytes are read: into one static buffer, as from a plain socket, or by 'data' events. Node offers `onread` for TLS
 * sockets that it connects itself; for others the same three fields are set that its constructor would set, after a look whether
 * they are there. A chunk of its own for each record costs a fifth of a small round trip, and more than half of a large flow.
 * Only `tls-socket.ts` calls it.
 */
import type tls from 'node:tls';
import type { OpenSocket, ReceiveMode } from './tcp-receive.js';

interface Inside {
  [field: symbol]: unknown;
  readonly _handle?: { readonly useUserBuffer?: (buffer: Buffer) => void } | null;
}

/** The socket and the place where its bytes arrive. `scratch` may be shared by all sockets; unused in mode `data`. */
export function openTls(socket: tls.TLSSocket, mode: ReceiveMode, scratch: Buffer): OpenSocket {
  const opened: OpenSocket = { socket, onBytes: () => undefined };
  socket.on('data', (chunk: Buffer) => opened.onBytes(chunk));
  if (mode === 'onread') readInto(scratch, socket, opened);
  return opened;
}

function readInto(scratch: Buffer, socket: tls.TLSSocket, opened: OpenSocket): void {
  const inside = socket as unknown as Inside;
  const handle = inside._handle;
  const [buffer, callback] = [fieldOf(socket, 'kBuffer'), fieldOf(socket, 'kBufferCb')];
  if (typeof handle?.useUserBuffer !== 'function' || buffer === undefined || callback === undefined) return;
  let chunk = scratch;
  inside[callback] = (count: number): boolean => {
    if (chunk.length !== count) chunk = scratch.subarray(0, count);
    // What was decrypted together is handed out together, a pause in between or not: the rest waits in the stream.
    if (socket.isPaused() || socket.readableLength > 0) return socket.push(Buffer.from(chunk));
    opened.onBytes(chunk);
    return true;
  };
  inside[buffer] = scratch;
  handle.useUserBuffer(scratch);
}

/** Node's own name for a field that it has set to null because the constructor was not given a buffer. */
function fieldOf(socket: tls.TLSSocket, description: string): symbol | undefined {
  const inside = socket as unknown as Inside;
  return Object.getOwnPropertySymbols(socket).find(
    (field) => field.description === description && inside[field] === null,
  );
}
