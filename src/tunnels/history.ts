/** What a tunnel went through, newest last and bounded. */
import { LIMITS } from '../shared/index.js';
import type { TunnelEvent } from './tunnel-status.js';

/** The last `LIMITS.tunnelHistoryMax` changes. */
export class History {
  readonly #events: TunnelEvent[] = [];

  add(event: TunnelEvent): void {
    this.#events.push(event);
    if (this.#events.length > LIMITS.tunnelHistoryMax) this.#events.shift();
  }

  list(): readonly TunnelEvent[] {
    return [...this.#events];
  }
}
