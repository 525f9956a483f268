/**
 * Looks every second whether authorized_keys lets in others than before (a line that is gone, new, or past its expiry-time), and tells
 * it, so that peers are judged again that were let in by it. It judges nobody and reads nothing itself: `ssh-authorized-keys.ts` does.
 * Made by `trust.ts`.
 */
import { type Clock, LIMITS, type Logger, type Startable, type TimerHandle } from '../shared/index.js';
import type { AuthorizedKeys } from './ssh-authorized-keys.js';

/** The watch over one file. */
export class KeyListWatch implements Startable {
  readonly #authorizedKeys: AuthorizedKeys;
  readonly #c: { readonly clock: Clock; readonly log: Logger };
  readonly #listeners = new Set<() => void>();
  #told: ReadonlySet<string> = new Set();
  #looks: TimerHandle | undefined;
  #settling: TimerHandle | undefined;

  constructor(authorizedKeys: AuthorizedKeys, components: { readonly clock: Clock; readonly log: Logger }) {
    this.#authorizedKeys = authorizedKeys;
    this.#c = components;
  }

  /** Calls `listener` when others are let in than before. Returns the unsubscribe function. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): Promise<void> {
    if (this.#looks === undefined) {
      this.#told = this.#allowed();
      this.#looks = this.#c.clock.every(LIMITS.trustPollMs, () => this.#look());
    }
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#looks?.cancel();
    this.#looks = undefined;
    this.#settling?.cancel();
    this.#settling = undefined;
    return Promise.resolve();
  }

  #look(): void {
    if (this.#settling !== undefined || isSame(this.#allowed(), this.#told)) return;
    // It may be half written just now.
    this.#settling = this.#c.clock.after(LIMITS.authorizedKeysSettleMs, () => this.#settled());
  }

  #settled(): void {
    this.#settling = undefined;
    const now = this.#allowed();
    if (isSame(now, this.#told)) return;
    this.#told = now;
    this.#c.log.info('authorized-keys-changed', { keys: now.size });
    for (const listener of [...this.#listeners]) listener();
  }

  /** A file that cannot be used lets nobody in. */
  #allowed(): ReadonlySet<string> {
    try {
      return this.#authorizedKeys.allowed(this.#c.clock.wall());
    } catch {
      return new Set();
    }
  }
}

function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((key) => other.has(key));
}
