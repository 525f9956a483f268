/** Dials an address that a person named just now (an invitation), and keeps it among those to dial. */
import type { Candidate } from '../discovery/index.js';
import { type Address, type Clock, formatAddress } from '../shared/index.js';
import type { Dialer } from './dialer.js';
import type { Introduction } from './introduction.js';
import { Target } from './target.js';

/** As an address of peers.json. */
const DESCRIPTION = 'MAN';
const PRIORITY = 4;

/**
 * Resolves with the id of the node that answers there, as a peer, over an encrypted connection; rejects with the reason, or with what
 * `check` throws: then the address is not kept.
 */
export async function meet(
  address: Address,
  components: { readonly clock: Clock; readonly introduction: Introduction; readonly dialer: Dialer },
  signal: AbortSignal,
  check: (nodeId: string) => void,
): Promise<string> {
  const { clock, introduction, dialer } = components;
  const name = formatAddress(address);
  const candidate: Candidate = {
    key: `met:${name}`,
    module: 'manual',
    address,
    claimedId: name,
    description: DESCRIPTION,
    priority: PRIORITY,
    configured: true,
  };
  const target = new Target(candidate, clock.now());
  target.secure = true;
  const { peerId } = await introduction.dial(target, signal);
  check(peerId);
  dialer.offer(candidate);
  return peerId;
}
