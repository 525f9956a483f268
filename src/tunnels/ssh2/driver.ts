/**
 * The driver `ssh2`: ssh in this process, for machines without an ssh program. It follows the user's ssh configuration as far as
 * hop-settings.ts says, checks host keys against known_hosts, and speaks AES-GCM only. The package is loaded with the first session.
 */
import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import { type Clock, ExoError, unlessAborted, untilAnyAborted } from '../../shared/index.js';
import type { TunnelSpec } from '../description/tunnel-spec.js';
import type { SessionOptions, TunnelDriver, TunnelSession } from '../driver.js';
import { anchorLabel, evictCommand } from '../ssh/anchor.js';
import { sessionTimes } from '../ssh/session-times.js';
import { runEvict } from './far-command.js';
import { loadSsh2 } from './load.js';
import { Ssh2Session } from './session.js';
import { failureOf, SessionFailed } from './session-failed.js';
import { type ConfigReaderComponents, readHops } from './ssh-config-reader.js';
import { Way } from './way.js';

/** Plain data. */
export interface Ssh2DriverOptions {
  /** Of this node: its far sessions are told from another node's by it. */
  readonly stateFolder: string;
}

/** Collaborators. */
export interface Ssh2DriverComponents extends ConfigReaderComponents {
  readonly clock: Clock;
}

/** Opens nothing by itself. */
export function createSsh2Driver(options: Ssh2DriverOptions, components: Ssh2DriverComponents): TunnelDriver {
  return new Ssh2Driver(options, components);
}

class Ssh2Driver implements TunnelDriver {
  readonly name = 'ssh2';
  readonly #options: Ssh2DriverOptions;
  readonly #components: Ssh2DriverComponents;
  readonly #sessions = new Set<TunnelSession>();
  readonly #stopping = new AbortController();

  constructor(options: Ssh2DriverOptions, components: Ssh2DriverComponents) {
    this.#options = options;
    this.#components = components;
  }

  async available(): Promise<{ readonly version: string } | { readonly missing: string }> {
    try {
      await loadSsh2();
      const { version } = createRequire(import.meta.url)('ssh2/package.json') as { version: string };
      return { version: `ssh2_${version}` };
    } catch (error) {
      return { missing: `the package ssh2 cannot be loaded: ${(error as Error).message}` };
    }
  }

  open(spec: TunnelSpec, options: SessionOptions): TunnelSession {
    const session = new Ssh2Session(
      spec,
      { ...options, ...sessionTimes(spec, options) },
      {
        clock: this.#components.clock,
        readHops: (described, signal) => readHops(described, this.#components, signal),
        anchorLabel: this.#label(spec),
      },
    );
    this.#sessions.add(session);
    void session.closed.then(() => this.#sessions.delete(session));
    return session;
  }

  async evict(
    spec: TunnelSpec,
    farPid: number,
    options: SessionOptions,
    signal: AbortSignal,
  ): Promise<boolean> {
    return untilAnyAborted([signal, this.#stopping.signal], (over) =>
      this.#evict(spec, farPid, options, over),
    );
  }

  async #evict(
    spec: TunnelSpec,
    farPid: number,
    options: SessionOptions,
    over: AbortSignal,
  ): Promise<boolean> {
    const way = new Way(this.#components.clock);
    try {
      const ssh2 = await loadSsh2();
      const machines = await readHops(spec, this.#components, over);
      await way.open(ssh2, machines, { ...options, ...sessionTimes(spec, options) }, over);
      const ended = runEvict(way.last.client, evictCommand(this.#label(spec), farPid));
      const broken = way.closed.then(({ code, message }) => Promise.reject(new SessionFailed(code, message)));
      return await unlessAborted(Promise.race([ended, broken]), over);
    } catch (error) {
      over.throwIfAborted();
      throw new ExoError('tunnel-failed', failureOf(error).message, { retryable: true });
    } finally {
      await way.end();
    }
  }

  async firstHop(
    spec: TunnelSpec,
    signal: AbortSignal,
  ): Promise<{ readonly host: string; readonly port: number } | undefined> {
    try {
      const [first] = await readHops(spec, this.#components, signal);
      return first === undefined ? undefined : { host: first.host, port: first.port };
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the driver has been stopped'));
    await Promise.all([...this.#sessions].map((session) => session.close()));
  }

  #label(spec: TunnelSpec): string {
    return anchorLabel(this.#options.stateFolder, hostname(), spec.name);
  }
}
