/**
 * `pinned`: the other end is trusted by name, and TLS has shown that it has the key of that name. There is nothing left to prove; the
 * proof only tells the other end that it is expected here.
 */
import type { Proof } from '../handshake.js';
import type { TrustStore } from '../trust-store.js';
import type { Finding, Meeting, Method } from './method.js';

export class PinnedMethod implements Method {
  readonly name = 'pinned';
  readonly #store: TrustStore;

  constructor(store: TrustStore) {
    this.#store = store;
  }

  get hasMeans(): boolean {
    return this.#store.list().some(({ trust }) => trust !== 'pin');
  }

  prove(meeting: Meeting): readonly Proof[] {
    return this.know(meeting) === undefined ? [] : [{ method: this.name }];
  }

  /** That it trusts us is no reason to trust it. */
  judge(meeting: Meeting): Finding {
    return this.know(meeting) ?? { good: false, why: 'it is not trusted by name here' };
  }

  know(meeting: Meeting): Finding | undefined {
    const known = this.#store.get(meeting.other.nodeId);
    if (known === undefined || known.trust === 'pin' || known.fingerprint !== meeting.fingerprint)
      return undefined;
    return { good: true, why: `trusted by name (${known.learnt})` };
  }
}
