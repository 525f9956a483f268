/**
 * How many ssh logins are under way at one server: sshd drops connections at random from ten unfinished ones on, and a
 * node that starts (or wakes) with fifty tunnels to one gateway would hit that.
 */
import { LIMITS } from '../shared/index.js';

/** A place per login and server, in order of arrival. */
export class OpeningGate {
  readonly #busy = new Map<string, number>();
  readonly #waiting = new Map<string, Array<() => void>>();

  /**
   * Calls `begin` with the function that gives the place back, now or later. Returns the function that gives the wait up,
   * or undefined when there was none.
   */
  enter(server: string, begin: (leave: () => void) => void): (() => void) | undefined {
    const go = () => {
      this.#busy.set(server, (this.#busy.get(server) ?? 0) + 1);
      let left = false;
      begin(() => {
        if (!left) this.#leave(server);
        left = true;
      });
    };
    if ((this.#busy.get(server) ?? 0) < LIMITS.tunnelOpeningPerHostMax) {
      go();
      return undefined;
    }
    const queue = this.#waiting.get(server) ?? [];
    queue.push(go);
    this.#waiting.set(server, queue);
    return () => {
      const place = queue.indexOf(go);
      if (place >= 0) queue.splice(place, 1);
    };
  }

  #leave(server: string): void {
    const busy = (this.#busy.get(server) ?? 1) - 1;
    if (busy > 0) this.#busy.set(server, busy);
    else this.#busy.delete(server);
    const next = this.#waiting.get(server)?.shift();
    if (next !== undefined) next();
    else this.#waiting.delete(server);
  }
}
