/**
 * Asks other members whether they reach a peer that this node does not hear, and answers the same question of others. It
 * judges nobody: the heartbeat waits longer for a peer that somebody reaches, and says who does.
 */
import type { ProbeResponse } from '../protocol/index.js';
import { type Clock, ExoError, LIMITS, type Logger, type Random, randomInt } from '../shared/index.js';
import type { Peer } from './peer.js';

/** What is needed of the peer table. */
export interface Acquaintances {
  all(): Iterable<Peer>;
  get(id: string): Peer | undefined;
  ping(peer: Peer, timeoutMs: number): Promise<number>;
}

/** What a second opinion is made with. */
export interface SecondOpinionComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The helper's ping, and the way there and back. */
const ANSWER_MS = LIMITS.probeTimeoutMs + 1_000;

/** The indirect checks of one node. */
export class SecondOpinion {
  readonly #c: SecondOpinionComponents;
  readonly #table: Acquaintances;
  readonly #asking = new Set<string>();
  #answering = 0;

  constructor(table: Acquaintances, components: SecondOpinionComponents) {
    this.#table = table;
    this.#c = components;
  }

  /** Asks up to `LIMITS.probeHelpersMax` members; notes in the peer who reaches it. One question at a time about one peer. */
  async ask(suspect: Peer): Promise<void> {
    if (this.#asking.has(suspect.id)) return;
    const helpers = this.#helpers(suspect);
    if (helpers.length === 0) return;
    this.#asking.add(suspect.id);
    await Promise.all(helpers.map((helper) => this.#askOne(helper, suspect)));
    this.#asking.delete(suspect.id);
  }

  /** 0x70. Throws `overloaded` when too many are being answered. */
  async answer(nodeId: string): Promise<ProbeResponse> {
    const peer = this.#table.get(nodeId);
    if (peer?.reachable !== true) return { kind: 'probe-response', reached: false, rttMs: null };
    if (this.#answering >= LIMITS.probesInFlight) {
      throw new ExoError('overloaded', 'too many suspects are being probed for others', { retryable: true });
    }
    this.#answering += 1;
    try {
      const rttMs = await this.#table.ping(peer, LIMITS.probeTimeoutMs);
      return { kind: 'probe-response', reached: true, rttMs };
    } catch {
      return { kind: 'probe-response', reached: false, rttMs: null };
    } finally {
      this.#answering -= 1;
    }
  }

  async #askOne(helper: Peer, suspect: Peer): Promise<void> {
    const { clock, logger } = this.#c;
    try {
      const answer = await helper.link!.connection.request(
        { kind: 'probe-request', nodeId: suspect.id },
        { timeoutMs: ANSWER_MS },
      );
      if (answer.kind !== 'probe-response') return;
      logger.info('suspect-probed', { peer: suspect.id, by: helper.id, reached: answer.reached });
      if (answer.reached) suspect.vouched = { by: helper.id, atMs: clock.now() };
    } catch (error) {
      // An older node does not know the question, and one that is gone has no answer: no opinion.
      logger.debug('suspect-probe-failed', { peer: suspect.id, by: helper.id, error });
    }
  }

  /** Members that are not under suspicion themselves, at random. */
  #helpers(suspect: Peer): Peer[] {
    const able = [...this.#table.all()].filter(
      (peer) => peer !== suspect && peer.state === 'alive' && peer.protocol === 'exo' && peer.reachable,
    );
    const chosen: Peer[] = [];
    while (chosen.length < LIMITS.probeHelpersMax && able.length > 0) {
      chosen.push(...able.splice(randomInt(this.#c.random, 0, able.length - 1), 1));
    }
    return chosen;
  }
}
