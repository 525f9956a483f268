/**
 * One ssh connection without forwards that runs fixed commands on the far machine: what `exo connect` uses to look around
 * and to start things there. Same configuration as a tunnel (ssh-config.ts), one login for all commands. It ends when this
 * process does, in whatever way: its session waits for the end of our input.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Clock, LIMITS } from '../../shared/index.js';
import type { TunnelSpec } from '../description/tunnel-spec.js';
import type { TunnelFailure } from '../failure.js';
import type { Route } from '../ssh/route.js';
import { SshChild } from '../ssh/ssh-child.js';
import { contextOf, explainExit, explainStart } from '../ssh/ssh-exit.js';
import { FarCommands } from './far-commands.js';
import { untilLoggedIn } from './login-watch.js';
import { resolve } from './resolve.js';
import { type SshFiles, sharedSessionArgs, tunnelArgs } from './ssh-args.js';
import { sshConfigText } from './ssh-config.js';
import { readHostKey, readLogin } from './ssh-said.js';

/** How to connect. */
export interface CommandConnectionOptions {
  /** Forwards of it are not opened. */
  readonly spec: TunnelSpec;
  /**
   * `known`: only a key that a known_hosts file has. `accept-new`: the key of a host that is in none is added to it; a
   * changed key is refused all the same. @default 'known'
   */
  readonly hostKey?: 'known' | 'accept-new';
  readonly signal: AbortSignal;
}

/** What the login told. */
export interface CommandConnectionFacts {
  readonly serverVersion?: string;
  readonly cipher?: string;
  /** Type and fingerprint as ssh prints them: `ssh-ed25519 SHA256:…`. */
  readonly hostKey?: string;
  /** The key was added to a known_hosts file just now. */
  readonly hostKeyAdded: boolean;
}

/** An open connection. */
export interface CommandConnection {
  readonly facts: CommandConnectionFacts;
  /**
   * Starts a command line on the far machine; the caller owns its streams. ssh's exit code is the command's, 255 its own.
   * @param line fixed words of ours; never anything that was not quoted for every shell
   */
  start(line: string): ChildProcessWithoutNullStreams;
  /** Ends the connection and everything started over it. Idempotent. */
  close(): Promise<void>;
}

const FOLDER = 'exo-login-';
const ORPHAN = new RegExp(`^${FOLDER}(\\d+)-`);
/** Far longer than any step of `exo connect`. */
const ORPHAN_AGE_MS = 3_600_000;
/** Holds the session until our input ends; every shell reads it alike. */
const HOLD = 'exec cat >/dev/null';
/** From the start of ssh to the login, jump hosts and slow agents included. */
const LOGIN_WITHIN_MS = 60_000;

/** Connects; resolves with the connection or with why there is none. Rejects with the signal's reason only. */
export async function openCommandConnection(
  options: CommandConnectionOptions,
  components: { readonly clock: Clock },
): Promise<CommandConnection | TunnelFailure> {
  const { spec, signal } = options;
  signal.throwIfAborted();
  // Short, and nobody else's: the path of a socket may have some hundred bytes.
  removeOrphans(components.clock.wall());
  const folder = mkdtempSync(path.join(tmpdir(), `${FOLDER}${process.pid}-`));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const files: SshFiles = { configFile: path.join(folder, 'config'), controlPath: path.join(folder, 's') };
  try {
    const resolved = await resolve(spec, signal, components);
    signal.throwIfAborted();
    const connection =
      'failure' in resolved ? resolved.failure : await login(options, resolved.route, files, components);
    if (!('code' in connection)) return withFolder(connection, remove);
    remove();
    return connection;
  } catch (error) {
    remove();
    throw error;
  }
}

/** Folders of processes that were killed outright. */
function removeOrphans(nowMs: number): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(ORPHAN.exec(name)?.[1] ?? process.pid);
    if (pid === process.pid) continue;
    try {
      process.kill(pid, 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') continue;
      const folder = path.join(tmpdir(), name);
      try {
        // A container may share the folder and not the pids: what is in use is young.
        if (nowMs - statSync(folder).mtimeMs > ORPHAN_AGE_MS) rmSync(folder, { recursive: true });
      } catch {
        // Another user's, and theirs to remove.
      }
    }
  }
}

function writeConfig(spec: TunnelSpec, route: Route, files: SshFiles): void {
  const session = {
    connectTimeoutMs: LIMITS.tunnelConnectTimeoutMs,
    keepaliveIntervalMs: LIMITS.tunnelKeepaliveIntervalMs,
    keepaliveCountMax: LIMITS.tunnelKeepaliveCountMax,
  };
  const text = sshConfigText(spec, route, {
    session,
    configFile: files.configFile,
  });
  writeFileSync(files.configFile, text, { mode: 0o600 });
}

async function login(
  { spec, hostKey, signal }: CommandConnectionOptions,
  route: Route,
  files: SshFiles,
  components: { readonly clock: Clock },
): Promise<CommandConnection | TunnelFailure> {
  writeConfig(spec, route, files);
  const accept = hostKey === 'accept-new' ? ['-o', 'StrictHostKeyChecking=accept-new'] : [];
  const args = [...accept, ...tunnelArgs(spec, files, { pty: false, command: HOLD })];
  const master = new SshChild(args, {}, components);
  const onAbort = () => void master.end();
  signal.addEventListener('abort', onAbort, { once: true });
  const late = components.clock.after(LOGIN_WITHIN_MS, onAbort);
  try {
    const loggedIn = await untilLoggedIn(master, files.controlPath, components.clock).loggedIn;
    if (signal.aborted) await master.end();
    signal.throwIfAborted();
    if (!loggedIn) {
      const exit = await master.exited;
      if (exit.error !== undefined) return explainStart(exit.error);
      return failureOf(spec, exit, master.stderr);
    }
  } finally {
    late.cancel();
    signal.removeEventListener('abort', onAbort);
  }
  const commands = new FarCommands(components);
  return {
    facts: { ...readLogin(master.stderr), ...readHostKey(master.stderr) },
    start: (line) => commands.start(['-o', 'LogLevel=ERROR', ...sharedSessionArgs(spec, files, line)]),
    close: async () => void (await Promise.all([commands.end(), master.end()])),
  };
}

function failureOf(
  spec: TunnelSpec,
  exit: { readonly exitCode: number | null; readonly signal: NodeJS.Signals | null },
  stderr: string,
): TunnelFailure {
  const reason = explainExit({ ...exit, stderr, established: false }, contextOf(spec));
  if ('code' in reason) return reason;
  return { code: 'spec-refused', message: 'the server allows no commands for this account' };
}

function withFolder(connection: CommandConnection, remove: () => void): CommandConnection {
  return {
    ...connection,
    close: async () => {
      await connection.close();
      remove();
    },
  };
}
