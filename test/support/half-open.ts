/** A crowd of connections that never finish saying hello, as an attacker or a broken program makes them. */
import net from 'node:net';
import { performance } from 'node:perf_hooks';

/** As programs do that try again, each at its own time: a crowd of 500 then makes some 250 connections a second. */
const BACK_AFTER_MS = 1_000;

/** A crowd of half-open connections to one port on loopback. */
export class HalfOpenCrowd {
  readonly #port: number;
  readonly #open = new Set<net.Socket>();
  #pressing = false;
  /** When the last of them connected. `performance.now()`. */
  lastConnectAtMs = 0;
  /** How many the other side has closed. */
  closed = 0;

  constructor(port: number) {
    this.#port = port;
  }

  /** Connections that the other side has not closed. */
  get open(): number {
    return this.#open.size;
  }

  /** Opens `count`; every second one says the first bytes of a frame. While it presses, whoever is closed comes back. */
  async press(count: number): Promise<void> {
    this.#pressing = true;
    await Promise.all(Array.from({ length: count }, (_, index) => this.#connect(index)));
  }

  /** Nobody comes back from now on. */
  relax(): void {
    this.#pressing = false;
  }

  /** Ends all that are left. */
  end(): void {
    this.relax();
    for (const socket of this.#open) socket.destroy();
  }

  #connect(index: number): Promise<void> {
    return new Promise((resolve) => {
      const socket = net.connect(this.#port, '127.0.0.1', () => {
        this.#open.add(socket);
        this.lastConnectAtMs = performance.now();
        if (index % 2 === 1) socket.write('EXO\x01');
        resolve();
      });
      socket.on('error', () => undefined);
      socket.on('data', () => undefined);
      socket.on('end', () => socket.destroy());
      socket.on('close', () => {
        resolve();
        if (this.#open.delete(socket)) this.closed += 1;
        if (this.#pressing)
          setTimeout(
            () => this.#pressing && void this.#connect(index),
            BACK_AFTER_MS + ((index * 7) % BACK_AFTER_MS),
          );
      });
    });
  }
}

/** The value below which so many percent of the values lie. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN;
}
