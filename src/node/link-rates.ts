/**
 * How many bytes a second go over the connections to peers, for whoever plans where layers are computed: by the large messages that
 * go over them anyway (parts of prompts, files of models), and now and then by two pings with bytes in them. Only
 * asked for by a planner: an idle mesh sends nothing of it. A round trip alone is `ping.ts`. Held by the peer table.
 */
import type { Connection } from '../protocol/index.js';
import { type Clock, ExoError, LIMITS, TokenBucket } from '../shared/index.js';
import type { Peer } from './peer.js';

/** What the rates are measured with. */
export interface LinkRatesComponents {
  readonly clock: Clock;
  peers(): Iterable<Peer>;
}

/** Bytes of a ping: the first opens TCP's window, the second is as a part of a prompt. Echoed, so that they go both ways. */
const PROBE_BYTES = [64 * 1024, 256 * 1024] as const;
/** Shorter messages are all round trip. */
const BYTES_MIN = 64 * 1024;
/** At least this part of the time was for the bytes: on a fast path the round trip is as uncertain as they are long. */
const BYTES_SHARE_MIN = 1 / 8;

/** The best of the last minutes: a message that had to wait, for others or for the far node, says nothing of the path. */
class BestRate {
  #sinceMs: number;
  #now = 0;
  #before = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  note(bytesPerS: number, nowMs: number): void {
    this.#turn(nowMs);
    this.#now = Math.max(this.#now, bytesPerS);
  }

  get(nowMs: number): number | null {
    this.#turn(nowMs);
    return Math.round(Math.max(this.#now, this.#before)) || null;
  }

  #turn(nowMs: number): void {
    const halfMs = LIMITS.linkRateKeptMs / 2;
    const turns = Math.floor((nowMs - this.#sinceMs) / halfMs);
    if (turns < 1) return;
    this.#before = turns === 1 ? this.#now : 0;
    this.#now = 0;
    this.#sinceMs += turns * halfMs;
  }
}

/** Of all connections of a node. */
export class LinkRates {
  readonly #c: LinkRatesComponents;
  readonly #rates = new WeakMap<Connection, BestRate>();
  /** `clock.now()` from which one may be measured again. */
  readonly #dueMs = new WeakMap<Connection, number>();
  readonly #stopping = new AbortController();
  #bucket: TokenBucket | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(components: LinkRatesComponents) {
    this.#c = components;
  }

  /** Bytes a second of the link in use; null where none was measured in the last ten minutes. */
  of(peer: Pick<Peer, 'link'>): number | null {
    const connection = peer.link?.connection;
    const rate = connection === undefined ? undefined : this.#rates.get(connection);
    return rate?.get(this.#c.clock.now()) ?? null;
  }

  /** So many bytes went over a connection of the peer, in one message or its answer, and it took so long until that was there. */
  carried(peer: Pick<Peer, 'rtt'>, connection: Connection, bytes: number, tookMs: number): void {
    if (bytes < BYTES_MIN || tookMs <= 0) return;
    const nowMs = this.#c.clock.now();
    const bytesMs = Math.max(tookMs - (peer.rtt?.minMs ?? 0), tookMs * BYTES_SHARE_MIN);
    let rate = this.#rates.get(connection);
    if (rate === undefined) {
      rate = new BestRate(nowMs);
      this.#rates.set(connection, rate);
    }
    rate.note((1_000 * bytes) / bytesMs, nowMs);
  }

  /**
   * Measures the links that were not tried lately, one after the other: new ones first, of these the nearest; who asks meanwhile shares
   * it. Only the side that dialled does, so that two do not measure each other at once. Never rejects.
   */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#measureAll().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Ends what is being measured. Idempotent. */
  stop(): void {
    this.#stopping.abort(new ExoError('request-cancelled', 'the node stops'));
  }

  async #measureAll(): Promise<void> {
    const { clock } = this.#c;
    const due = [...this.#c.peers()].filter((peer) => this.#isDue(peer));
    // Those that fail again and again leave some of what a minute allows to the others. Two new ones: infinity less itself is no number.
    const dueMs = (peer: Peer) => this.#dueOf(peer.link!.connection);
    const inOrder = (a: Peer, b: Peer) => dueMs(a) - dueMs(b) || a.rtt!.srttMs - b.rtt!.srttMs;
    for (const peer of due.sort(inOrder)) {
      const nowMs = clock.now();
      const perMinute = LIMITS.linkProbesPerMinute;
      this.#bucket ??= new TokenBucket(perMinute / 60, perMinute, nowMs);
      if (this.#stopping.signal.aborted || !this.#isDue(peer) || !this.#bucket.take(nowMs)) continue;
      await this.#measure(peer, peer.link!.connection);
    }
  }

  #isDue(peer: Peer): boolean {
    const connection = peer.link?.connection;
    if (connection?.role !== 'dialler' || peer.protocol !== 'exo' || peer.rtt === undefined) return false;
    // What is known does not matter: a rate that is too low sends nothing over the link that would correct it.
    return this.#c.clock.now() >= this.#dueOf(connection) && this.#isFree(peer, connection);
  }

  #dueOf(connection: Connection): number {
    return this.#dueMs.get(connection) ?? Number.NEGATIVE_INFINITY;
  }

  /** Nobody waits for a heartbeat on it, and nothing large is on its way. */
  #isFree(peer: Peer, connection: Connection): boolean {
    const silentMs = this.#c.clock.now() - connection.aliveAtMs;
    if (peer.state !== 'alive' || peer.pingPending || silentMs > LIMITS.heartbeatMs) return false;
    return connection.state === 'established' && connection.stats.queuedBytes < BYTES_MIN;
  }

  async #measure(peer: Peer, connection: Connection): Promise<void> {
    const { clock } = this.#c;
    this.#dueMs.set(connection, clock.now() + LIMITS.linkRateKeptMs);
    let expectedMs = 0;
    for (const bytes of PROBE_BYTES) {
      if (expectedMs > LIMITS.linkProbeMs || !this.#isFree(peer, connection)) return;
      const startedMs = clock.now();
      try {
        const answer = await connection.request(
          { kind: 'ping', data: Buffer.alloc(bytes) },
          { timeoutMs: LIMITS.linkProbeMs, signal: this.#stopping.signal },
        );
        // Echoed: they went there and back.
        this.carried(peer, connection, 2 * bytes, clock.now() - startedMs);
        connection.recycle(answer);
      } catch {
        // The far node may only have been busy: that says nothing of the link.
        this.#dueMs.set(connection, clock.now() + LIMITS.linkRetryMs);
        return;
      }
      expectedMs = (clock.now() - startedMs - peer.rtt!.minMs) * (PROBE_BYTES[1] / PROBE_BYTES[0]);
    }
  }
}
