/**
 * Dials an address by TCP, by one attempt or several (`dial-company.ts`), and says in words why it failed. Only `tcp-transport.ts`
 * calls it.
 */
import net from 'node:net';
import type { Address, Clock } from '../../shared/index.js';
import { type AttemptOptions, dialInCompany } from './dial-company.js';
import { newSocket, type ReceiveMode } from './tcp-receive.js';
import { TcpStream } from './tcp-stream.js';
import { dialAborted, dialError, dialTimeout, isSelfConnected } from './tcp-words.js';
import type { ByteStream } from './transport.js';

/** What all dials of a transport share. */
export interface TcpDialComponents {
  readonly clock: Clock;
  readonly mode: ReceiveMode;
  /** Received bytes are handed out in this memory, which is reused at once. */
  readonly scratch: Buffer;
}

/** As `Transport.dial`. */
export function dialTcp(
  components: TcpDialComponents,
  address: Address,
  how: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<ByteStream> {
  return dialInCompany(components.clock, how, (each) => {
    if (each.number === 1) return connect(components, address, each);
    // The timer may be late by this process's own fault, and an answer may be there that was not looked at yet.
    return new Promise((resolve) => setImmediate(resolve)).then(() => connect(components, address, each));
  });
}

function connect(
  { clock, mode, scratch }: TcpDialComponents,
  address: Address,
  { timeoutMs, signal, onSent }: AttemptOptions,
): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(dialAborted(address, signal.reason));
      return;
    }
    const opened = newSocket(mode, scratch);
    const socket = opened.socket;
    const settle = () => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('connect', onConnect);
      socket.removeListener('lookup', onLookup);
    };
    const fail = (error: Error) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onAbort = () => fail(dialAborted(address, signal.reason));
    const onConnect = () => {
      if (isSelfConnected(socket)) {
        fail(dialError(address, Object.assign(new Error('connected to itself'), { code: 'ECONNREFUSED' })));
        return;
      }
      settle();
      socket.removeListener('error', onError);
      const stream = new TcpStream(opened);
      socket.resume();
      resolve(stream);
    };
    const onLookup = (error: Error | null) => {
      if (!error) onSent();
    };
    const onError = (error: Error) => fail(dialError(address, error));
    const timer = clock.after(timeoutMs, () => fail(dialTimeout(address, timeoutMs)));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('connect', onConnect);
    socket.on('error', onError);
    socket.on('lookup', onLookup);
    try {
      // A name may have addresses of both families: Node gives each 250 ms before it tries the next one as well.
      socket.connect({ host: address.host, port: address.port, autoSelectFamily: true });
      if (net.isIP(address.host) !== 0) onSent();
    } catch (error) {
      fail(dialError(address, error as Error));
    }
  });
}
