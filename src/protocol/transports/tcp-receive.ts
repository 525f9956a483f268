/**
 * How bytes are read from a TCP socket: straight into one static buffer (`onread`, about 1.5 times faster
 * for large frames) or by 'data' events. Node offers `onread` for sockets that it connects; an accepted one is
 * put into a new `net.Socket` around its handle, which is internal to Node, so it is tried before it is relied upon.
 * Knows nothing of streams' life; `tcp-transport.ts` and `tcp-stream.ts` call it.
 */
import net from 'node:net';
import type { Clock } from '../../shared/index.js';

/** How a socket is read. */
export type ReceiveMode = 'onread' | 'data';

/** A socket and the place where its bytes arrive. A chunk is only valid during the call. */
export interface OpenSocket {
  readonly socket: net.Socket;
  /** Set by the owner of the socket; until then bytes are dropped. */
  onBytes: (chunk: Buffer) => void;
}

/** The probe is a round trip inside this machine; slower than this means it does not work. */
const PROBE_DEADLINE_MS = 1_000;

interface Handle {
  readonly useUserBuffer?: unknown;
}

/** A socket that is still to be connected. `scratch` is used in mode `onread` and may be shared by all sockets. */
export function newSocket(mode: ReceiveMode, scratch: Buffer): OpenSocket {
  return open(mode, scratch, undefined);
}

/**
 * The socket of an accepted connection. In mode `onread` the listener must have been made with `pauseOnConnect`, so
 * that no byte was read before; undefined when this version of Node does not have what it takes.
 */
export function acceptedSocket(
  mode: ReceiveMode,
  scratch: Buffer,
  accepted: net.Socket,
): OpenSocket | undefined {
  if (mode === 'data') {
    const opened: OpenSocket = { socket: accepted, onBytes: () => undefined };
    accepted.on('data', (chunk: Buffer) => opened.onBytes(chunk));
    return opened;
  }
  const shell = accepted as unknown as { _handle?: Handle | null };
  const handle = shell._handle;
  if (handle === undefined || handle === null || typeof handle.useUserBuffer !== 'function') return undefined;
  // The shell is destroyed without its handle, so that the server no longer counts it.
  shell._handle = null;
  accepted.on('error', () => undefined);
  accepted.destroy();
  const opened = open('onread', scratch, handle);
  return (opened.socket as unknown as { _handle?: Handle | null })._handle === handle ? opened : undefined;
}

function open(mode: ReceiveMode, scratch: Buffer, handle: Handle | undefined): OpenSocket {
  // messages of one conversation are often equally long, and a view costs more than it looks
  let chunk = scratch;
  const onread = {
    buffer: scratch,
    callback: (count: number): boolean => {
      if (chunk.length !== count) chunk = scratch.subarray(0, count);
      opened.onBytes(chunk);
      return true;
    },
  };
  const socket = new net.Socket({
    allowHalfOpen: true,
    ...(mode === 'onread' ? { onread } : {}),
    ...(handle === undefined ? {} : { handle }),
  } as net.SocketConstructorOpts);
  const opened: OpenSocket = { socket, onBytes: () => undefined };
  if (mode === 'data') socket.on('data', (chunk: Buffer) => opened.onBytes(chunk));
  return opened;
}

/** Whether an accepted socket can be read by `onread` here: sends a few bytes to itself over loopback. Never rejects. */
export function probeOnread(clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = Buffer.from('probe');
    const scratch = Buffer.alloc(sent.length * 2);
    const sockets: net.Socket[] = [];
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
    const finish = (works: boolean) => {
      timer.cancel();
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve(works));
    };
    const timer = clock.after(PROBE_DEADLINE_MS, () => finish(false));
    server.on('error', () => finish(false));
    server.on('connection', (accepted) => {
      let received = '';
      try {
        const opened = acceptedSocket('onread', scratch, accepted);
        if (opened === undefined) {
          sockets.push(accepted);
          finish(false);
          return;
        }
        sockets.push(opened.socket);
        opened.onBytes = (chunk) => {
          received += chunk.toString('latin1');
        };
        opened.socket.on('error', () => finish(false));
        opened.socket.on('end', () => finish(received === sent.toString('latin1')));
        opened.socket.resume();
      } catch {
        finish(false);
      }
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      sockets.push(client);
      client.on('error', () => finish(false));
      client.end(sent);
    });
  });
}
