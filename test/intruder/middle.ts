/** Stands between two nodes: records what passes, delays it, or ends TLS on both sides with a certificate of its own. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import type { Cleanup } from '../support/processes.js';
import { tlsCredentials } from '../support/tls-credentials.js';

/** What passed a relay. */
export interface Tape {
  readonly port: number;
  /** Bytes of each connection from the end that dialled, in order of connection. */
  readonly said: Buffer[];
  /** Each connection's first byte. */
  readonly first: number[];
  /** Of the first connection: how often the direction changed, with the first flight. */
  flights: number;
}

/** Passes everything on, each chunk after `delayMs`. */
export async function tapeRelay(cleanup: Cleanup, targetPort: number, delayMs = 0): Promise<Tape> {
  const tape = { port: 0, said: [] as Buffer[], first: [] as number[], flights: 0 };
  tape.port = await serve(cleanup, net.createServer({ noDelay: true }), (near) => {
    const index = tape.said.push(Buffer.alloc(0)) - 1;
    const far = net.connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    let direction = '';
    const pass = (from: net.Socket, to: net.Socket, name: string) => {
      from.on('data', (chunk: Buffer) => {
        if (name === 'out') {
          if (tape.said[index]!.length === 0) tape.first.push(chunk[0]!);
          tape.said[index] = Buffer.concat([tape.said[index]!, chunk]);
        }
        if (index === 0 && direction !== name) {
          direction = name;
          tape.flights += 1;
        }
        if (delayMs === 0) to.write(chunk);
        else setTimeout(() => !to.destroyed && to.write(chunk), delayMs);
      });
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
    };
    pass(near, far, 'out');
    pass(far, near, 'back');
    cleanup.add(() => far.destroy());
  });
  return tape;
}

/** What somebody in the middle has read in clear. */
export interface Wiretap {
  readonly port: number;
  /** What was said in clear from the dialler to the target. */
  readonly clear: Buffer[];
  /** How many came. */
  connections: number;
}

/** Ends TLS of whoever dials, with a certificate of its own, and goes on to the target over TLS or in plain. */
export async function tlsInTheMiddle(
  cleanup: Cleanup,
  targetPort: number,
  { nearSecure = true, farSecure = true } = {},
): Promise<Wiretap> {
  const { certificatePem: cert, privateKeyPem: key } = await tlsCredentials();
  const tap = { port: 0, clear: [] as Buffer[], connections: 0 };
  const server = nearSecure
    ? tls.createServer({ cert, key, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' })
    : net.createServer();
  const onNear = (near: net.Socket) => {
    tap.connections += 1;
    const to = { host: '127.0.0.1', port: targetPort };
    const far = farSecure
      ? tls.connect({ ...to, cert, key, rejectUnauthorized: false, minVersion: 'TLSv1.3' })
      : net.connect(to);
    cleanup.add(() => far.destroy());
    near.on('data', (chunk: Buffer) => tap.clear.push(chunk));
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.on('close', () => far.destroy());
    far.on('close', () => near.end());
  };
  tap.port = await serve(cleanup, server, onNear, nearSecure ? 'secureConnection' : 'connection');
  return tap;
}

/** Listens on a free port; ends with the test. */
export async function serve(
  cleanup: Cleanup,
  server: net.Server,
  onSocket: (socket: net.Socket) => void,
  event = 'connection',
): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  server.on(event, onSocket);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  cleanup.add(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as net.AddressInfo).port;
}
