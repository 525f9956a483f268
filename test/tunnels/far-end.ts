/** What tests put at the end of a forward: an echo that keeps half-open connections, and a client that reads to the end. */
import net from 'node:net';

/** A listener and the way to end it. */
export interface FarEnd {
  readonly port: number;
  readonly path?: string;
  stop(): Promise<void>;
}

/** Gives back what it gets, and ends only after the other side has: half-closed connections must work. */
export async function openEcho(where: { readonly path?: string } = {}): Promise<FarEnd> {
  return openFarEnd((socket) => socket.pipe(socket), where);
}

/** Runs `serve` for every connection; those left are destroyed by `stop`. */
export async function openFarEnd(
  serve: (socket: net.Socket) => void,
  where: { readonly path?: string } = {},
): Promise<FarEnd> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(where.path === undefined ? { host: '127.0.0.1', port: 0 } : { path: where.path }, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    ...where,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Sends `data`, ends its own direction, and resolves with everything that came back until the other side ended too. */
export function exchange(
  where: { readonly host?: string; readonly port: number } | { readonly path: string },
  data: Buffer | string,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = net.connect({ ...where, allowHalfOpen: true });
    socket.on('data', (part) => parts.push(part));
    socket.on('end', () => {
      resolve(Buffer.concat(parts));
      socket.end();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed before its end')));
    socket.end(data);
  });
}
