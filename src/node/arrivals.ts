/**
 * The connections whose hello is being exchanged, or whose id is being looked into: what comes over one of them meanwhile waits for
 * its end. Bookkeeping only; `introduction.ts` enters them.
 */
import type { Connection } from '../protocol/index.js';

/** Handshakes under way. */
export class Arrivals {
  readonly #meetings = new Map<Connection, Promise<unknown>>();

  /** Settles as `meeting` does; until then the connection is among those that arrive. */
  async wait<T>(connection: Connection, meeting: Promise<T>): Promise<T> {
    this.#meetings.set(connection, meeting);
    try {
      return await meeting;
    } finally {
      this.#meetings.delete(connection);
    }
  }

  /** What a connection waits for; undefined when it has arrived. */
  of(connection: Connection): Promise<unknown> | undefined {
    return this.#meetings.get(connection);
  }

  /** Whether one of them says that it is this node. */
  has(nodeId: string): boolean {
    for (const { hello } of this.#meetings.keys()) if (hello?.nodeId === nodeId) return true;
    return false;
  }
}
