/**
 * Lays TLS over an open stream and waits for the handshake: over the socket itself where the stream is TCP (Node then encrypts
 * between kernel and program without a detour, at two thirds of the time of a round trip), over `StreamDuplex` elsewhere.
 * The result is a `TcpStream` over the TLS socket, so that batches, half-close and backpressure are the same code as in plain.
 */
import type net from 'node:net';
import tls from 'node:tls';
import { LIMITS } from '../../shared/index.js';
import type { ReceiveMode } from './tcp-receive.js';
import { TcpStream } from './tcp-stream.js';
import { securedBy } from './tls-context.js';
import { StreamDuplex } from './tls-duplex.js';
import { openTls } from './tls-receive.js';
import { brokenInWords, cutShort, tlsFailed } from './tls-words.js';
import type { ByteStream } from './transport.js';

/** What all encrypted streams of a transport share. */
export interface TlsShared {
  readonly context: tls.SecureContext;
  readonly receive: ReceiveMode;
  /** Decrypted bytes are handed out in this memory, which is reused at once. */
  readonly scratch: Buffer;
}

/** How a handshake ends: one of the two is called, once. */
export interface HandshakeEnd {
  /** Bytes may come within the same turn of the loop: callbacks are to be set in this call. */
  onSecured(stream: ByteStream): void;
  /** What lies below is closed; the other end was sent an alert where TLS has one. */
  onFailed(error: Error | undefined): void;
}

/** A handshake under way. */
export interface Handshake {
  /** Drops it and what lies below at once; `onFailed` is called with the reason. Does nothing after the handshake. */
  drop(reason?: Error): void;
}

/** The stream's callbacks are taken over. The side that dialled begins. */
export function dialTls(stream: ByteStream, shared: TlsShared, end: HandshakeEnd): Handshake {
  const below = takeOver(stream);
  // Who the other end is comes from its key, which is looked at when the handshake is done.
  const socket = tls.connect({
    socket: below.socket,
    secureContext: shared.context,
    rejectUnauthorized: false,
  });
  return handshake(socket, below, stream, shared, end);
}

/** The same for the side that was dialled; `first` has been read already. */
export function acceptTls(
  stream: ByteStream,
  shared: TlsShared,
  first: Buffer,
  end: HandshakeEnd,
): Handshake {
  const below = takeOver(stream);
  below.socket.unshift(first);
  const socket = new tls.TLSSocket(below.socket, {
    isServer: true,
    secureContext: shared.context,
    requestCert: true,
    // For OpenSSL: no certificate, no handshake. Node itself would look for an authority in another event.
    rejectUnauthorized: true,
  });
  return handshake(socket, below, stream, shared, end);
}

/** What TLS lies upon. */
interface Below {
  readonly socket: net.Socket;
  /** What lies below is not to wait for anything when it goes with the TLS socket. */
  beAbrupt(ending: boolean): void;
}

function takeOver(stream: ByteStream): Below {
  if (stream instanceof TcpStream) {
    const socket = stream.handOver();
    const beAbrupt = (ending: boolean) => {
      // As in TcpStream: no reset after FIN, and none that waits for unsent bytes.
      if (ending) return;
      const destroy = socket.destroy;
      socket.destroySoon = () => socket.destroy();
      socket.destroy = () => {
        socket.destroy = destroy;
        return socket.resetAndDestroy();
      };
    };
    return { socket, beAbrupt };
  }
  // Node takes any Duplex here; its types do not say so for the side that was dialled.
  const socket = new StreamDuplex(stream) as unknown as net.Socket;
  return { socket, beAbrupt: () => stream.destroy() };
}

/**
 * Always the TLS socket first: it takes what lies below with it. The other way round, TLS is freed while the system still
 * reads into it (Node 20 crashes); so when what lies below went by itself, it is left to end what lies above.
 */
function destroy(socket: tls.TLSSocket, below: Below): void {
  if (!below.socket.destroyed) socket.destroy();
}

function handshake(
  socket: tls.TLSSocket,
  below: Below,
  stream: ByteStream,
  shared: TlsShared,
  end: HandshakeEnd,
): Handshake {
  const { remote, remoteHost } = stream;
  let state: 'going' | 'failed' | 'done' = 'going';
  let reason: Error | undefined;
  /** The first that was told; what follows comes of it. */
  let first: Error | undefined;
  const fail = (error: Error | undefined) => {
    if (state !== 'going') return;
    state = 'failed';
    reason = error;
    // Not on the stack of OpenSSL, which may have called this, and after the alert has left.
    setImmediate(() => destroy(socket, below));
  };
  const broken = (cause?: Error) => {
    first ??= cause;
    if (state === 'going') fail(brokenInWords(remote, first) ?? cutShort(remote, first));
  };
  // Node tells the one who made a `TLSSocket` by hand of errors after the handshake by this event alone.
  socket.on('_tlsError', (error: Error) => {
    broken(error);
    setImmediate(() => destroy(socket, below));
  });
  socket.on('error', broken);
  socket.on('end', () => broken());
  socket.on('close', () => {
    broken();
    if (state === 'failed') end.onFailed(reason);
  });
  socket.once('secure', () => {
    if (state !== 'going') return;
    const secured = securedBy(socket);
    if (typeof secured === 'string') {
      fail(tlsFailed(remote, secured));
      return;
    }
    state = 'done';
    const open = new TcpStream(openTls(socket, shared.receive, shared.scratch), {
      remote,
      remoteHost,
      secured,
      batchBytes: LIMITS.tlsBatchBytes,
      reset() {
        if (!below.socket.destroyed) below.beAbrupt(socket.writableEnded);
        destroy(socket, below);
      },
      brokenInWords: (cause) => brokenInWords(remote, first ?? cause),
    });
    end.onSecured(open);
  });
  return {
    drop(error) {
      if (state !== 'going') return;
      fail(error);
      if (!below.socket.destroyed) below.beAbrupt(false);
      destroy(socket, below);
    },
  };
}
