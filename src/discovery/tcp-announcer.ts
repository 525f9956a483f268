/**
 * The asking half of TCP discovery: whom to ask, in which order and how fast. Known places come first and often;
 * the own private networks are swept once a minute. Never more than 32 questions a second in all. tcp.ts owns it.
 */
import { setMaxListeners } from 'node:events';
import type { Clock, Logger, Random, Startable, TimerHandle } from '../shared/index.js';
import { isLoopback, LIMITS } from '../shared/index.js';
import type { Announce } from './announce.js';
import type { LocalInterface } from './interfaces.js';
import type { ReadNeighbours } from './neighbours.js';
import { isSweepable, sweepHosts } from './sweep.js';
import { askForAnnounce, type ConnectForAnnounce } from './tcp-exchange.js';

/** Where to ask. */
export interface TcpAnnouncerOptions {
  /** The port on which others listen. */
  readonly port: number;
}

/** What the announcer needs. */
export interface TcpAnnouncerComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly connect: ConnectForAnnounce;
  /** The own announce. */
  announce(): Announce;
  interfaces(): readonly LocalInterface[];
  neighbours: ReadNeighbours;
  /** Hosts named by the user, of peers, and found before. */
  knownHosts(): readonly string[];
  /** Whether a node at this port of this host is this one. */
  isSelf(host: string): boolean;
  onAnswer(host: string, answer: Announce): void;
}

/** The original's interval. */
const KNOWN_MS = 5_000;
const SWEEP_MS = 60_000;
/** The original's. A machine of the own LAN that takes longer is asked again. */
const CONNECT_TIMEOUT_MS = 1_000;
/** ± 10 %, so that nodes started together do not sweep together for ever. */
const JITTER_SHARE = 0.1;

/** Asks until stopped. */
export class TcpAnnouncer implements Startable {
  readonly #port: number;
  readonly #c: TcpAnnouncerComponents;
  /** To be asked; known places before swept ones. A host is in one of them once. */
  readonly #known = new Set<string>();
  readonly #sweep = new Set<string>();
  readonly #asking = new Map<string, Promise<void>>();
  #listing: Promise<void> = Promise.resolve();
  #timers: TimerHandle[] = [];
  #pace: TimerHandle | undefined;
  #abort = new AbortController();
  #asked = 0;
  #answered = 0;

  constructor(options: TcpAnnouncerOptions, components: TcpAnnouncerComponents) {
    this.#port = options.port;
    this.#c = components;
  }

  async start(): Promise<void> {
    if (this.#timers.length > 0) return;
    this.#abort = new AbortController();
    // Every question listens to it.
    setMaxListeners(LIMITS.announceDialsMax, this.#abort.signal);
    const jitter = 1 + JITTER_SHARE * (2 * this.#c.random.next() - 1);
    this.#timers = [
      this.#c.clock.every(KNOWN_MS * jitter, () => this.#listKnown()),
      this.#c.clock.every(SWEEP_MS * jitter, () => this.#listSweep()),
    ];
    this.#listKnown();
    this.#listSweep();
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
    this.#abort.abort();
    this.#pace?.cancel();
    this.#pace = undefined;
    this.#known.clear();
    this.#sweep.clear();
    await Promise.all([this.#listing, ...this.#asking.values()]);
  }

  describe(): string {
    const left = this.#known.size + this.#sweep.size;
    return `asked ${this.#asked} times on port ${this.#port}, ${this.#answered} answers${left === 0 ? '' : `, ${left} to go`}`;
  }

  #listKnown(): void {
    for (const host of this.#c.knownHosts()) this.#queue(this.#known, host);
    // A node on this machine that listens on the port we ask on is another one (crossed ports).
    this.#queue(this.#known, '127.0.0.1');
    const { signal } = this.#abort;
    this.#listing = this.#c.neighbours().then((hosts) => {
      if (signal.aborted) return;
      for (const host of hosts) if (isSweepable(host)) this.#queue(this.#known, host);
    });
  }

  #listSweep(): void {
    for (const host of sweepHosts(this.#c.interfaces())) {
      if (!this.#known.has(host)) this.#queue(this.#sweep, host);
    }
  }

  #queue(list: Set<string>, host: string): void {
    if (list.size >= LIMITS.candidatesMax || this.#asking.has(host) || this.#c.isSelf(host)) return;
    list.add(host);
    if (list === this.#known) this.#sweep.delete(host);
    if (this.#pace !== undefined) return;
    this.#pace = this.#c.clock.every(1_000 / LIMITS.sweepDialsPerSecond, () => this.#next());
    this.#next();
  }

  #next(): void {
    if (this.#asking.size >= LIMITS.announceDialsMax) return;
    const list = this.#known.size > 0 ? this.#known : this.#sweep;
    const next = list.values().next();
    if (next.done) {
      this.#pace?.cancel();
      this.#pace = undefined;
      return;
    }
    const host = next.value;
    list.delete(host);
    const asking = this.#ask(host).finally(() => this.#asking.delete(host));
    this.#asking.set(host, asking);
  }

  async #ask(host: string): Promise<void> {
    this.#asked += 1;
    try {
      const { announce, host: from } = await askForAnnounce(
        { host, port: this.#port, connectTimeoutMs: CONNECT_TIMEOUT_MS, announce: this.#c.announce() },
        { clock: this.#c.clock, connect: this.#c.connect, signal: this.#abort.signal },
      );
      if (this.#abort.signal.aborted) return;
      this.#answered += 1;
      this.#c.onAnswer(from, announce);
    } catch (error) {
      // Most hosts of a network are no nodes: that is no event for a person.
      if (!isLoopback(host)) this.#c.logger.debug('announce-not-answered', { host, error });
    }
  }
}
