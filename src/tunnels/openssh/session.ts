/**
 * One ssh session of the openssh driver: checks what can be checked before anything is started, asks ssh for the way,
 * writes the configuration, and runs ssh - a second time in a plainer form where the server does not allow the session that
 * was asked for. Afterwards nothing of it is left.
 */
import { accessSync, constants, statSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { type Clock, ExoError, type Logger, printable, type Random } from '../../shared/index.js';
import type { Endpoint, TunnelSpec } from '../description/tunnel-spec.js';
import type { SessionFacts, SessionOptions, TunnelSession } from '../driver.js';
import type { TunnelFailure } from '../failure.js';
import { anchorCommand } from '../ssh/anchor.js';
import { dumped } from '../ssh/config-dump.js';
import type { Route } from '../ssh/route.js';
import { sessionTimes } from '../ssh/session-times.js';
import { AES_CIPHERS } from './aes.js';
import { Attempt, type AttemptEnd, type AttemptFacts } from './attempt.js';
import type { Guard } from './guard.js';
import { resolve } from './resolve.js';
import { plainerThan, type ServerRights, type SessionMode } from './server-rights.js';
import { SessionFiles } from './session-files.js';
import { tunnelArgs } from './ssh-args.js';
import { sshConfigText } from './ssh-config.js';

/** What is opened. */
export interface SessionPlan {
  readonly spec: TunnelSpec;
  readonly options: SessionOptions;
  readonly stateFolder: string;
  readonly anchorLabel: string;
}

/** What the driver shares among its sessions. */
export interface SessionComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly guard: Guard;
  readonly rights: ServerRights;
  /** The built-in list of ciphers where AES is fast here; undefined where nothing is preferred. */
  readonly fastAesOver: () => Promise<string | undefined>;
  /** Resolves when what an earlier run has left is gone. */
  readonly swept: Promise<void>;
}

/** An open session, or one on its way. */
export class OpensshSession implements TunnelSession {
  readonly opened: Promise<SessionFacts>;
  readonly closed: Promise<TunnelFailure | 'stopped'>;
  readonly named: Promise<number>;
  readonly #plan: SessionPlan;
  readonly #components: SessionComponents;
  readonly #stop = new AbortController();
  #attempt: Attempt | undefined;
  #resolveOpened: (facts: SessionFacts) => void = () => undefined;
  #resolveNamed: (farPid: number) => void = () => undefined;

  constructor(plan: SessionPlan, components: SessionComponents) {
    this.#plan = plan;
    this.#components = components;
    this.opened = new Promise((resolveOpened) => {
      this.#resolveOpened = resolveOpened;
    });
    this.named = new Promise((resolveNamed) => {
      this.#resolveNamed = resolveNamed;
    });
    this.closed = this.#run().catch((error: unknown) => {
      const message = printable(error instanceof Error ? error.message : 'unknown', 300);
      return this.#stop.signal.aborted ? 'stopped' : { code: 'driver-fault', message };
    });
  }

  connectFar(target: Endpoint, signal: AbortSignal): Promise<Duplex> {
    if (this.#attempt !== undefined) return this.#attempt.connectFar(target, signal);
    return Promise.reject(
      new ExoError('connection-closed', 'the ssh session is not open', { retryable: true }),
    );
  }

  /** ssh counts no bytes, and what the system counts for its process has no direction. */
  bytes(): undefined {
    return undefined;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    void this.#attempt?.end();
    await this.closed;
  }

  async #run(): Promise<TunnelFailure | 'stopped'> {
    const { spec, options, stateFolder } = this.#plan;
    const { clock, rights, random, swept } = this.#components;
    const unusable = checkFiles(spec);
    if (unusable !== undefined) return unusable;
    await swept;
    const resolved = await resolve(spec, this.#stop.signal, { clock });
    if (this.#stop.signal.aborted) return 'stopped';
    if ('failure' in resolved) return resolved.failure;

    const files = SessionFiles.create(stateFolder, random);
    try {
      files.writeConfig(await configText(this.#plan, resolved.route, files, this.#components));
      let mode = rights.modeFor(spec, wantedMode(options, resolved.route));
      while (!this.#stop.signal.aborted) {
        const end = await this.#try(mode, resolved.route, files);
        if (typeof end === 'string' || !('refused' in end)) return end;
        if (mode === 'none')
          return { code: 'driver-fault', message: 'ssh asked for a session that was not wanted' };
        rights.refused(spec, mode);
        mode = plainerThan(mode);
      }
      return 'stopped';
    } finally {
      files.remove();
    }
  }

  async #try(mode: SessionMode, route: Route, files: SessionFiles): Promise<AttemptEnd> {
    const { spec, options, anchorLabel } = this.#plan;
    const paths = { configFile: files.config, controlPath: files.control };
    const attempt = new Attempt(
      {
        spec,
        args: tunnelArgs(spec, paths, {
          pty: mode === 'pty',
          ...(mode === 'none' ? {} : { command: anchorCommand(anchorLabel, spec.reverse) }),
        }),
        files,
        // TCP and banner of every hop, and as much again for the login.
        loginTimeoutMs: sessionTimes(spec, options).connectTimeoutMs * (route.hops.length + 1),
        anchorLabel: mode === 'none' ? undefined : anchorLabel,
        anchorWaitMs: this.#components.rights.anchorWaitMs(spec),
      },
      this.#components,
    );
    this.#attempt = attempt;
    void attempt.opened.then((facts) => this.#onOpened(mode, facts));
    void attempt.farPid.then(this.#resolveNamed);
    return attempt.ended;
  }

  #onOpened(mode: SessionMode, { anchor, ...facts }: AttemptFacts): void {
    const { spec, options } = this.#plan;
    if (anchor === 'refused') this.#components.rights.refused(spec, 'command');
    else if (anchor !== 'not-asked') this.#components.rights.anchored(spec, anchor);
    const pty = !options.pty ? 'not-asked' : mode === 'pty' && anchor !== 'refused' ? 'held' : 'refused';
    this.#resolveOpened({ ...facts, pty });
  }
}

/** A person who wants no session at all says so in the words of ssh. */
function wantedMode(options: SessionOptions, route: Route): SessionMode {
  const settings = route.hops.at(-1)?.settings;
  if (settings !== undefined && dumped(settings, 'sessiontype') === undefined && settings.has('sessiontype'))
    return 'none';
  return options.pty ? 'pty' : 'command';
}

/** Text of the `-F` file. */
export async function configText(
  { spec, options }: Pick<SessionPlan, 'spec' | 'options'>,
  route: Route,
  files: SessionFiles,
  components: Pick<SessionComponents, 'fastAesOver'>,
): Promise<string> {
  const builtIn = await components.fastAesOver();
  const settings = route.hops.at(-1)?.settings;
  // Where the user's configuration names ciphers, their order is the user's.
  const free = builtIn !== undefined && settings !== undefined && dumped(settings, 'ciphers') === builtIn;
  return sshConfigText(spec, route, {
    session: options,
    configFile: files.config,
    ...(free ? { preferredCiphers: AES_CIPHERS } : {}),
  });
}

/** The files that the description names. ssh would pass over a key that is missing and offer others. */
function checkFiles(spec: TunnelSpec): TunnelFailure | undefined {
  for (const file of spec.identity) {
    // The public half is enough where an agent holds the other.
    const faults = [file, `${file}.pub`].map(readFault);
    if (faults.every((fault) => fault !== undefined)) {
      return {
        code: 'identity-unreadable',
        message: printable(`the key ${file} cannot be read (${faults[0]})`, 300),
      };
    }
  }
  const fault = spec.knownHosts === undefined ? undefined : readFault(spec.knownHosts);
  if (fault === undefined) return undefined;
  const message = printable(`the known_hosts file ${spec.knownHosts} cannot be read (${fault})`, 300);
  return { code: 'host-key-unreadable', message };
}

function readFault(file: string): string | undefined {
  try {
    accessSync(file, constants.R_OK);
    return statSync(file).isDirectory() ? 'it is a folder' : undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  }
}
