/**
 * A real OpenSSH server of a test: on loopback or on a host of the lab, with keys and files of its own, and the faults
 * that a test wants to make (sessions frozen or killed, the server gone, another host key). As root it lets the
 * chosen account in by key; started by anybody else it lets in that user only. Nothing of the machine's own ssh is
 * read or changed, and nothing is left behind.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import type { Host } from '../lab/lab.js';
import { eventually, Hopeless } from './eventually.js';
import { steadyPort } from './ports.js';
import { allProcesses, descendants, look, runs, type SeenProcess, signal } from './process-tree.js';
import { Child, type Cleanup } from './processes.js';

const SSHD = '/usr/sbin/sshd';
const START_TIMEOUT_MS = 10_000;
const END_TIMEOUT_MS = 5_000;
const servers = new Set<Sshd>();

// Before the hook that kills the listeners: sessions are found as their children.
process.prependListener('exit', () => {
  for (const server of servers) server.killNow();
});

/** Why there can be no sshd here, as a reason for a skipped test; undefined when there can. */
export function sshdUnavailable(): string | undefined {
  if (process.platform !== 'linux') return 'the sshd of the tests is found and watched through /proc (Linux)';
  if (!existsSync(SSHD)) return 'openssh-server is not installed';
  if (spawnSync('ssh', ['-V'], { stdio: 'ignore' }).status !== 0) return 'openssh-client is not installed';
  return undefined;
}

/** How a server is made. */
export interface SshdOptions {
  /** The host of the lab it runs on. @default this machine */
  readonly host?: Host;
  /** Address it listens on. @default the first address of `host`, 127.0.0.1 here */
  readonly listen?: string;
  /** @default 2222 on a host of the lab; here one that is free and is nobody's outgoing port */
  readonly port?: number;
  /** Account that the client key opens. @default the user who runs the test */
  readonly user?: string;
  /** Lines of sshd_config: added to those below, or in the place of the one with the same name. */
  readonly config?: SshdConfig;
}

/** Keywords and values; several values make several lines. */
export type SshdConfig = Readonly<Record<string, string | number | readonly string[]>>;

/** Makes a key pair without a passphrase (or with one): `file` and `file.pub`. */
export function makeKeyPair(file: string, options: { type?: string; passphrase?: string } = {}): void {
  const type = options.type ?? 'ed25519';
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', options.passphrase ?? '', '-C', 'test', '-f', file]);
}

/** One server; `startSshd` makes it. */
export class Sshd {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** Its files; goes with it. */
  readonly folder: string;
  /** Private key that is let in. */
  readonly identity: string;
  /** known_hosts with its key: in plain, and with the names hashed. */
  readonly knownHosts: string;
  readonly knownHostsHashed: string;
  /** ssh_config for clients: port, key, known hosts. It stands where a person would rely on ~/.ssh. */
  readonly clientConfig: string;
  /** authorized_keys, to add to or to empty. */
  readonly authorizedKeys: string;
  readonly #host: Host | undefined;
  readonly #hostKeyFile: string;
  readonly #logFile: string;
  readonly #config: Map<string, readonly string[]>;
  readonly #seen = new Map<number, SeenProcess>();
  #child: Child | undefined;

  constructor(folder: string, port: number, options: SshdOptions) {
    this.#host = options.host;
    this.folder = folder;
    this.port = port;
    this.address = options.listen ?? (options.host?.address || '127.0.0.1');
    this.user = options.user ?? userInfo().username;
    const file = (name: string) => path.join(folder, name);
    this.identity = file('client_key');
    this.knownHosts = file('known_hosts');
    this.knownHostsHashed = file('known_hosts_hashed');
    this.clientConfig = file('ssh_config');
    this.authorizedKeys = file('authorized_keys');
    this.#hostKeyFile = file('host_key');
    this.#logFile = file('log');
    this.#config = new Map(
      Object.entries({
        Port: port,
        ListenAddress: this.address,
        HostKey: this.#hostKeyFile,
        AuthorizedKeysFile: this.authorizedKeys,
        PidFile: file('sshd.pid'),
        // The folder lies under a world-writable /tmp.
        StrictModes: 'no',
        UsePAM: 'no',
        PasswordAuthentication: 'no',
        KbdInteractiveAuthentication: 'no',
        PermitRootLogin: 'prohibit-password',
        GatewayPorts: 'clientspecified',
        // Many clients may begin at once; OpenSSH would drop some from the eleventh on.
        MaxStartups: '200',
        PrintMotd: 'no',
        // bash reads ~/.bashrc in the top-level shell of an ssh session: what the machine's own user has there is
        // slow, may wait for a lock, and is no part of any test.
        SetEnv: 'SHLVL=1',
        // What was asked for and offered is only told from here on.
        LogLevel: 'DEBUG1',
      }).map(([key, value]) => [key, [String(value)]]),
    );
    this.configure(options.config ?? {});

    // Another account must be able to read its authorized_keys; private keys are 0600 by themselves.
    chmodSync(folder, 0o755);
    makeKeyPair(this.identity);
    copyFileSync(`${this.identity}.pub`, this.authorizedKeys);
    writeFileSync(this.#logFile, '');
    this.newHostKey();
    writeFileSync(this.knownHosts, this.knownHostsLine);
    copyFileSync(this.knownHosts, this.knownHostsHashed);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', this.knownHostsHashed], { stdio: 'ignore' });
    rmSync(`${this.knownHostsHashed}.old`, { force: true });
    writeFileSync(
      this.clientConfig,
      `Host *
  Port ${port}
  User ${this.user}
  IdentityFile ${this.identity}
  IdentitiesOnly yes
  UserKnownHostsFile ${this.knownHosts}
  StrictHostKeyChecking yes
  BatchMode yes
`,
    );
  }

  /** `user@address`. */
  get destination(): string {
    return `${this.user}@${this.address}`;
  }

  /** `user@address:port`. */
  get destinationWithPort(): string {
    return `${this.destination}:${this.port}`;
  }

  /** Arguments for `ssh` in front of the destination. */
  get clientOptions(): readonly string[] {
    return ['-F', this.clientConfig];
  }

  /** Host key as in known_hosts: type and base64. */
  get hostKey(): string {
    const [type, key] = readFileSync(`${this.#hostKeyFile}.pub`, 'utf8').split(' ');
    return `${type} ${key}`;
  }

  /** Line of known_hosts for the host key as it is now, with its line end. */
  get knownHostsLine(): string {
    const name = this.port === 22 ? this.address : `[${this.address}]:${this.port}`;
    return `${name} ${this.hostKey}\n`;
  }

  /** Pid of the listener. Throws when it does not run. */
  get pid(): number {
    if (this.#child === undefined) throw new Error('this sshd does not run');
    return this.#child.pid;
  }

  /** Changes lines of sshd_config; they hold from the next start on. */
  configure(config: SshdConfig): void {
    for (const [key, value] of Object.entries(config)) {
      this.#config.set(key, typeof value === 'object' ? value : [String(value)]);
    }
    const lines = [...this.#config].flatMap(([key, values]) => values.map((value) => `${key} ${value}\n`));
    writeFileSync(path.join(this.folder, 'sshd_config'), lines.join(''));
  }

  /** Another host key from the next start on; the known_hosts files keep the old one. */
  newHostKey(): void {
    rmSync(this.#hostKeyFile, { force: true });
    makeKeyPair(this.#hostKeyFile);
  }

  /** Everything it has logged. */
  log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  /** Forgets what was logged so far. */
  clearLog(): void {
    writeFileSync(this.#logFile, '');
  }

  /** How many keys were offered to it since `clearLog`. 0: the client went away before that. */
  keysOffered(): number {
    return this.log().match(/userauth-request for user .* method publickey/g)?.length ?? 0;
  }

  /** TCP connections it has accepted since `clearLog`. */
  connections(): number {
    return this.log().match(/^Connection from /gm)?.length ?? 0;
  }

  /** Processes of sshd that serve one client each (two where the account is not root), oldest first. */
  pidsOfSessions(): number[] {
    return this.#sessions().map((seen) => seen.pid);
  }

  /** SIGSTOP to every session: it keeps its connections and says nothing more. The listener goes on. */
  freezeSessions(): void {
    for (const seen of this.#sessions()) signal(seen, 'SIGSTOP');
  }

  /** Ends `freezeSessions`. */
  thaw(): void {
    for (const seen of this.#sessions()) signal(seen, 'SIGCONT');
  }

  /** Ends every session with a signal: the system closes their connections and `-R` listeners. */
  killSessions(name: NodeJS.Signals = 'SIGKILL'): void {
    for (const seen of this.#sessions()) signal(seen, name);
  }

  /** Starts it and resolves when it accepts connections. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    // sshd started by root insists on this folder; it is empty.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
    const mark = this.log().length;
    const args = ['-D', '-E', this.#logFile, '-f', path.join(this.folder, 'sshd_config')];
    const options = { name: 'sshd', ...(this.#host === undefined ? {} : { prefix: this.#host.prefix }) };
    const child = new Child(SSHD, args, options);
    this.#child = child;
    const onLate = () => `${child.output}\n${this.log().slice(mark)}`;
    await eventually({ timeoutMs: START_TIMEOUT_MS, everyMs: 10, what: 'sshd listens', onLate }, () => {
      if (child.exit !== undefined) throw new Hopeless(`sshd ended (${child.exit})`);
      return this.log().includes('Server listening on', mark);
    });
    servers.add(this);
  }

  /** Ends it; with `keepSessions` only the listener, as an upgrade of the package does. */
  async stop(options: { readonly keepSessions?: boolean } = {}): Promise<void> {
    const sessions = this.#own();
    // Its sessions hold the pipes of the listener: that they are closed says nothing about it.
    const listener = this.#child === undefined ? undefined : look(this.#child.pid);
    this.#child = undefined;
    if (listener !== undefined) await end([listener]);
    if (options.keepSessions === true) return;
    await end(sessions);
    this.#seen.clear();
    servers.delete(this);
  }

  /** Ends it, sessions and all, and starts it again. */
  async restart(options: { readonly keepSessions?: boolean } = {}): Promise<void> {
    await this.stop(options);
    await this.start();
  }

  /** For the end of the process. */
  killNow(): void {
    for (const seen of this.#own()) signal(seen, 'SIGKILL');
    this.#child?.kill('SIGKILL');
  }

  /** Everything it started that still runs, also what has lost its parent since it was first seen. */
  #own(): SeenProcess[] {
    const all = allProcesses();
    const roots = [this.#child?.pid ?? -1, ...this.#seen.keys()];
    for (const seen of roots.flatMap((pid) => descendants(pid, all))) this.#seen.set(seen.pid, seen);
    for (const seen of this.#seen.values()) if (!runs(seen)) this.#seen.delete(seen.pid);
    return [...this.#seen.values()];
  }

  /** Those that are sshd itself and not a command that it runs. Newer versions have a program of their own for it. */
  #sessions(): SeenProcess[] {
    return this.#own().filter(({ name }) => name === 'sshd' || name === 'sshd-session');
  }
}

/** Ends processes: SIGTERM, and SIGKILL for those that stay. */
async function end(processes: readonly SeenProcess[]): Promise<void> {
  for (const name of ['SIGCONT', 'SIGTERM'] as const) for (const seen of processes) signal(seen, name);
  const gone = () => processes.every((seen) => !runs(seen));
  await eventually({ timeoutMs: END_TIMEOUT_MS, everyMs: 10, what: 'sshd ends' }, gone).catch(() => {
    for (const seen of processes) signal(seen, 'SIGKILL');
  });
  await eventually({ timeoutMs: END_TIMEOUT_MS, everyMs: 10, what: 'what was killed ends' }, gone);
}

/** Starts a server that ends with the test. */
export async function startSshd(cleanup: Cleanup, options: SshdOptions = {}): Promise<Sshd> {
  const port = options.port ?? (options.host === undefined ? await steadyPort() : 2222);
  const sshd = new Sshd(cleanup.folder(), port, options);
  cleanup.add(() => sshd.stop());
  await sshd.start();
  return sshd;
}

/** Starts `ssh` on a host as typed and resolves when every local port in `ready` accepts. */
export async function startSsh(
  client: Host,
  sshd: Sshd,
  args: readonly string[],
  ready: readonly number[] = [],
): Promise<Child> {
  const ssh = client.start('ssh', [...sshd.clientOptions, ...args], { name: `ssh ${args.join(' ')}` });
  for (const port of ready) {
    await eventually({ timeoutMs: 15_000, what: `ssh listens on ${port}`, onLate: () => ssh.output }, () => {
      if (ssh.exit !== undefined) throw new Hopeless(`ssh ended (${ssh.exit})`);
      return client.exec('ss', ['-Hltn', `sport = :${port}`]).trim() !== '';
    });
  }
  return ssh;
}
