/** Raw TCP against a node's port: what a stranger sends, and what comes back until the connection ends. */
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { inTime } from './eventually.js';

/** How a connection went. */
export interface RawOutcome {
  /** Everything that came back, as hex. */
  readonly received: string;
  /** From the first byte sent to the end of the connection. */
  readonly closedAfterMs: number;
}

/** A frame header of the base protocol. */
export function header(type: number, lengthBytes: number): Buffer {
  const bytes = Buffer.from('45584f010000000000', 'hex');
  bytes[4] = type;
  bytes.writeUInt32BE(lengthBytes, 5);
  return bytes;
}

/** Connects, sends `bytes`, and resolves when the other side ends the connection; rejects after `timeoutMs`. */
export function sendRaw(port: number, bytes: Uint8Array, timeoutMs = 5_000): Promise<RawOutcome> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let sentAt = 0;
    const socket = net.connect(port, '127.0.0.1', () => {
      sentAt = performance.now();
      socket.write(bytes);
    });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(
        new Error(`still open ${inTime(timeoutMs)} ms after ${Buffer.from(bytes).toString('hex', 0, 16)}…`),
      );
    }, inTime(timeoutMs));
    socket.on('data', (chunk) => chunks.push(chunk));
    // A reset is an end, too: the other side closed with our bytes unread.
    socket.on('error', () => undefined);
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(timer);
      resolve({ received: Buffer.concat(chunks).toString('hex'), closedAfterMs: performance.now() - sentAt });
    });
  });
}

/** A port check as `nc -z` does it: connect, say nothing, close. */
export function portCheck(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.end());
    socket.on('data', () => undefined);
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
}

/** The health check of the original, as one connection that then stays open. */
export async function openLegacy(port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => socket.write(header(0x01, 0)));
    socket.once('data', () => resolve());
  });
  return socket;
}
