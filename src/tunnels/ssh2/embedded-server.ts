/**
 * A small ssh server in this process, for tests and for the demo (`npm start`): login by key, `-L`, `-R`, nothing else. It runs
 * no commands and knows no accounts (any user name is taken; the key decides), and by default neither listens beyond loopback
 * nor lets a client reach beyond it. It is no replacement for sshd.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { AuthContext, Connection, ParsedKey, Server as SshServer } from 'ssh2';
import {
  type Address,
  type Clock,
  ExoError,
  formatAddress,
  LIMITS,
  type Logger,
  type Startable,
  systemClock,
} from '../../shared/index.js';
import { EmbeddedClient, type EmbeddedRights } from './embedded-client.js';
import { generateKeyPair } from './key-pair.js';
import { loadSsh2, SAFE_CIPHERS, type Ssh2Module } from './load.js';
import { carrierOf } from './splice.js';

/** Plain data. */
export interface EmbeddedServerOptions {
  /** @default '127.0.0.1' */
  readonly host?: string;
  /** 0: any free one; the same one again after a stop and a start. @default 0 */
  readonly port?: number;
  /** Private key as text, in the form of OpenSSH or PEM, without a passphrase. @default a new ed25519 key per server */
  readonly hostKey?: string;
  /** Lines of an authorized_keys file, without options. */
  readonly authorizedKeys: readonly string[];
  readonly allow?: EmbeddedRights;
}

/** Collaborators. */
export interface EmbeddedServerComponents {
  readonly logger: Logger;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** A running (or stopped) embedded server. */
export interface EmbeddedServer extends Startable {
  /** Where it listens. Throws before the first start. */
  readonly address: Address;
  /** `ssh-ed25519 AAAA…`. Throws before the first start. */
  readonly hostKey: string;
  /** The line for a known_hosts file: `[127.0.0.1]:2222 ssh-ed25519 AAAA…`. Throws before the first start. */
  readonly knownHostsLine: string;
  /** Clients that are connected, logged in or not. */
  readonly sessions: number;
  /** Cuts every connection without a word, as a crash would; the server goes on. For fault tests and `--break`. */
  killSessions(): void;
}

/** Starts nothing yet. A key that cannot be read, or a port that is taken, is told by `start` (`option-invalid`, `port-in-use`). */
export function createEmbeddedServer(
  options: EmbeddedServerOptions,
  components: EmbeddedServerComponents,
): EmbeddedServer {
  return new Embedded(options, components);
}

class Embedded implements EmbeddedServer {
  private readonly clock: Clock;
  private readonly clients = new Map<Socket, EmbeddedClient | undefined>();
  private readonly ending = new Set<Promise<void>>();
  private listener: Server | undefined;
  private privateKey: string | undefined;
  private publicKey: string | undefined;
  private bound: Address | undefined;

  constructor(
    private readonly options: EmbeddedServerOptions,
    private readonly components: EmbeddedServerComponents,
  ) {
    this.clock = components.clock ?? systemClock;
    this.privateKey = options.hostKey;
  }

  get address(): Address {
    return started(this.bound);
  }

  get hostKey(): string {
    return started(this.publicKey);
  }

  get knownHostsLine(): string {
    const { host, port } = this.address;
    return `${port === 22 ? host : `[${host}]:${port}`} ${this.hostKey}`;
  }

  get sessions(): number {
    return this.clients.size;
  }

  async start(): Promise<void> {
    if (this.listener !== undefined) return;
    const ssh2 = await loadSsh2();
    this.privateKey ??= (await generateKeyPair('exo embedded server')).privateKey;
    const hostKey = readKey(ssh2, this.privateKey, 'the host key');
    this.publicKey = `${hostKey.type} ${hostKey.getPublicSSH().toString('base64')}`;
    const allowed = this.options.authorizedKeys.map((line) => readKey(ssh2, line, 'an authorized key'));

    // ssh2's own listener is never opened: with ours there is a hold on connections that have not said anything yet.
    const infoOf = new Map<string, Socket>();
    const ssh: SshServer = new ssh2.Server(
      { hostKeys: [this.privateKey], algorithms: { cipher: [...SAFE_CIPHERS] } },
      (connection, info) => {
        const socket = infoOf.get(`${info.ip} ${info.port}`);
        if (socket !== undefined) this.greet(connection, socket, allowed);
      },
    );
    const listener = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: false }, (socket) => {
      if (this.clients.size >= LIMITS.embeddedSessionsMax) {
        socket.destroy();
        return;
      }
      const key = `${socket.remoteAddress} ${socket.remotePort}`;
      infoOf.set(key, socket);
      socket.once('close', () => infoOf.delete(key));
      this.admit(socket);
      ssh.injectSocket(socket);
    });
    const host = this.options.host ?? '127.0.0.1';
    const port = this.bound?.port ?? this.options.port ?? 0;
    await listening(listener, host, port);
    this.listener = listener;
    this.bound = { host, port: (listener.address() as { port: number }).port };
    this.components.logger.debug('embedded-ssh-started', { address: formatAddress(this.bound) });
  }

  async stop(): Promise<void> {
    const listener = this.listener;
    this.listener = undefined;
    this.killSessions();
    if (listener !== undefined) await new Promise<void>((resolve) => listener.close(() => resolve()));
    await Promise.all(this.ending);
  }

  killSessions(): void {
    for (const socket of this.clients.keys()) socket.destroy();
  }

  /** Counts the connection, gives it its time to log in, and clears up after it. */
  private admit(socket: Socket): void {
    this.clients.set(socket, undefined);
    const deadline = this.clock.after(LIMITS.embeddedAuthTimeoutMs, () => {
      if (this.clients.get(socket) === undefined) socket.destroy();
    });
    socket.once('close', () => {
      deadline.cancel();
      const client = this.clients.get(socket);
      this.clients.delete(socket);
      if (client === undefined) return;
      const ended = client.end().finally(() => this.ending.delete(ended));
      this.ending.add(ended);
    });
  }

  private greet(connection: Connection, socket: Socket, allowed: readonly ParsedKey[]): void {
    const logger = this.components.logger;
    let refused = 0;
    connection.on('error', (error) => logger.debug('embedded-ssh-client-error', { error }));
    connection.on('authentication', (context) => {
      if (accepts(context, allowed)) {
        context.accept();
        return;
      }
      // Every client asks `none` first, to learn the methods.
      if (context.method !== 'none') refused += 1;
      if (refused >= LIMITS.embeddedAuthTriesMax) connection.end();
      else context.reject(['publickey']);
    });
    connection.on('ready', () => {
      if (socket.destroyed) return;
      const rights = this.options.allow ?? {};
      this.clients.set(socket, new EmbeddedClient(connection, carrierOf(socket), rights, logger));
    });
  }
}

/** Whether the key is one of the list and, where the client signed, the signature is good. */
function accepts(context: AuthContext, allowed: readonly ParsedKey[]): boolean {
  if (context.method !== 'publickey') return false;
  const key = allowed.find((candidate) => candidate.getPublicSSH().equals(context.key.data));
  if (key === undefined) return false;
  if (context.signature === undefined || context.blob === undefined) return context.signature === undefined;
  return key.verify(context.blob, context.signature, context.hashAlgo) === true;
}

function readKey(ssh2: Ssh2Module, text: string, what: string): ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) {
    throw new ExoError('option-invalid', `${what} of the embedded ssh server cannot be read: ${key.message}`);
  }
  // Files of the newer form may hold several keys; the type does not say so.
  return Array.isArray(key) ? (key[0] as ParsedKey) : key;
}

function listening(listener: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new ExoError(
          error.code === 'EADDRINUSE' ? 'port-in-use' : 'option-invalid',
          `the embedded ssh server cannot listen on ${formatAddress({ host, port })}: ${error.message}`,
          { cause: error },
        ),
      );
    });
    listener.listen({ host, port, backlog: LIMITS.embeddedSessionsMax }, resolve);
  });
}

function started<T>(value: T | undefined): T {
  if (value === undefined) throw new ExoError('internal', 'the embedded ssh server has not been started');
  return value;
}
