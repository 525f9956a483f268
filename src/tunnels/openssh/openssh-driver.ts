/**
 * The driver that uses the ssh of this machine: opens sessions, ends stale ones on far machines, and knows where a tunnel
 * leads first. What its sessions share (the guard, what servers allow, ciphers) lives here.
 */
import { hostname } from 'node:os';
import { type Clock, ExoError, type Logger, type Random, systemRandom } from '../../shared/index.js';
import type { TunnelSpec } from '../description/tunnel-spec.js';
import type { SessionOptions, TunnelDriver, TunnelSession } from '../driver.js';
import { anchorLabel, evictCommand, saysEnded } from '../ssh/anchor.js';
import { builtInCiphers } from '../ssh/config-query.js';
import { firstAddress } from '../ssh/route.js';
import { runSsh, type SshAnswer } from '../ssh/run-ssh.js';
import { sessionTimes } from '../ssh/session-times.js';
import { contextOf, explainExit, explainStart } from '../ssh/ssh-exit.js';
import { hasAesInstructions } from './aes.js';
import { Guard } from './guard.js';
import { resolve } from './resolve.js';
import { ServerRights } from './server-rights.js';
import { configText, OpensshSession, type SessionComponents } from './session.js';
import { endLeftovers, SessionFiles } from './session-files.js';
import { plainSessionArgs } from './ssh-args.js';

/** Plain data. */
export interface OpensshDriverOptions {
  /** Folder of this node for what lives as long as a session; made 0700. */
  readonly stateFolder: string;
}

/** Collaborators. */
export interface OpensshDriverComponents {
  readonly clock: Clock;
  /** @default the system's */
  readonly random?: Random;
  readonly logger: Logger;
}

/** `ssh -V` reads no configuration. */
const VERSION_TIMEOUT_MS = 5_000;
/** From here on (2015) there is `ssh -G`; the control socket forwards unix sockets since 6.7. */
const VERSION_MIN = 6.8;
/** The far machine waits up to three seconds for the end of the process. */
const EVICT_MARGIN_MS = 5_000;

/** Makes the driver; nothing is started before the first session. */
export function createOpensshDriver(
  options: OpensshDriverOptions,
  components: OpensshDriverComponents,
): TunnelDriver {
  return new OpensshDriver(options, components);
}

class OpensshDriver implements TunnelDriver {
  readonly name = 'openssh';
  readonly #stateFolder: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #guard: Guard;
  readonly #rights: ServerRights;
  readonly #sessions = new Set<TunnelSession>();
  #swept: Promise<void> | undefined;
  #fastAesOver: Promise<string | undefined> | undefined;

  constructor(options: OpensshDriverOptions, components: OpensshDriverComponents) {
    this.#stateFolder = options.stateFolder;
    this.#clock = components.clock;
    this.#random = components.random ?? systemRandom;
    this.#logger = components.logger;
    this.#guard = new Guard(components);
    this.#rights = new ServerRights(components);
  }

  async available(): Promise<{ readonly version: string } | { readonly missing: string }> {
    if (process.platform === 'win32') return { missing: 'the ssh of Windows has no control socket' };
    const answer = await runSsh(['-V'], { timeoutMs: VERSION_TIMEOUT_MS }, { clock: this.#clock });
    if (answer.error !== undefined) return { missing: explainStart(answer.error).message };
    const version = /^(OpenSSH_(\d+\.\d+)\S*?),?(?:\s|$)/.exec(answer.stderr);
    if (version?.[1] === undefined) return { missing: 'the ssh in PATH is not OpenSSH' };
    if (Number(version[2]) < VERSION_MIN) {
      return { missing: `${version[1]} is too old; ${VERSION_MIN} is needed` };
    }
    return { version: version[1] };
  }

  open(spec: TunnelSpec, options: SessionOptions): TunnelSession {
    const plan = { spec, options, stateFolder: this.#stateFolder, anchorLabel: this.#labelOf(spec) };
    const session = new OpensshSession(plan, this.#shared());
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
    signal.throwIfAborted();
    const shared = this.#shared();
    await shared.swept;
    const resolved = await resolve(spec, signal, { clock: this.#clock });
    signal.throwIfAborted();
    if ('failure' in resolved) throw new ExoError('tunnel-failed', resolved.failure.message);
    const files = SessionFiles.create(this.#stateFolder, this.#random);
    try {
      files.writeConfig(await configText({ spec, options }, resolved.route, files, shared));
      const answer = await runSsh(
        plainSessionArgs(spec, files.config, evictCommand(this.#labelOf(spec), farPid)),
        {
          timeoutMs:
            sessionTimes(spec, options).connectTimeoutMs * (resolved.route.hops.length + 1) + EVICT_MARGIN_MS,
          signal,
          onStart: (pid) => {
            const { config, folders } = files;
            this.#guard.hold(config, { pid, mark: config, folders, sockets: [] });
            files.record(pid);
          },
        },
        { clock: this.#clock },
      );
      signal.throwIfAborted();
      // 255 is ssh's own; the command on the far machine ends with 0, or with what its shell says.
      if (answer.cut || answer.exitCode === 255 || answer.exitCode === null) {
        throw new ExoError('tunnel-failed', sayWhyNot(answer, spec), { retryable: true });
      }
      const ended = saysEnded(answer.stdout);
      this.#logger.debug('tunnel-evict', { tunnel: spec.name, farPid, ended, exitCode: answer.exitCode });
      return ended;
    } finally {
      this.#guard.drop(files.config);
      files.remove();
    }
  }

  async firstHop(
    spec: TunnelSpec,
    signal: AbortSignal,
  ): Promise<{ readonly host: string; readonly port: number } | undefined> {
    const resolved = await resolve(spec, signal, { clock: this.#clock });
    return 'route' in resolved ? firstAddress(resolved.route) : undefined;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#sessions].map((session) => session.close()));
    await this.#guard.stop();
  }

  #labelOf(spec: TunnelSpec): string {
    return anchorLabel(this.#stateFolder, hostname(), spec.name);
  }

  #shared(): SessionComponents {
    const components = { clock: this.#clock, logger: this.#logger };
    this.#swept ??= endLeftovers(this.#stateFolder, components);
    return {
      ...components,
      random: this.#random,
      guard: this.#guard,
      rights: this.#rights,
      swept: this.#swept,
      fastAesOver: () => {
        this.#fastAesOver ??= hasAesInstructions() ? builtInCiphers(components) : Promise.resolve(undefined);
        return this.#fastAesOver;
      },
    };
  }
}

function sayWhyNot(answer: SshAnswer, spec: TunnelSpec): string {
  if (answer.error !== undefined) return explainStart(answer.error).message;
  if (answer.cut) return `${spec.destination.text} did not answer in time`;
  const found = explainExit({ ...answer, established: false }, contextOf(spec));
  return 'message' in found ? found.message : `${spec.destination.text} allows no command`;
}
