/**
 * Encryption over any transport: TLS 1.3 on the same port, told by the first byte. Both ends show a certificate with an Ed25519
 * key; who may be trusted with that key is for others to say. docs/PROTOCOL.md, 17 is the norm. Made once by the node.
 */
import type { Address, Clock } from '../../shared/index.js';
import type { ReceiveMode } from './tcp-receive.js';
import { dialAborted } from './tcp-words.js';
import { TlsAccepted, type TlsServer } from './tls-accepted.js';
import { type TlsCredentials, tlsContext } from './tls-context.js';
import { dialTls } from './tls-socket.js';
import { tlsTooSlow } from './tls-words.js';
import type { ByteStream, DialOptions, Transport } from './transport.js';

/** What `createTlsTransport` needs. */
export interface TlsComponents {
  readonly clock: Clock;
  /** A self-signed certificate whose key is the node key. Throws at once when the two do not fit together. */
  readonly credentials: TlsCredentials;
}

/** Options of `createTlsTransport`. */
export interface TlsTransportOptions {
  /** How decrypted bytes are read; `onread` falls back to `data` where Node does not have what it takes. @default 'onread' */
  readonly receive?: ReceiveMode;
}

/** Node hands out a record in one piece, and a record has at most 16 KiB. */
const SCRATCH_BYTES = 64 * 1024;

/**
 * `inner` with encryption: dials with `secure`, and accepts both kinds. A dial that reached the other end and could not encrypt
 * rejects with `tls-failed`, `handshake-timeout` or `connection-closed`.
 */
export function createTlsTransport(
  inner: Transport,
  components: TlsComponents,
  options: TlsTransportOptions = {},
): Transport {
  const { clock, credentials } = components;
  const context = tlsContext(credentials);
  const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  const shared = { clock, context, scratch, receive: options.receive ?? 'onread' };
  return {
    dial: (address, options) =>
      options.secure ? dialSecure(inner, shared, address, options) : inner.dial(address, options),
    listen: (address, onStream) =>
      inner.listen(address, (stream) => onStream(new TlsAccepted(stream, shared))),
  };
}

async function dialSecure(
  inner: Transport,
  shared: TlsServer,
  address: Address,
  options: DialOptions,
): Promise<ByteStream> {
  const { clock } = shared;
  const { timeoutMs, signal } = options;
  const startedMs = clock.now();
  const stream = await inner.dial(address, options);
  return new Promise((resolve, reject) => {
    const finish = () => {
      deadline.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    const onAbort = () => handshake.drop(dialAborted(address, signal?.reason));
    const leftMs = Math.max(0, timeoutMs - (clock.now() - startedMs));
    const deadline = clock.after(leftMs, () => handshake.drop(tlsTooSlow(stream.remote, timeoutMs)));
    const handshake = dialTls(stream, shared, {
      onSecured: (open) => {
        finish();
        resolve(open);
      },
      onFailed: (error) => {
        finish();
        reject(error);
      },
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
  });
}
