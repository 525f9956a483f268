/**
 * TCP as a `Transport`. Accepts sockets and says in words why that failed; how one is dialled is `tcp-dial.ts`, what happens on an
 * open one `tcp-stream.ts`, how bytes are read `tcp-receive.ts`. Made once by the node.
 */
import net from 'node:net';
import { type Address, type Clock, LIMITS } from '../../shared/index.js';
import { dialTcp } from './tcp-dial.js';
import { acceptedSocket, probeOnread, type ReceiveMode } from './tcp-receive.js';
import { TcpStream } from './tcp-stream.js';
import { listenError } from './tcp-words.js';
import type { ByteStream, Listener, Transport } from './transport.js';

/** Options of `createTcpTransport`. */
export interface TcpTransportOptions {
  /** How sockets are read; `auto` takes `onread` where it works. @default 'auto' */
  readonly receive?: ReceiveMode | 'auto';
  /** A connection could not be accepted (no file descriptors left, say); the listener goes on. */
  readonly onAcceptError?: (error: Error) => void;
}

/** A transport over the system's TCP. It holds no socket of its own; stop its listeners and streams. */
export function createTcpTransport(
  components: { readonly clock: Clock },
  options: TcpTransportOptions = {},
): Transport {
  const { clock } = components;
  const wanted = options.receive ?? 'auto';
  const scratch = Buffer.allocUnsafeSlow(LIMITS.receiveScratchBytes);
  let probed: Promise<boolean> | undefined;
  const acceptMode = async (): Promise<ReceiveMode> => {
    if (wanted !== 'auto') return wanted;
    probed ??= probeOnread(clock);
    return (await probed) ? 'onread' : 'data';
  };
  return {
    // Node documents `onread` for sockets that dial: no probe needed.
    dial: (address, how) =>
      dialTcp({ clock, mode: wanted === 'data' ? 'data' : 'onread', scratch }, address, how),
    listen: (address, onStream) =>
      new TcpListener(address, acceptMode, scratch, onStream, options.onAcceptError ?? (() => undefined)),
  };
}

class TcpListener implements Listener {
  readonly #wanted: Address;
  readonly #acceptMode: () => Promise<ReceiveMode>;
  readonly #scratch: Buffer;
  readonly #onStream: (stream: ByteStream) => void;
  readonly #onAcceptError: (error: Error) => void;
  #started: Promise<void> | undefined;
  #server: net.Server | undefined;
  #bound: Address | undefined;

  constructor(
    wanted: Address,
    acceptMode: () => Promise<ReceiveMode>,
    scratch: Buffer,
    onStream: (stream: ByteStream) => void,
    onAcceptError: (error: Error) => void,
  ) {
    this.#wanted = wanted;
    this.#acceptMode = acceptMode;
    this.#scratch = scratch;
    this.#onStream = onStream;
    this.#onAcceptError = onAcceptError;
  }

  get address(): Address {
    return this.#bound ?? this.#wanted;
  }

  start(): Promise<void> {
    this.#started ??= this.#open().catch((error) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }

  async stop(): Promise<void> {
    await this.#started?.catch(() => undefined);
    this.#started = undefined;
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    // The port is free when this returns; the callback would wait for the streams that were handed out.
    server.close();
    // The handle itself is gone one turn of the loop later.
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #open(): Promise<void> {
    const mode = await this.#acceptMode();
    const server = net.createServer({ pauseOnConnect: mode === 'onread', allowHalfOpen: true });
    server.on('connection', (socket) => this.#accept(mode, socket));
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error) => reject(listenError(this.#wanted, error));
      server.once('error', onError);
      try {
        const { host, port } = this.#wanted;
        server.listen({ host, port, backlog: LIMITS.acceptBacklog }, () => {
          server.removeListener('error', onError);
          server.on('error', this.#onAcceptError);
          resolve();
        });
      } catch (error) {
        onError(error as Error);
      }
    });
    const bound = server.address() as net.AddressInfo;
    this.#bound = { host: bound.address, port: bound.port };
    this.#server = server;
  }

  #accept(mode: ReceiveMode, accepted: net.Socket): void {
    const opened = acceptedSocket(mode, this.#scratch, accepted);
    // A port check may be gone before it is accepted; it has no address and nothing to say.
    if (opened === undefined || opened.socket.remoteAddress === undefined) {
      (opened?.socket ?? accepted).on('error', () => undefined).destroy();
      return;
    }
    const stream = new TcpStream(opened);
    // Bytes come with a later turn of the loop; the owner may pause before that.
    opened.socket.resume();
    this.#onStream(stream);
  }
}
