/** All connections of one session of the ssh2 driver: jump hosts in order, the destination last, each inside the one before. */
import type { ClientChannel } from 'ssh2';
import { type Clock, unlessAborted, withDeadline } from '../../shared/index.js';
import type { SessionOptions } from '../driver.js';
import type { TunnelFailure } from '../failure.js';
import { Hop, type HopOptions } from './hop.js';
import type { HopSettings } from './hop-settings.js';
import { gatherIdentities, type Identities } from './identities.js';
import { loadKnownHosts } from './known-hosts.js';
import { SAFE_CIPHERS, type SafeCipher, type Ssh2Module } from './load.js';
import { SessionFailed } from './session-failed.js';
import { FarRefused, openFar } from './wires.js';

/** An open way. */
export class Way {
  readonly #hops: Hop[] = [];
  readonly #identities: Identities[] = [];
  readonly #clock: Clock;
  #ended = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The connection to the destination. */
  get last(): Hop {
    return this.#hops.at(-1) as Hop;
  }

  /** One of its connections has ended. */
  get broken(): boolean {
    return this.#hops.some((hop) => hop.over);
  }

  /** Resolves with why it broke: the outermost connection that ended takes the others with it. */
  get closed(): Promise<TunnelFailure> {
    return Promise.race(this.#hops.map((hop) => hop.closed));
  }

  /** Connects through all; throws `SessionFailed`, or the signal's reason. What was opened by then is ended by `end`. */
  async open(
    ssh2: Ssh2Module,
    machines: readonly HopSettings[],
    session: SessionOptions,
    signal: AbortSignal,
  ): Promise<void> {
    for (const [index, settings] of machines.entries()) {
      const knownHosts = await loadKnownHosts(settings.knownHostsFiles, settings.namedKnownHosts);
      if ('kind' in knownHosts) {
        throw new SessionFailed(
          'host-key-unreadable',
          `the known_hosts file ${knownHosts.file} cannot be read (${knownHosts.reason}): mend it, or name another with knownHosts`,
        );
      }
      const identities = await gatherIdentities(ssh2, settings, this.#clock);
      this.#identities.push(identities);
      signal.throwIfAborted();
      const before = this.#hops.at(-1);
      const through =
        before === undefined ? undefined : await this.#through(before, settings, session, signal);
      const role = index === machines.length - 1 ? '' : 'jump host: ';
      const options: HopOptions = {
        settings,
        knownHosts,
        identities,
        session,
        role,
        ciphers: ciphersFor(settings),
      };
      const hop = new Hop(ssh2, this.#clock, through === undefined ? options : { ...options, through });
      this.#hops.push(hop);
      await unlessAborted(hop.ready, signal);
    }
  }

  /** Ends all, innermost first; resolves when they are closed. Idempotent. */
  async end(): Promise<void> {
    if (!this.#ended) {
      this.#ended = true;
      for (const hop of [...this.#hops].reverse()) hop.end();
      for (const { agent } of this.#identities) agent?.close();
    }
    await Promise.all(this.#hops.map((hop) => hop.closed));
  }

  /** A channel from a jump host to the next machine. */
  async #through(
    before: Hop,
    { host, port }: HopSettings,
    session: SessionOptions,
    signal: AbortSignal,
  ): Promise<ClientChannel> {
    const place = `${host}:${port}`;
    const target = { kind: 'tcp', host, port } as const;
    const tooLate = () =>
      new SessionFailed('connect-timeout', `the jump host ${before.label} gets no answer from ${place}`);
    const deadline = { clock: this.#clock, timeoutMs: session.connectTimeoutMs, owner: signal, tooLate };
    try {
      return await withDeadline(deadline, (limited) =>
        openFar(before.client, target, { host: '127.0.0.1', port: 0 }, limited),
      );
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof SessionFailed) throw error;
      if (!(error instanceof FarRefused))
        throw new SessionFailed('connection-lost', `the jump host ${before.label} went away`);
      if (error.prohibited) {
        throw new SessionFailed(
          'forward-refused',
          `the policy of the jump host ${before.label} forbids to connect to ${place}`,
        );
      }
      throw new SessionFailed(
        'connect-refused',
        `the jump host ${before.label} cannot connect to ${place}: ${error.message}`,
      );
    }
  }
}

/** What the configuration and safety both allow; throws `SessionFailed` (`no-common-algorithm`) when that is nothing. */
function ciphersFor({ name, ciphers }: HopSettings): SafeCipher[] {
  // In the order of the configuration, as ssh does.
  const allowed =
    ciphers === undefined
      ? [...SAFE_CIPHERS]
      : ciphers.flatMap((cipher) => SAFE_CIPHERS.filter((safe) => safe === cipher));
  if (allowed.length > 0) return allowed;
  throw new SessionFailed(
    'no-common-algorithm',
    `the driver ssh2 speaks ${SAFE_CIPHERS.join(' and ')}, and the Ciphers set for ${name} allow neither; use the driver openssh`,
  );
}
