/**
 * What can be no peer, and why, in words: an address that leads back, an id that is taken, an id that is filtered out, an old peer
 * that proves nothing. Pure but for the word to the operator; `introduction.ts` asks.
 */
import type { Hello } from '../protocol/index.js';
import { ExoError, formatAddress } from '../shared/index.js';
import type { Target } from './target.js';

/** What the rules are about. */
export interface PeerRulesComponents {
  readonly self: { readonly id: string; readonly instance: string };
  /** Whether `--node-id-filter` lets an id in. */
  allowsId(id: string): boolean;
  /** Another machine uses our own id. */
  onOwnIdElsewhere(where: string): void;
}

/** The rules of one node. */
export class PeerRules {
  readonly #c: PeerRulesComponents;

  constructor(components: PeerRulesComponents) {
    this.#c = components;
  }

  /** Throws `self-address`, `duplicate-id` or `id-filtered` for a hello that came from `where`. */
  checkHello(hello: Hello, where: string): void {
    const { self } = this.#c;
    if (hello.nodeId === self.id) {
      if (hello.instance === self.instance) {
        throw new ExoError('self-address', `${where} leads back to this node`);
      }
      this.#c.onOwnIdElsewhere(where);
      throw new ExoError(
        'duplicate-id',
        `two machines use the id "${self.id}" (this one and ${where}): start one of them with another --node-id`,
      );
    }
    this.checkId(hello.nodeId, where);
  }

  /** Throws `id-filtered`. */
  checkId(id: string, where: string): void {
    if (!this.#c.allowsId(id)) {
      throw new ExoError('id-filtered', `${where} is "${id}", which --node-id-filter does not list`);
    }
  }
}

/** An old peer answers where something has to be proven. */
export function provesNothing({ address }: Target): ExoError {
  return new ExoError(
    'auth-required',
    `an old peer answers at ${formatAddress(address)} and proves nothing: add ${address.host} to --allow-legacy if it may join all the same`,
  );
}

/** The address of a target is an own one. */
export function leadsBack({ address, candidate }: Target): ExoError {
  return new ExoError(
    'self-address',
    `${formatAddress(address)} leads back to this node: correct the address of "${candidate.claimedId}"`,
  );
}
