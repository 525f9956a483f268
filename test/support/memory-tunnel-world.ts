/**
 * Machines with sshd in memory, for tunnels in virtual time: what listens on them, how their links are, which sessions they
 * hold. Faults are set from the test; `memory-tunnel-driver.ts` opens sessions in this world.
 */
import { Duplex } from 'node:stream';
import { type Clock, ExoError, type TimerHandle } from '../../src/shared/index.js';
import type { Endpoint, LocalSockets, TunnelFailure, TunnelProbe } from '../../src/tunnels/index.js';
import type { MemorySession } from './memory-tunnel-driver.js';

/** What listens at an address: an exo node, a program that hangs, or one that speaks something else. */
export type Program = 'exo' | 'hangs' | 'other';

/** A machine that tunnels lead to. All faults are plain fields. */
export class MemoryHost {
  /** Nothing passes, and nobody is told: a black hole. */
  cut = false;
  /** Nothing listens on the ssh port. */
  sshdDown = false;
  /** Every session ends so while it logs in. */
  loginFails: TunnelFailure | undefined;
  /** The server accepts the connection and says nothing. */
  mute = false;
  /** Messages of plain sessions are held back now and then. */
  stalls = false;
  ptyRefused = false;
  /** No `direct-tcpip` for the far end of -R. */
  noDirect = false;
  /** What listens at `host:port` as this machine sees it. */
  readonly programs = new Map<string, Program>();
  /** Ports that are held here: by a session of ours (its far pid), or by somebody else (0). */
  readonly ports = new Map<number, number>();
  /** Logins under way, and the most there ever were. */
  logins = 0;
  loginsMost = 0;

  /** Frees what the session with this pid holds. */
  release(farPid: number): boolean {
    let held = false;
    for (const [port, pid] of this.ports) {
      if (pid !== farPid) continue;
      this.ports.delete(port);
      held = true;
    }
    return held;
  }
}

const LATENCY_MS = 1;
/** A sender whose packets are lost tries again; so an answer comes soon after a cut has ended. */
const RETRANSMIT_MS = 400;
/** As the measurements have it: one message in twelve waits for a delayed acknowledgement. */
const STALL_EVERY = 12;
const STALL_MS = 40;

/** The world around one node. */
export class MemoryTunnelWorld {
  readonly clock: Clock;
  readonly hosts = new Map<string, MemoryHost>();
  /** What listens on this machine, beside tunnels. */
  readonly localPrograms = new Map<string, Program>();
  /** Local ports that somebody else has. */
  readonly localTaken = new Set<number>();
  readonly sessions = new Set<MemorySession>();
  knocks = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  host(name: string): MemoryHost {
    const host = this.hosts.get(name) ?? new MemoryHost();
    this.hosts.set(name, host);
    return host;
  }

  /** What the manager is given in the place of TCP. */
  get sockets(): LocalSockets {
    return {
      connect: async (end, signal) => {
        signal.throwIfAborted();
        const session = [...this.sessions].find((one) => one.listensAt(end));
        if (session === undefined) throw new ExoError('connect-failed', 'nothing listens there');
        return session.enter(end);
      },
      knock: (address, timeoutMs, signal) => this.#knock(address.host, timeoutMs, signal),
    };
  }

  #knock(name: string, timeoutMs: number, signal: AbortSignal): Promise<'open' | TunnelFailure> {
    this.knocks += 1;
    const host = this.host(name);
    const late: TunnelFailure = { code: 'connect-timeout', message: `${name} does not answer` };
    return new Promise((resolve) => {
      const timer = this.clock.after(host.cut ? timeoutMs : LATENCY_MS, () => {
        signal.removeEventListener('abort', onAbort);
        if (host.cut) resolve(late);
        else
          resolve(
            host.sshdDown ? { code: 'connect-refused', message: `nothing listens on ${name}` } : 'open',
          );
      });
      const onAbort = () => {
        timer.cancel();
        resolve(late);
      };
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

/** One connection through a tunnel: every message comes back, as the program at its end has it. */
export class MemoryStream extends Duplex {
  readonly #clock: Clock;
  readonly #path: { readonly isCut: boolean };
  readonly #program: Program | undefined;
  readonly #held: boolean;
  readonly #timers = new Set<TimerHandle>();
  #messages = 0;

  /** `held`: the session is one on which small messages are held back. */
  constructor(clock: Clock, path: { readonly isCut: boolean }, program: Program | undefined, held: boolean) {
    super();
    this.#clock = clock;
    this.#path = path;
    this.#program = program;
    this.#held = held;
    if (program === undefined) this.#later(LATENCY_MS, () => this.push(null));
  }

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
    this.#messages += 1;
    if (this.#program === undefined || this.#program === 'hangs') return;
    const stalls = this.#held && this.#messages % STALL_EVERY === 0;
    this.#later(LATENCY_MS + (stalls ? STALL_MS : 0), () => this.push(this.#program));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    for (const timer of this.#timers) timer.cancel();
    done(error);
  }

  #later(delayMs: number, fn: () => void): void {
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(timer);
      if (this.#path.isCut) this.#later(RETRANSMIT_MS, fn);
      else fn();
    });
    this.#timers.add(timer);
  }
}

/** The probe that fits these programs, with the errors that the real one has. */
export function memoryProbe(clock: Clock): TunnelProbe {
  return (stream, signal) =>
    new Promise((resolve, reject) => {
      const startedAtMs = clock.now();
      const finish = (settle: () => void) => {
        stream.off('data', onData).off('end', onEnd).off('close', onEnd);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const onData = (chunk: Buffer) =>
        finish(() =>
          String(chunk) === 'exo'
            ? resolve({ rttMs: clock.now() - startedAtMs })
            : reject(new ExoError('frame-bad-magic', 'it answers in another language')),
        );
      const onEnd = () => finish(() => reject(new ExoError('connection-closed', 'nothing listens there')));
      const onAbort = () => finish(() => reject(signal.reason));
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      stream.on('data', onData).on('end', onEnd).on('close', onEnd);
      stream.write('health?');
    });
}

/** `host:port` or a path, as the keys of `programs` are. */
export function keyOf(end: Endpoint): string {
  return end.kind === 'unix' ? end.path : `${end.host}:${end.port}`;
}
