/**
 * The little of node:dgram that UDP discovery needs, behind a function that tests can replace. It knows nothing
 * of announcements.
 */
import { createSocket, type Socket } from 'node:dgram';
import { ExoError, LIMITS } from '../shared/index.js';

/** A bound UDP socket, as little of it as is needed. */
export interface DatagramSocket {
  readonly port: number;
  /** Resolves when the system took the datagram; rejects with the system's error. */
  send(bytes: Buffer, port: number, host: string): Promise<void>;
  /** Resolves when the socket is gone. */
  close(): Promise<void>;
}

/** Opens a socket for broadcasts, with address reuse. Rejects with the system's error. */
export type OpenDatagramSocket = (
  host: string,
  port: number,
  onDatagram: (bytes: Buffer, sourceHost: string, sourcePort: number) => void,
  onError: (error: Error) => void,
) => Promise<DatagramSocket>;

/** `openSocket` by node:dgram. */
export const openDatagramSocket: OpenDatagramSocket = async (host, port, onDatagram, onError) => {
  const socket: Socket = createSocket({ type: 'udp4', reuseAddr: true });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => {
      socket.close();
      reject(error);
    };
    socket.once('error', fail);
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeListener('error', fail);
      resolve();
    });
  });
  socket.on('error', onError);
  socket.on('message', (bytes, source) => onDatagram(bytes, source.address, source.port));
  socket.setBroadcast(true);
  try {
    socket.setRecvBufferSize(LIMITS.udpReceiveBufferBytes);
  } catch {
    // The system's own size then.
  }
  let open = true;
  return {
    port: socket.address().port,
    send: (bytes, toPort, toHost) =>
      new Promise((resolve, reject) => {
        if (!open) {
          reject(new ExoError('connection-closed', 'the socket is closed'));
          return;
        }
        socket.send(bytes, toPort, toHost, (error) => (error ? reject(error) : resolve()));
      }),
    close: async () => {
      if (open) socket.close();
      open = false;
      await closed;
    },
  };
};
