/** What a node is to whoever started it. Types only; `node.ts` puts it together. */
import type { Generations } from '../inference/index.js';
import type { Address, Sheds, Startable } from '../shared/index.js';
import type { Mesh } from './mesh.js';

/** A node that can be started and stopped. */
export interface Node extends Startable {
  readonly mesh: Mesh;
  /** Answers questions; `api` and `exo run` use it. */
  readonly chat: Generations;
  /** Counters for metrics, benches and tests. */
  readonly counters: { topologyMessagesSent(): number; ringRequests(): number; connections(): number };
  /** What was turned away because a bound was reached. */
  readonly sheds: Sheds;
  /**
   * Dials an address now, and keeps it among those to dial. Resolves with the id of the node that answers there, as a peer;
   * rejects with the reason in words, or with what `check` throws.
   */
  meet(address: Address, check: (nodeId: string) => void): Promise<string>;
}
