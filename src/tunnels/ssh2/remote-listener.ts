/** The `-R` forwards of one session of the ssh2 driver: asks the server to listen, and connects what comes in to its target here. */
import { connect } from 'node:net';
import type { AcceptConnection, Channel, ClientChannel, RejectConnection } from 'ssh2';
import { isEvery } from '../description/listening.js';
import type { Endpoint, Forward } from '../description/tunnel-spec.js';
import type { Hop } from './hop.js';
import { SessionFailed } from './session-failed.js';
import { FarRefused, openFar, type Wires } from './wires.js';

/** Serves the `-R` of one connection. Make it before the first `listen`. */
export class RemoteListener {
  readonly #hop: Hop;
  readonly #wires: Wires;
  readonly #targets = new Map<string, Endpoint>();

  constructor(hop: Hop, wires: Wires) {
    this.#hop = hop;
    this.#wires = wires;
    hop.client.on('tcp connection', (info, accept, reject) =>
      this.#serve(this.#targets.get(tcpKey(info.destIP, info.destPort)), accept, reject),
    );
    hop.client.on('unix connection', (info, accept, reject) =>
      this.#serve(this.#targets.get(info.socketPath), accept, reject),
    );
  }

  /**
   * Asks for one `-R`; resolves with its port (undefined for a unix socket). Throws `SessionFailed` (`remote-port-busy`,
   * `forward-refused`), and never settles when the session ends first.
   */
  async listen(forward: Forward): Promise<number | undefined> {
    const { client } = this.#hop;
    const { listen, target } = forward;
    if (listen.kind === 'unix') {
      const bound = await this.#ask<never>((done) =>
        client.openssh_forwardInStreamLocal(listen.path, (error) => done(error)),
      );
      if (bound.refused)
        throw busy(forward, 'the far machine cannot listen there: something is in its place, or it may not');
      this.#targets.set(listen.path, target);
      return undefined;
    }
    // "localhost" would be two addresses, and one of them enough for sshd: a program on the other would go unnoticed.
    const named = listen.host === 'localhost';
    const host = named ? '127.0.0.1' : listen.host === '*' ? '' : listen.host;
    const port =
      (await this.#bind(host, listen.port, target)) ?? (await this.#otherwise(forward, host, named));
    // May fail: what matters stands already.
    if (named) void this.#bind('::1', port, target).catch(() => undefined);
    return port;
  }

  /** The port, or undefined when the server refuses. */
  async #bind(host: string, wanted: number, target: Endpoint): Promise<number | undefined> {
    const bound = await this.#ask<number>((done) => this.#hop.client.forwardIn(host, wanted, done));
    if (bound.refused) return undefined;
    const port = bound.value ?? wanted;
    this.#targets.set(tcpKey(host, port), target);
    return port;
  }

  /** A policy (PermitListen) may allow the name and not the address; otherwise throws why not. */
  async #otherwise(forward: Forward, host: string, named: boolean): Promise<number> {
    const { listen, target } = forward;
    const wanted = listen.kind === 'tcp' ? listen.port : 0;
    const failed = await this.#explain(forward, host, wanted);
    const port =
      named && failed.failure.code === 'forward-refused'
        ? await this.#bind('localhost', wanted, target)
        : undefined;
    if (port === undefined) throw failed;
    return port;
  }

  /** The server says no and not why: whether something listens there, and whether another port would do, tells. */
  async #explain(forward: Forward, host: string, port: number): Promise<SessionFailed> {
    const { client } = this.#hop;
    if (port !== 0) {
      const there = { kind: 'tcp', host: isEvery(host) ? 'localhost' : host, port } as const;
      const answer = await openFar(client, there, { host: '127.0.0.1', port: 0 }).catch(
        (error: unknown) => error,
      );
      if (!(answer instanceof Error)) {
        const channel = answer as ClientChannel;
        channel.close();
        channel.resume();
        return busy(forward, `something listens on port ${port} of the far machine already`);
      }
      if (!(answer instanceof FarRefused)) throw answer;
      const free = await this.#ask<number>((done) => client.forwardIn(host, 0, done));
      if (!free.refused) {
        await this.#ask<never>((done) => client.unforwardIn(host, free.value ?? 0, (error) => done(error)));
        // Below 1024 only root may listen, and no program has to be in the way.
        if (port >= 1024) return busy(forward, `the far machine gives port ${port} to another program`);
      }
    }
    return new SessionFailed(
      'forward-refused',
      `the server does not let this account listen for -R ${forward.text}; allow it there (AllowTcpForwarding, PermitListen, GatewayPorts), or choose another port`,
      [forward.text],
    );
  }

  /** A request of the session: granted with a value, or refused. Rejects when the session has ended. */
  #ask<T>(
    request: (done: (error: Error | undefined | null, value?: T) => void) => void,
  ): Promise<{ readonly refused: boolean; readonly value: T | undefined }> {
    return new Promise((resolve, reject) => {
      const over = (): void => reject(new SessionFailed('connection-lost', 'the ssh session has ended'));
      try {
        request((error, value) => {
          // ssh2 answers everything with an error then.
          if (this.#hop.over) over();
          else resolve({ refused: error !== undefined && error !== null, value });
        });
      } catch {
        over();
      }
    });
  }

  #serve(target: Endpoint | undefined, accept: AcceptConnection<Channel>, reject: RejectConnection): void {
    if (target === undefined) {
      reject();
      return;
    }
    const place = target.kind === 'unix' ? { path: target.path } : { host: target.host, port: target.port };
    const socket = connect({ ...place, allowHalfOpen: true, noDelay: true });
    if (!this.#wires.admit(socket)) {
      reject();
      return;
    }
    const onRefused = (): void => reject();
    socket.once('error', onRefused);
    socket.once('connect', () => {
      socket.off('error', onRefused);
      this.#wires.join(socket, accept());
    });
  }
}

function busy(forward: Forward, why: string): SessionFailed {
  return new SessionFailed('remote-port-busy', `${why} (-R ${forward.text})`, [forward.text]);
}

function tcpKey(host: string, port: number): string {
  return `${host} ${port}`;
}
