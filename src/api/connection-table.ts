/**
 * The open HTTP connections: how many there may be, of whom, and which one goes when there is no room. Counts and
 * decides; `listener.ts` has the sockets and the server.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isLoopback, LIMITS, type Sheds } from '../shared/index.js';

/** A request that is being answered. */
export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly sinceMs: number;
  /** Bytes that the connection had brought before. */
  readonly bytesBefore: number;
}

/** How many connections there may be. */
export interface ConnectionBounds {
  readonly connectionsMax: number;
  readonly perSourceMax: number;
}

/** The bounds that the program runs with. */
export const HTTP_BOUNDS: ConnectionBounds = {
  connectionsMax: LIMITS.httpConnectionsMax,
  perSourceMax: LIMITS.httpConnectionsPerSource,
};

/** All connections of one listener, those that waited longest first. */
export class ConnectionTable {
  readonly #bounds: ConnectionBounds;
  readonly #sheds: Sheds;
  readonly #sources = new Map<Socket, string>();
  readonly #busy = new Map<Socket, Exchange>();

  constructor(bounds: ConnectionBounds, sheds: Sheds) {
    this.#bounds = bounds;
    this.#sheds = sheds;
  }

  get size(): number {
    return this.#sources.size;
  }

  /** All sockets, the longest idle first. */
  sockets(): IterableIterator<Socket> {
    return this.#sources.keys();
  }

  /** The exchanges under way. */
  exchanges(): IterableIterator<[Socket, Exchange]> {
    return this.#busy.entries();
  }

  /** What the socket is busy with. */
  exchange(socket: Socket): Exchange | undefined {
    return this.#busy.get(socket);
  }

  /**
   * Takes a new connection in; a waiting one of the same source, or of anybody, may be ended for it. False: there is no
   * room, and the caller ends the new one.
   */
  admit(socket: Socket): boolean {
    const source = socket.remoteAddress ?? '';
    // A client that closes at once has no address any more; nothing can be said to it either.
    if (source === '') return false;
    if (!isLoopback(source) && this.#countOf(source) >= this.#bounds.perSourceMax) {
      this.#sheds.add('http-full');
      if (!this.#evict((each) => each === source)) return false;
    } else if (this.#sources.size >= this.#bounds.connectionsMax) {
      this.#sheds.add('http-full');
      if (!this.#evict(() => true)) return false;
    }
    this.#sources.set(socket, source);
    socket.once('close', () => {
      this.#sources.delete(socket);
      this.#busy.delete(socket);
    });
    return true;
  }

  begin(socket: Socket, exchange: Exchange): void {
    this.#busy.set(socket, exchange);
  }

  /** The answer is complete: the connection waits for the next request, as the last in the row. */
  end(socket: Socket): void {
    this.#busy.delete(socket);
    const source = this.#sources.get(socket);
    if (source === undefined) return;
    this.#sources.delete(socket);
    this.#sources.set(socket, source);
  }

  #countOf(source: string): number {
    let count = 0;
    for (const each of this.#sources.values()) if (each === source) count += 1;
    return count;
  }

  /** Ends the connection that has waited longest without a request. */
  #evict(fits: (source: string) => boolean): boolean {
    for (const [socket, source] of this.#sources) {
      if (this.#busy.has(socket) || !fits(source)) continue;
      this.#sources.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  }
}
