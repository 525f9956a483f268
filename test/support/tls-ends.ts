/** Both ends of encrypted streams under test: one listener for TLS and plain, and dials to it. */
import {
  createTcpTransport,
  createTlsTransport,
  type Listener,
  type Transport,
} from '../../src/protocol/index.js';
import { type Address, type Clock, systemClock } from '../../src/shared/index.js';
import { StreamEnd } from '../compliance/stream-end.js';
import { tlsCredentials } from './tls-credentials.js';

/** Two nodes with a key each. */
export interface TlsEnds {
  readonly near: Transport;
  readonly far: Transport;
  /** Resolves when the far node has accepted the next stream. */
  accepted(): Promise<StreamEnd>;
  readonly address: Address;
  pair(secure?: boolean): Promise<{ near: StreamEnd; far: StreamEnd }>;
  stop(): Promise<void>;
}

/** Over TCP on loopback; `clock` is the far end's, for its deadline. */
export async function tlsOverTcp(clock: Clock = systemClock): Promise<TlsEnds> {
  const tcp = createTcpTransport({ clock: systemClock });
  const near = createTlsTransport(tcp, { clock: systemClock, credentials: await tlsCredentials() });
  const far = createTlsTransport(tcp, { clock, credentials: await tlsCredentials() });
  const waiting: Array<(end: StreamEnd) => void> = [];
  const ready: StreamEnd[] = [];
  const listener: Listener = far.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
    const end = new StreamEnd(stream);
    const taker = waiting.shift();
    if (taker === undefined) ready.push(end);
    else taker(end);
  });
  await listener.start();
  const accepted = () =>
    new Promise<StreamEnd>((resolve) => {
      const end = ready.shift();
      if (end === undefined) waiting.push(resolve);
      else resolve(end);
    });
  return {
    near,
    far,
    accepted,
    address: listener.address,
    async pair(secure = true) {
      const [stream, end] = await Promise.all([
        near.dial(listener.address, { timeoutMs: 5_000, secure }),
        accepted(),
      ]);
      return { near: new StreamEnd(stream), far: end };
    },
    stop: () => listener.stop(),
  };
}
