/** One session of the ssh2 driver: the way there, the forwards, the anchor; from its start to the moment when nothing is left of it. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, ExoError, LIMITS, unlessAborted } from '../../shared/index.js';
import type { Endpoint, Forward, TunnelSpec } from '../description/tunnel-spec.js';
import type { SessionFacts, SessionOptions, TunnelSession } from '../driver.js';
import type { TunnelFailure } from '../failure.js';
import { forwardProhibited } from '../forward-prohibited.js';
import { anchorCommand } from '../ssh/anchor.js';
import { holdAnchor } from './far-command.js';
import type { HopSettings } from './hop-settings.js';
import { loadSsh2 } from './load.js';
import type { LocalListener } from './local-listener.js';
import { RemoteListener } from './remote-listener.js';
import { failureOf, SessionFailed } from './session-failed.js';
import { standForwards } from './stand-forwards.js';
import { Way } from './way.js';
import { FarRefused, openFar, Wires } from './wires.js';

/** Collaborators. */
export interface SessionComponents {
  readonly clock: Clock;
  /** The machines on the way. */
  readonly readHops: (spec: TunnelSpec, signal: AbortSignal) => Promise<readonly HopSettings[]>;
  /** Names the anchors of this tunnel on the far machine. */
  readonly anchorLabel: string;
}

/** Begins at once. */
export class Ssh2Session implements TunnelSession {
  readonly opened: Promise<SessionFacts>;
  readonly closed: Promise<TunnelFailure | 'stopped'>;
  readonly named: Promise<number>;
  readonly #spec: TunnelSpec;
  readonly #options: SessionOptions;
  readonly #components: SessionComponents;
  readonly #way: Way;
  readonly #listeners: LocalListener[] = [];
  /** Aborted when the session is to end: with a failure, or with nothing when a person or the supervisor wants it. */
  readonly #over = new AbortController();
  #failure: TunnelFailure | undefined;
  #wires: Wires | undefined;
  #resolveNamed: (farPid: number) => void = () => undefined;

  constructor(spec: TunnelSpec, options: SessionOptions, components: SessionComponents) {
    this.#spec = spec;
    this.#options = options;
    this.#components = components;
    this.#way = new Way(components.clock);
    let onOpened: (facts: SessionFacts) => void = () => undefined;
    this.opened = new Promise((resolve) => {
      onOpened = resolve;
    });
    this.named = new Promise((resolve) => {
      this.#resolveNamed = resolve;
    });
    this.closed = this.#run(onOpened);
  }

  async connectFar(target: Endpoint, signal: AbortSignal): Promise<Duplex> {
    signal.throwIfAborted();
    const wires = this.#wires;
    if (wires === undefined || this.#over.signal.aborted) {
      throw new ExoError('connection-closed', 'the ssh session is not open', { retryable: true });
    }
    return wires.lend(await openFar(this.#way.last.client, target, { host: '127.0.0.1', port: 0 }, signal));
  }

  bytes(): { readonly in: number; readonly out: number } | undefined {
    return this.#wires === undefined ? undefined : { in: this.#wires.in, out: this.#wires.out };
  }

  async close(): Promise<void> {
    this.#end(undefined);
    await this.closed;
  }

  #end(failure: TunnelFailure | undefined): void {
    if (this.#over.signal.aborted) return;
    this.#failure = failure;
    this.#over.abort(new SessionFailed('killed', 'the session is being closed'));
  }

  async #run(onOpened: (facts: SessionFacts) => void): Promise<TunnelFailure | 'stopped'> {
    const { signal } = this.#over;
    try {
      const ssh2 = await loadSsh2();
      const machines = await unlessAborted(this.#components.readHops(this.#spec, signal), signal);
      await this.#way.open(ssh2, machines, this.#options, signal);
      void this.#way.closed.then((failure) => this.#end(failure));
      const facts = await unlessAborted(this.#openForwards(), signal);
      onOpened(facts);
      await unlessAborted(new Promise<never>(() => undefined), signal);
    } catch (error) {
      // What failed because a connection had ended says less than why that ended.
      this.#end(this.#way.broken ? await this.#way.closed : failureOf(error));
    }
    await this.#clear();
    return this.#failure ?? 'stopped';
  }

  async #openForwards(): Promise<SessionFacts> {
    const hop = this.#way.last;
    const { clock, anchorLabel } = this.#components;
    const late = clock.after(LIMITS.tunnelGateMs, () =>
      this.#end({ code: 'server-silent', message: `${hop.label} has let us in and answers nothing more` }),
    );
    try {
      const wires = new Wires(hop);
      this.#wires = wires;
      // In front of everything else, so that the server turns its own small-packet delay off at once.
      const anchor = holdAnchor(
        hop.client,
        {
          label: anchorLabel,
          command: anchorCommand(anchorLabel, this.#spec.reverse),
          pty: this.#options.pty,
        },
        clock,
        (farPid) => this.#resolveNamed(farPid),
      );
      const ports = await standForwards(this.#spec, {
        remote: new RemoteListener(hop, wires),
        onConnection: (forward, socket) => this.#carry(forward, socket, wires),
        onListening: (listener) => {
          // It may stand after the session has begun to end.
          if (this.#over.signal.aborted) void listener.close();
          else this.#listeners.push(listener);
        },
      });
      const { cipher, serverVersion } = hop;
      return {
        ...ports,
        ...(await anchor),
        ...(cipher === undefined ? {} : { cipher }),
        ...(serverVersion === undefined ? {} : { serverVersion }),
      };
    } finally {
      late.cancel();
    }
  }

  #carry(forward: Forward, socket: Socket, wires: Wires): void {
    if (!wires.admit(socket)) return;
    const origin = { host: socket.remoteAddress ?? '127.0.0.1', port: socket.remotePort ?? 0 };
    openFar(this.#way.last.client, forward.target, origin).then(
      (channel) => wires.join(socket, channel),
      (error: unknown) => {
        socket.destroy();
        if (error instanceof FarRefused && error.prohibited) this.#prohibited(forward);
      },
    );
  }

  /** What the policy forbids will never work: told once, by name, and not left to look as if the far program were down. */
  #prohibited(forward: Forward): void {
    this.#end(forwardProhibited(forward));
  }

  async #clear(): Promise<void> {
    const listeners = this.#listeners.map((listener) => listener.close());
    await this.#way.end();
    await this.#wires?.end();
    await Promise.all(listeners);
  }
}
