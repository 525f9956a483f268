/**
 * Encryption over any transport: TLS 1.3 on the same port, told by the first byte. Both ends show a certificate with an Ed25519
 * key; who may be trusted with that key is for others to say. docs/PROTOCOL.md, 17 is the norm. Made once by the node.
 */
import type { SecureContext } from 'node:tls';
import type { Address, Clock } from '../../shared/index.js';
import { dialAborted } from './tcp-words.js';
import { TlsAccepted } from './tls-accepted.js';
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

/**
 * `inner` with encryption: dials with `secure`, and accepts both kinds. A dial that reached the other end and could not encrypt
 * rejects with `tls-failed`, `handshake-timeout` or `connection-closed`.
 */
export function createTlsTransport(inner: Transport, components: TlsComponents): Transport {
  const { clock } = components;
  const context = tlsContext(components.credentials);
  return {
    dial: (address, options) =>
      options.secure ? dialSecure(inner, clock, context, address, options) : inner.dial(address, options),
    listen: (address, onStream) =>
      inner.listen(address, (stream) => onStream(new TlsAccepted(stream, { clock, context }))),
  };
}

async function dialSecure(
  inner: Transport,
  clock: Clock,
  context: SecureContext,
  address: Address,
  options: DialOptions,
): Promise<ByteStream> {
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
    const handshake = dialTls(stream, context, {
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
