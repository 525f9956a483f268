/**
 * What came of dialling, written down where it belongs: in the pool of candidates, among the refusals, and in the peer that
 * cannot be reached. Also lets go what is no longer configured. Dials nothing; the dialer tells it.
 */
import type { Discovery } from '../discovery/index.js';
import { ExoError, type Logger } from '../shared/index.js';
import type { Dialer, DialOutcome } from './dialer.js';
import type { PeerTable } from './peer-table.js';
import type { Target } from './target.js';

/** Where outcomes go. */
export interface DialRecordComponents {
  readonly logger: Logger;
  readonly peers: PeerTable;
  /** Made after this, so asked for when it is needed. */
  readonly dialer: () => Dialer;
  readonly discovery: () => Discovery;
  /** Something that people look at has changed. */
  onChange(): void;
}

/** Keeps the outcomes of one node's dials. */
export class DialRecord {
  readonly #c: DialRecordComponents;

  constructor(components: DialRecordComponents) {
    this.#c = components;
  }

  /** After every try. */
  note(target: Target, outcome: DialOutcome | ExoError): void {
    const { key, module, address, claimedId, configured } = target.candidate;
    const { peers, logger } = this.#c;
    const discovery = this.#c.discovery();
    if (!(outcome instanceof ExoError)) {
      peers.leaveAddress(key, outcome.peerId);
      discovery.noteOutcome(key, { ok: true, rttMs: outcome.rttMs, peerId: outcome.peerId });
      discovery.unrefuse(claimedId);
      this.#c.onChange();
      return;
    }
    logger.debug('dial-failed', { to: claimedId, host: address.host, port: address.port, error: outcome });
    discovery.noteOutcome(key, { ok: false, error: outcome.message });
    if (target.state === 'parked') {
      const { code, message: reason } = outcome;
      const source = configured ? {} : { source: address.host };
      discovery.refuse({ module, subject: claimedId, code, reason, ...source });
    }
    peers.unreachable(target.peerId ?? claimedId, outcome.message, target.dialledAtMs);
    this.#c.onChange();
  }

  /** No longer configured or announced: a configured peer is let go, an announced one stays while it is connected. */
  withdrawn(key: string): void {
    const { peers } = this.#c;
    const target = this.#c.dialer().withdraw(key);
    if (target === undefined || !target.candidate.configured) return;
    const peer = target.peerId === undefined ? undefined : peers.get(target.peerId);
    const link = peer?.links.find((each) => each.targetKey === key);
    if (peer === undefined || link === undefined) return;
    if (peer.links.length === 1) peers.disconnect(peer, 'it was removed from the configuration');
    else void link.connection.close();
  }
}
