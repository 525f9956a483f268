/**
 * The pulse of the peer table: looks at every peer twice a second, asks those that are silent, and passes the verdict of
 * `membership.ts` on. Notices when this process itself slept, and accuses nobody for it.
 */
import { ExoError, LIMITS, type Startable, type TimerHandle } from '../shared/index.js';
import { judgeSilence, SelfHealth } from './membership.js';
import type { Peer } from './peer.js';
import { type Acquaintances, SecondOpinion, type SecondOpinionComponents } from './second-opinion.js';

/** What the pulse asks of the table. */
export interface Patients extends Acquaintances {
  judge(peer: Peer, state: 'alive' | 'suspect', reason: string): void;
  declareDead(peer: Peer, reason: string): void;
  forget(peer: Peer): void;
  /** A peer that was lost while it flapped may be dialled now. */
  redial(peer: Peer): void;
}

/** What the pulse is made with. */
export interface HeartbeatComponents extends SecondOpinionComponents {
  /**
   * Whether a dial to a peer is under way, or a handshake with who says that it is that peer; with a `host` also one with
   * somebody there who has not said a name yet.
   */
  isMeeting(peerId: string, host?: string): boolean;
}

const TICK_MS = 500;
/** A round trip is measured this often even when other traffic proves life. */
const RTT_EVERY_MS = 10_000;
/** Who has not measured for so long asks before the other end does: a silent pair takes turns, and none is asked for the measurement alone. */
const TURN_AFTER_MS = RTT_EVERY_MS - 2_500;
/** Others are asked again about a suspect after this; what they saw holds a little longer. */
const ASK_EVERY_MS = 2_500;
const VOUCHED_MS = 6_000;
/** Dead peers stay listed this long, so that a person sees what was lost. */
const REMEMBER_DEAD_MS = 10 * 60_000;

/** Owns the timer of the peer table. */
export class Heartbeat implements Startable {
  /** Asks others, and answers them. */
  readonly opinion: SecondOpinion;
  readonly #c: HeartbeatComponents;
  readonly #table: Patients;
  /** Suspects that somebody else reaches, as their reason says. */
  readonly #vouchedFor = new Set<Peer>();
  readonly #health: SelfHealth;
  #ticker: TimerHandle | undefined;
  /** When this process woke from a sleep after which the others hold it for dead. `clock.now()`. */
  #longSleepEndedAtMs = Number.NEGATIVE_INFINITY;

  constructor(table: Patients, components: HeartbeatComponents) {
    this.#c = components;
    this.opinion = new SecondOpinion(table, components);
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
    if (lateMs >= LIMITS.deadAfterMs) this.#longSleepEndedAtMs = now;
    if (lateMs > 0) {
      this.#c.logger.info('woke-late', { lateMs: Math.round(lateMs), patience: this.#health.patience });
    }
    for (const peer of this.#table.all()) {
      if (!peer.reachable) this.#judgeUnreachable(peer, now);
      else this.#judge(peer, now);
    }
  }

  #judgeUnreachable(peer: Peer, now: number): void {
    if (peer.redialAtMs !== undefined && now >= peer.redialAtMs) this.#table.redial(peer);
    const sinceMs = this.#health.silenceMs(peer.stateSinceMs, now);
    if (peer.present) {
      if (sinceMs < LIMITS.reconnectGraceMs) return;
      // Each try has its deadline; but one after the other they are not waited for longer than for one that is silent.
      if (sinceMs < LIMITS.deadAfterMs && this.#c.isMeeting(peer.id, peer.lastHost)) return;
      this.#table.declareDead(peer, peer.reason.replace('; dialling again', ''));
    } else if (sinceMs > REMEMBER_DEAD_MS) {
      this.#table.forget(peer);
    }
  }

  #judge(peer: Peer, now: number): void {
    if (this.#isStale(peer, now)) {
      const error = new ExoError('connection-closed', 'nothing came over it since this machine woke', {
        retryable: true,
      });
      for (const link of peer.links) void link.connection.close({ by: 'error', error });
      return;
    }
    const silentMs = this.#health.silenceMs(peer.aliveAtMs, now);
    const { patience } = this.#health;
    const witness =
      peer.vouched !== undefined && now - peer.vouched.atMs < VOUCHED_MS ? peer.vouched.by : undefined;
    if (
      judgeSilence(silentMs, witness === undefined ? patience : patience * LIMITS.vouchedPatience) === 'dead'
    ) {
      const reason = inWords(silentMs, witness);
      this.#c.logger.warn('peer-dead', { peer: peer.id, reason });
      this.#table.declareDead(peer, reason);
      return;
    }
    if (judgeSilence(silentMs, patience) === 'alive') this.#heard(peer, now);
    else this.#suspect(peer, silentMs, witness, now);
    const sincePingMs = now - peer.lastPingAtMs;
    const isTurn = sincePingMs >= TURN_AFTER_MS;
    const pingDue =
      silentMs >= LIMITS.heartbeatMs - TICK_MS / 2 - (isTurn ? TICK_MS : 0) ||
      sincePingMs >= RTT_EVERY_MS ||
      peer.protocol === 'legacy';
    if (pingDue && !peer.pingPending && sincePingMs >= LIMITS.heartbeatMs) this.#heartbeat(peer);
  }

  /** A connection from before a long sleep that carries nothing any more; to dial again is sooner than to wait. */
  #isStale(peer: Peer, now: number): boolean {
    const wokeAtMs = this.#longSleepEndedAtMs;
    if (now - wokeAtMs < LIMITS.wakeProbeMs || peer.aliveAtMs >= wokeAtMs) return false;
    return peer.links.every((link) => link.outgoing);
  }

  #heard(peer: Peer, now: number): void {
    this.#vouchedFor.delete(peer);
    if (peer.heldUntilMs === undefined) {
      if (peer.state === 'suspect') this.#table.judge(peer, 'alive', 'heard again');
    } else if (now >= peer.heldUntilMs) {
      this.#table.judge(peer, 'alive', 'it has stayed connected');
    }
  }

  #suspect(peer: Peer, silentMs: number, witness: string | undefined, now: number): void {
    if (now - peer.askedAboutMs >= ASK_EVERY_MS) {
      peer.askedAboutMs = now;
      void this.opinion.ask(peer);
    }
    if (!peer.present) return;
    if (peer.state !== 'suspect')
      this.#c.logger.info('peer-suspect', { peer: peer.id, silentMs: Math.round(silentMs) });
    const isNews = (witness !== undefined) !== this.#vouchedFor.has(peer);
    if (witness === undefined) this.#vouchedFor.delete(peer);
    else this.#vouchedFor.add(peer);
    if (peer.state !== 'suspect' || isNews) this.#table.judge(peer, 'suspect', inWords(silentMs, witness));
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

function inWords(silentMs: number, witness: string | undefined): string {
  const silent = `silent for ${Math.round(silentMs / 1000)} s`;
  return witness === undefined
    ? silent
    : `${silent}, but ${witness} reaches it: the path from here is broken or slow`;
}
