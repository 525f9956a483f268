/** Follows one tunnel through a node's API and tells every change of its state once, in order. */
import { type Clock, sleep } from '../../shared/index.js';
import type { TunnelEventJson, TunnelJson } from '../api-shapes.js';
import type { ApiTarget } from '../target.js';
import { TunnelClient } from '../tunnel/client.js';

/** A person sees it as "at once", and the node hardly notices. */
const LOOK_EVERY_MS = 50;

/** One tunnel of one node. */
export class TunnelWatch {
  readonly #clock: Clock;
  readonly #client: TunnelClient;
  readonly #name: string;
  #told: string | undefined;

  constructor(clock: Clock, api: ApiTarget, name: string) {
    this.#clock = clock;
    this.#client = new TunnelClient(clock, api);
    this.#name = name;
  }

  /** As it stands now; changes so far count as told. Rejects when the node does not answer. */
  async look(signal: AbortSignal): Promise<TunnelJson> {
    const { tunnel, history } = await this.#client.get(this.#name, signal);
    this.#fresh(history);
    return tunnel;
  }

  /**
   * Tells changes until `enough` says so of the state after them, or the signal is aborted (then it rejects with its reason).
   * Returns the tunnel as it stands then.
   */
  async follow(
    signal: AbortSignal,
    tell: (event: TunnelEventJson) => void,
    enough: (tunnel: TunnelJson) => boolean,
  ): Promise<TunnelJson> {
    for (;;) {
      const seen = await this.#client.get(this.#name, signal);
      for (const event of this.#fresh(seen.history)) tell(event);
      if (enough(seen.tunnel)) return seen.tunnel;
      await sleep(this.#clock, LOOK_EVERY_MS, signal);
    }
  }

  /** Those after the last one that was told; the history is bounded, so it may have left at its other end. */
  #fresh(history: readonly TunnelEventJson[]): readonly TunnelEventJson[] {
    const keys = history.map(({ at_ms, from, to }) => `${at_ms} ${from} ${to}`);
    const from = this.#told === undefined ? 0 : keys.lastIndexOf(this.#told) + 1;
    this.#told = keys.at(-1) ?? this.#told;
    return history.slice(from);
  }
}
