/**
 * The pulse of the peer table: looks at every peer twice a second, asks those that are silent, and passes the verdict of
 * `membership.ts` on. Notices when this process itself slept, and accuses nobody for it.
 */
import { type Clock, LIMITS, type Logger, type Startable, type TimerHandle } from '../shared/index.js';
import { judgeSilence, SelfHealth } from './membership.js';
import type { Peer } from './peer.js';

/** What the pulse asks of the table. */
export interface Patients {
  all(): Iterable<Peer>;
  ping(peer: Peer, timeoutMs: number): Promise<number>;
  judge(peer: Peer, state: 'alive' | 'suspect', reason: string): void;
  declareDead(peer: Peer, reason: string): void;
  forget(peer: Peer): void;
}

const TICK_MS = 500;
/** A round trip is measured this often even when other traffic proves life. */
const RTT_EVERY_MS = 10_000;
/** Dead peers stay listed this long, so that a person sees what was lost. */
const REMEMBER_DEAD_MS = 10 * 60_000;

/** Owns the timer of the peer table. */
export class Heartbeat implements Startable {
  readonly #c: { readonly clock: Clock; readonly logger: Logger };
  readonly #table: Patients;
  readonly #health: SelfHealth;
  #ticker: TimerHandle | undefined;

  constructor(table: Patients, components: { readonly clock: Clock; readonly logger: Logger }) {
    this.#c = components;
    this.#table = table;
    this.#health = new SelfHealth(TICK_MS, components.clock.now());
  }

  async start(): Promise<void> {
    this.#ticker ??= this.#c.clock.every(TICK_MS, () => this.#tick());
  }

  async stop(): Promise<void> {
    this.#ticker?.cancel();
    this.#ticker = undefined;
  }

  /** Whether this process woke less than `windowMs` ago. */
  wokeWithin(windowMs: number): boolean {
    return this.#health.wokeWithin(windowMs, this.#c.clock.now());
  }

  #tick(): void {
    const now = this.#c.clock.now();
    const lateMs = this.#health.tick(now);
    if (lateMs > 0) this.#c.logger.info('woke-late', { lateMs: Math.round(lateMs) });
    for (const peer of this.#table.all()) {
      if (!peer.reachable) this.#judgeUnreachable(peer, now);
      else this.#judge(peer, now);
    }
  }

  #judgeUnreachable(peer: Peer, now: number): void {
    const sinceMs = this.#health.silenceMs(peer.stateSinceMs, now);
    if (peer.present) {
      if (sinceMs < LIMITS.reconnectGraceMs) return;
      this.#table.declareDead(peer, peer.reason.replace('; dialling again', ''));
    } else if (sinceMs > REMEMBER_DEAD_MS) {
      this.#table.forget(peer);
    }
  }

  #judge(peer: Peer, now: number): void {
    const silentMs = this.#health.silenceMs(peer.aliveAtMs, now);
    const verdict = judgeSilence(silentMs);
    if (verdict === 'dead') {
      const reason = `silent for ${Math.round(silentMs / 1000)} s`;
      this.#c.logger.warn('peer-dead', { peer: peer.id, reason });
      this.#table.declareDead(peer, reason);
      return;
    }
    if (verdict !== peer.state && peer.present) {
      this.#table.judge(
        peer,
        verdict,
        verdict === 'suspect' ? `silent for ${Math.round(silentMs / 1000)} s` : 'heard again',
      );
    }
    const pingDue =
      silentMs >= LIMITS.heartbeatMs - TICK_MS / 2 ||
      now - peer.lastPingAtMs >= RTT_EVERY_MS ||
      peer.protocol === 'legacy';
    if (pingDue && !peer.pingPending && now - peer.lastPingAtMs >= LIMITS.heartbeatMs) this.#heartbeat(peer);
  }

  #heartbeat(peer: Peer): void {
    peer.pingPending = true;
    this.#table
      .ping(peer, LIMITS.healthTimeoutMs)
      .catch((error: unknown) => this.#c.logger.debug('heartbeat-failed', { peer: peer.id, error }))
      .finally(() => {
        peer.pingPending = false;
      });
  }
}
