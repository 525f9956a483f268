/**
 * One client that has logged in to the embedded server: its `-L` connections, its `-R` listeners and its sessions. Runs no
 * commands and reads no files. Used by embedded-server.ts only.
 */
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import type {
  AcceptConnection,
  Channel,
  Connection,
  RejectConnection,
  ServerChannel,
  Session,
  SocketBindInfo,
  TcpipBindInfo,
} from 'ssh2';
import { isLoopback, LIMITS, type Logger } from '../../shared/index.js';
import { type Carrier, splice } from './splice.js';

/** What clients of the embedded server may do. */
export interface EmbeddedRights {
  /** `-L` and `-W`, TCP and unix sockets. @default true */
  readonly forward?: boolean;
  /** `-R`, TCP and unix sockets. @default true */
  readonly reverse?: boolean;
  /**
   * Whether a session with a command (or a shell) is accepted. **Nothing is ever run**: an accepted one says nothing, stands
   * until the client ends its input, and then exits with 0. @default false
   */
  readonly exec?: boolean;
  /** A pseudo-terminal on such a session. There is nothing behind it. @default false */
  readonly pty?: boolean;
  /** How far `-L` may lead and where `-R` may listen: this machine's loopback, or anywhere. @default 'loopback' */
  readonly reach?: 'loopback' | 'any';
}

type ReplyPort = ((port?: number) => void) | undefined;
type Reply = (() => void) | undefined;

/** One client, from its login to its end. */
export class EmbeddedClient {
  /** By what was asked for, once they listen; and all, from the moment they begin to. */
  private readonly listeners = new Map<string, Server>();
  private readonly servers = new Set<Server>();
  private readonly sockets = new Set<Socket>();
  private channels = 0;

  constructor(
    private readonly connection: Connection,
    private readonly carrier: Carrier,
    private readonly rights: EmbeddedRights,
    private readonly logger: Logger,
  ) {
    // A right that is missing has no handler: ssh2 then answers "administratively prohibited", as a policy should.
    if (rights.forward !== false) {
      connection.on('tcpip', (accept, reject, info) => {
        if (!this.reaches(info.destIP)) reject();
        else this.connectOut(accept, reject, { host: info.destIP, port: info.destPort });
      });
      connection.on('openssh.streamlocal', (accept, reject, info) =>
        this.connectOut(accept, reject, { path: info.socketPath }),
      );
    }
    connection.on('session', (accept) => this.session(accept()));
    connection.on('request', (accept: ReplyPort, reject: Reply, name: string, info: unknown) => {
      if (name === 'tcpip-forward') this.listenTcp(info as TcpipBindInfo, accept, reject);
      else if (name === 'streamlocal-forward@openssh.com') {
        this.listenUnix(info as SocketBindInfo, accept, reject);
      } else if (name === 'cancel-tcpip-forward') {
        const { bindAddr, bindPort } = info as TcpipBindInfo;
        this.cancel(tcpKey(bindAddr, bindPort), accept, reject);
      } else if (name === 'cancel-streamlocal-forward@openssh.com') {
        this.cancel(unixKey((info as SocketBindInfo).socketPath), accept, reject);
      } else reject?.();
    });
  }

  /** Closes its listeners and sockets; resolves when all are gone. The connection itself is the server's to end. */
  async end(): Promise<void> {
    const closing = [...this.servers].map((server) => closed(server));
    for (const socket of this.sockets) socket.destroy();
    await Promise.all(closing);
  }

  private reaches(host: string): boolean {
    return this.rights.reach === 'any' || isLoopback(host);
  }

  private connectOut(
    accept: AcceptConnection<ServerChannel>,
    reject: RejectConnection,
    target: { readonly host: string; readonly port: number } | { readonly path: string },
  ): void {
    if (this.channels >= LIMITS.embeddedChannelsMax) {
      reject();
      return;
    }
    const socket = netConnect({ ...target, allowHalfOpen: true, noDelay: true });
    this.keep(socket);
    const onRefused = (): void => reject();
    socket.once('error', onRefused);
    socket.once('connect', () => {
      socket.off('error', onRefused);
      const channel = accept() as ServerChannel | undefined;
      if (channel === undefined) socket.destroy();
      else splice(socket, channel, { carrier: this.carrier });
    });
  }

  private listenTcp(info: TcpipBindInfo, accept: ReplyPort, reject: Reply): void {
    const { bindAddr } = info;
    // What sshd does with GatewayPorts no: whatever was asked for, the listener stands on loopback.
    const wanted = bindAddr === '' || bindAddr === '*' ? '0.0.0.0' : bindAddr;
    const host = wanted !== 'localhost' && this.reaches(wanted) ? wanted : '127.0.0.1';
    let port = info.bindPort;
    this.listen(
      { host, port },
      (socket, open) =>
        this.connection.forwardOut(
          bindAddr,
          port,
          socket.remoteAddress ?? '127.0.0.1',
          socket.remotePort ?? 0,
          open,
        ),
      (server) => {
        port = (server.address() as { port: number }).port;
        accept?.(port);
        return tcpKey(bindAddr, port);
      },
      reject,
    );
  }

  private listenUnix(info: SocketBindInfo, accept: Reply, reject: Reply): void {
    const { socketPath } = info;
    this.listen(
      { path: socketPath },
      (_socket, open) => this.connection.openssh_forwardOutStreamLocal(socketPath, open),
      () => {
        accept?.();
        return unixKey(socketPath);
      },
      reject,
    );
  }

  /** Opens a listener whose connections become channels towards the client. */
  private listen(
    where: { readonly host: string; readonly port: number } | { readonly path: string },
    openChannel: (socket: Socket, done: (error: Error | undefined, channel: Channel) => void) => void,
    onListening: (server: Server) => string,
    reject: Reply,
  ): void {
    if (this.rights.reverse === false || this.servers.size >= LIMITS.tunnelForwardsMax) {
      reject?.();
      return;
    }
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
      if (this.channels >= LIMITS.embeddedChannelsMax) {
        socket.destroy();
        return;
      }
      this.keep(socket);
      const onEarlyError = (): void => undefined;
      socket.on('error', onEarlyError);
      openChannel(socket, (error, channel) => {
        socket.off('error', onEarlyError);
        if (error !== undefined && error !== null) socket.destroy();
        else if (socket.destroyed) channel.close();
        else splice(socket, channel, { carrier: this.carrier });
      });
    });
    this.servers.add(server);
    server.once('close', () => this.servers.delete(server));
    server.once('error', (error) => {
      this.servers.delete(server);
      this.logger.debug('embedded-ssh-listen-failed', { error });
      reject?.();
    });
    server.listen({ ...where, exclusive: true }, () => this.listeners.set(onListening(server), server));
  }

  private cancel(key: string, accept: Reply, reject: Reply): void {
    const server = this.listeners.get(key);
    if (server === undefined) {
      reject?.();
      return;
    }
    this.listeners.delete(key);
    server.close();
    accept?.();
  }

  /** A session is accepted, so that a client may ask; what it asks for is refused or held. */
  private session(session: Session): void {
    const hold = (accept: AcceptConnection<ServerChannel>, reject: RejectConnection): void => {
      if (this.rights.exec !== true || this.channels >= LIMITS.embeddedChannelsMax) {
        reject?.();
        return;
      }
      const channel = accept();
      this.channels += 1;
      channel.on('error', () => undefined);
      channel.on('close', () => {
        this.channels -= 1;
      });
      channel.on('end', () => {
        channel.exit(0);
        channel.end();
      });
      channel.resume();
    };
    if (this.rights.pty === true) session.on('pty', (accept) => accept?.());
    session.on('exec', hold);
    session.on('shell', hold);
  }

  private keep(socket: Socket): void {
    this.channels += 1;
    this.sockets.add(socket);
    socket.once('close', () => {
      this.channels -= 1;
      this.sockets.delete(socket);
    });
  }
}

function tcpKey(host: string, port: number): string {
  return `tcp ${host} ${port}`;
}

function unixKey(path: string): string {
  return `unix ${path}`;
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
