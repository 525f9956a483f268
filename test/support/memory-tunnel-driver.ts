/** A tunnel driver in memory: sessions in a `MemoryTunnelWorld`, in virtual time, with every promise of the real interface. */
import { type Clock, ExoError, type TimerHandle } from '../../src/shared/index.js';
import type {
  DriverName,
  Endpoint,
  SessionFacts,
  SessionOptions,
  TunnelDriver,
  TunnelFailure,
  TunnelSession,
  TunnelSpec,
} from '../../src/tunnels/index.js';
import {
  keyOf,
  type MemoryHost,
  MemoryStream,
  type MemoryTunnelWorld,
  type Program,
} from './memory-tunnel-world.js';

const LOGIN_MS = 300;
const CLOSE_MS = 5;
const FIRST_FREE_PORT = 40_000;
const FIRST_PID = 1_000;

/** Opens sessions in a world. */
export class MemoryTunnelDriver implements TunnelDriver {
  readonly name: DriverName;
  readonly #world: MemoryTunnelWorld;
  /** `clock.now()` of every start, by tunnel. */
  readonly starts = new Map<string, number[]>();
  /** Tunnels that ever had two sessions at once. */
  readonly doubled = new Set<string>();
  /** There is no address to knock at. */
  blind = false;
  missing: string | undefined;
  evictions = 0;
  nextPort = FIRST_FREE_PORT;
  #nextPid = FIRST_PID;

  constructor(world: MemoryTunnelWorld, name: DriverName = 'openssh') {
    this.#world = world;
    this.name = name;
  }

  async available(): Promise<{ version: string } | { missing: string }> {
    return this.missing === undefined ? { version: 'memory' } : { missing: this.missing };
  }

  open(spec: TunnelSpec, options: SessionOptions): MemorySession {
    const starts = this.starts.get(spec.name) ?? [];
    starts.push(this.#world.clock.now());
    this.starts.set(spec.name, starts);
    if ([...this.#world.sessions].some((session) => session.spec.name === spec.name))
      this.doubled.add(spec.name);
    this.#nextPid += 1;
    const session = new MemorySession(this.#world, this, spec, options, this.#nextPid);
    this.#world.sessions.add(session);
    return session;
  }

  async evict(
    spec: TunnelSpec,
    farPid: number,
    _options: SessionOptions,
    signal: AbortSignal,
  ): Promise<boolean> {
    this.evictions += 1;
    const host = this.#world.host(spec.destination.host);
    await after(this.#world.clock, LOGIN_MS, signal);
    if (host.cut || host.sshdDown) throw new ExoError('tunnel-failed', 'no way to the host');
    return host.release(farPid);
  }

  async firstHop(spec: TunnelSpec): Promise<{ host: string; port: number } | undefined> {
    return this.blind ? undefined : { host: spec.destination.host, port: 22 };
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#world.sessions].map((session) => session.close()));
  }

  startsOf(name: string): number {
    return this.starts.get(name)?.length ?? 0;
  }

  /** The living session of a tunnel. */
  sessionOf(name: string): MemorySession | undefined {
    return [...this.#world.sessions].find(({ spec }) => spec.name === name);
  }
}

/** One session in the world. */
export class MemorySession implements TunnelSession {
  readonly opened: Promise<SessionFacts>;
  readonly closed: Promise<TunnelFailure | 'stopped'>;
  readonly spec: TunnelSpec;
  readonly farPid: number;
  readonly #world: MemoryTunnelWorld;
  readonly #driver: MemoryTunnelDriver;
  readonly #host: MemoryHost;
  readonly #options: SessionOptions;
  readonly #timers = new Set<TimerHandle>();
  readonly #streams = new Set<MemoryStream>();
  /** Its own connection is dead though the host can be reached: an address that is gone, a NAT that forgot. */
  deaf = false;
  #facts: SessionFacts | undefined;
  #loggingIn = false;
  #misses = 0;
  #over = false;
  #open: (facts: SessionFacts) => void = () => undefined;
  #end: (cause: TunnelFailure | 'stopped') => void = () => undefined;

  constructor(
    world: MemoryTunnelWorld,
    driver: MemoryTunnelDriver,
    spec: TunnelSpec,
    options: SessionOptions,
    farPid: number,
  ) {
    this.spec = spec;
    this.farPid = farPid;
    this.#world = world;
    this.#driver = driver;
    this.#host = world.host(spec.destination.host);
    this.#options = options;
    this.opened = new Promise((resolve) => {
      this.#open = resolve;
    });
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#after(1, () => this.#connect());
  }

  bytes(): undefined {
    return undefined;
  }

  async connectFar(target: Endpoint, signal: AbortSignal): Promise<MemoryStream> {
    signal.throwIfAborted();
    if (this.#host.noDirect) throw new ExoError('request-unsupported', 'the server forbids it');
    const index = this.spec.reverse.findIndex(
      ({ listen }, place) => keyOf(this.#real(listen, this.#facts?.reversePorts[place])) === keyOf(target),
    );
    const mine = target.kind === 'tcp' && this.#host.ports.get(target.port) === this.farPid;
    if (index < 0 || !mine) throw new ExoError('connect-failed', 'nothing listens there');
    return this.#stream(this.#world.localPrograms.get(keyOf(this.spec.reverse[index]!.target)));
  }

  async close(): Promise<void> {
    if (!this.#over) this.#after(CLOSE_MS, () => this.#finish('stopped'));
    await this.closed;
  }

  // ---------------------------------------------------------------- for tests and the world

  get facts(): SessionFacts | undefined {
    return this.#facts;
  }

  get isCut(): boolean {
    return this.deaf || this.#host.cut;
  }

  /** The process is ended by a signal. */
  kill(): void {
    this.#finish({ code: 'killed', message: 'ssh was ended by SIGKILL' });
  }

  /** It ends in some way. */
  fail(failure: TunnelFailure): void {
    this.#finish(failure);
  }

  listensAt(end: Endpoint): boolean {
    return this.#facts !== undefined && this.#forwardAt(end) >= 0;
  }

  /** A connection to the local end of a -L. */
  enter(end: Endpoint): MemoryStream {
    const forward = this.spec.forward[this.#forwardAt(end)]!;
    return this.#stream(this.#host.programs.get(keyOf(forward.target)));
  }

  // ---------------------------------------------------------------- its life

  #connect(): void {
    const host = this.#host;
    const { connectTimeoutMs } = this.#options;
    if (host.cut || host.mute) {
      const code = host.cut ? 'connect-timeout' : 'server-silent';
      // SYNs are sent again after 1, 3 and 7 s.
      for (const againMs of [1_000, 3_000, 7_000]) {
        if (host.cut) this.#after(againMs, () => !host.cut && !host.sshdDown && this.#login());
      }
      this.#after(connectTimeoutMs, () => {
        if (!this.#loggingIn) this.#finish({ code, message: 'the host does not answer' });
      });
    } else if (host.sshdDown) {
      this.#finish({ code: 'connect-refused', message: 'nothing listens on the ssh port' });
    } else {
      this.#login();
    }
  }

  #login(): void {
    if (this.#loggingIn || this.#over) return;
    const host = this.#host;
    this.#loggingIn = true;
    host.logins += 1;
    host.loginsMost = Math.max(host.loginsMost, host.logins);
    this.#after(LOGIN_MS, () => {
      if (host.loginFails !== undefined) this.#finish(host.loginFails);
      else this.#stand();
    });
  }

  #stand(): void {
    const ports = (ends: readonly Endpoint[]) =>
      ends.map((end) =>
        end.kind === 'unix' ? undefined : end.port !== 0 ? end.port : this.#driver.nextPort++,
      );
    const forwardPorts = ports(this.spec.forward.map(({ listen }) => listen));
    const reversePorts = ports(this.spec.reverse.map(({ listen }) => listen));
    const others = [...this.#world.sessions].flatMap(({ facts }) => facts?.forwardPorts ?? []);
    const local = forwardPorts.find(
      (port) => port !== undefined && (this.#world.localTaken.has(port) || others.includes(port)),
    );
    if (local !== undefined) {
      this.#finish({ code: 'local-port-busy', message: `the local port ${local} is taken` });
      return;
    }
    const far = reversePorts.find((port) => port !== undefined && this.#host.ports.has(port));
    if (far !== undefined) {
      this.#finish({
        code: 'remote-port-busy',
        message: `the port ${far} is taken on the far machine`,
      });
      return;
    }
    for (const port of reversePorts) if (port !== undefined) this.#host.ports.set(port, this.farPid);
    this.#leaveLogin();
    const pty = !this.#options.pty ? 'not-asked' : this.#host.ptyRefused ? 'refused' : 'held';
    this.#facts = { forwardPorts, reversePorts, pty, farPid: this.farPid, pid: this.farPid };
    this.#keepAlive();
    this.#open(this.#facts);
  }

  #keepAlive(): void {
    this.#after(this.#options.keepaliveIntervalMs, () => {
      this.#misses = this.isCut ? this.#misses + 1 : 0;
      if (this.#misses > this.#options.keepaliveCountMax) {
        this.#finish({ code: 'keepalive-timeout', message: 'the server has not answered keepalives' });
      } else this.#keepAlive();
    });
  }

  #finish(cause: TunnelFailure | 'stopped'): void {
    if (this.#over) return;
    this.#over = true;
    this.#leaveLogin();
    for (const timer of this.#timers) timer.cancel();
    for (const stream of this.#streams) stream.destroy();
    // What a cut keeps from the far machine is still held there.
    if (!this.isCut) this.#host.release(this.farPid);
    this.#facts = undefined;
    this.#world.sessions.delete(this);
    this.#end(cause);
  }

  #leaveLogin(): void {
    if (this.#loggingIn && this.#facts === undefined) this.#host.logins -= 1;
    this.#loggingIn = false;
  }

  #forwardAt(end: Endpoint): number {
    return this.spec.forward.findIndex(({ listen }, place) => {
      const real = this.#real(listen, this.#facts?.forwardPorts[place]);
      return keyOf(real) === keyOf(end);
    });
  }

  #real(listen: Endpoint, port: number | undefined): Endpoint {
    return listen.kind === 'unix' ? listen : { ...listen, port: port ?? listen.port };
  }

  #stream(program: Program | undefined): MemoryStream {
    const held = this.#host.stalls && this.#facts?.pty !== 'held';
    const stream = new MemoryStream(this.#world.clock, this, program, held);
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }

  #after(delayMs: number, fn: () => void): void {
    const timer = this.#world.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      if (!this.#over) fn();
    });
    this.#timers.add(timer);
  }
}

function after(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(delayMs, resolve);
    signal.addEventListener('abort', () => {
      timer.cancel();
      reject(signal.reason);
    });
  });
}
