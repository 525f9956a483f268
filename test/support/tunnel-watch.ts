/** What a node says of its tunnels, asked all the time from outside: the states in their order, with the time of each. */
import { Observer } from './observer.js';
import type { Cleanup } from './processes.js';
import { program } from './program.js';

const PROGRAM = program(new URL('./tunnel-watch-process.ts', import.meta.url));

/** Fields of `/v1/tunnels` that are watched. */
export const WATCHED = [
  'name',
  'driver',
  'state',
  'code',
  'reason',
  'restarts',
  'pid',
  'up_since_at_ms',
  'notes',
] as const;
export type WatchedField = (typeof WATCHED)[number];

/** One tunnel as the API shows it. */
export interface SeenTunnel {
  readonly name: string;
  readonly driver: string | null;
  readonly state: string;
  readonly code: string | null;
  readonly reason: string;
  readonly restarts: number;
  readonly pid: number | null;
  readonly up_since_at_ms: number | null;
  readonly notes: readonly string[];
}

/** All tunnels between two moments (milliseconds since the Unix epoch); null: the node gave no answer. */
export interface TunnelReport {
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly tunnels: readonly SeenTunnel[] | null;
}

/** A tunnel as it was seen first at `atMs`, by a look that began at `askedAtMs`. */
export interface SeenAt {
  readonly askedAtMs: number;
  readonly atMs: number;
  /** Undefined: the node did not answer, or knew no such tunnel. */
  readonly tunnel: SeenTunnel | undefined;
}

/** Watches the tunnels of one node. */
export class TunnelWatch {
  readonly #observer: Observer<TunnelReport>;
  readonly #reports: TunnelReport[] = [];

  constructor(
    apiPort: number,
    options: { readonly everyMs?: number; readonly prefix?: readonly string[] } = {},
  ) {
    const job = { url: `http://127.0.0.1:${apiPort}/v1/tunnels`, everyMs: options.everyMs ?? 50 };
    this.#observer = new Observer(PROGRAM, job, options.prefix, (report: TunnelReport) => {
      this.#reports.push(report);
    });
  }

  /** Ends the watch. */
  stop(): Promise<void> {
    return this.#observer.stop();
  }

  /** The last look at a tunnel. */
  now(name: string): SeenTunnel | undefined {
    return this.#reports.at(-1)?.tunnels?.find((tunnel) => tunnel.name === name);
  }

  /** The last look at all of them; empty where the node gives no answer. */
  all(): readonly SeenTunnel[] {
    return this.#reports.at(-1)?.tunnels ?? [];
  }

  /** Everything seen of a tunnel since a moment, in order; the first is what held at that moment. */
  since(name: string, sinceMs = 0): SeenAt[] {
    const seen: SeenAt[] = [];
    for (const { askedAtMs, answeredAtMs, tunnels } of this.#reports) {
      const tunnel = tunnels?.find((each) => each.name === name);
      if (answeredAtMs < sinceMs) seen.length = 0;
      seen.push({ askedAtMs, atMs: answeredAtMs, tunnel });
    }
    return seen;
  }

  /** How a tunnel was seen since a moment, each state once, `absent` among them; a look that got no answer tells none. */
  statesSince(name: string, sinceMs: number): string[] {
    const answered = this.#reports.filter(({ tunnels }) => tunnels !== null);
    const first = answered.findLastIndex(({ answeredAtMs }) => answeredAtMs < sinceMs);
    const states = answered
      .slice(Math.max(0, first))
      .map(({ tunnels }) => tunnels?.find((tunnel) => tunnel.name === name)?.state ?? 'absent');
    return [...new Set(states)];
  }

  /** Forgets what was seen before a moment, but for what held then: a long campaign would keep too much. */
  forget(beforeMs: number): void {
    const keep = this.#reports.findLastIndex(({ answeredAtMs }) => answeredAtMs < beforeMs);
    if (keep > 0) this.#reports.splice(0, keep);
  }

  /** Resolves with the first look, from `sinceMs` on (or the present one), at which a tunnel is as wanted. */
  until(
    name: string,
    wanted: (tunnel: SeenTunnel) => boolean,
    timeoutMs: number,
    sinceMs = Date.now(),
  ): Promise<SeenAt & { readonly tunnel: SeenTunnel }> {
    const look = () => {
      for (const { tunnel, ...times } of this.since(name, sinceMs)) {
        if (tunnel !== undefined && wanted(tunnel)) return { ...times, tunnel };
      }
      return undefined;
    };
    const path = () => {
      const told = this.since(name, sinceMs).map(({ tunnel }) =>
        tunnel === undefined ? 'absent' : `${tunnel.state}/${tunnel.code}: ${tunnel.reason}`,
      );
      return told.filter((text, i) => text !== told[i - 1]).join('\n  ');
    };
    return this.#observer.until(look, timeoutMs, () => `tunnel ${name} as wanted; it was\n  ${path()}`);
  }

  /** Resolves when all named tunnels are up at one moment. */
  async allUp(names: readonly string[], timeoutMs: number): Promise<void> {
    const look = () => (names.every((name) => this.now(name)?.state === 'up') ? true : undefined);
    const others = () =>
      names
        .map((name) => [name, this.now(name)] as const)
        .filter(([, tunnel]) => tunnel?.state !== 'up')
        .map(([name, tunnel]) => `${name}: ${tunnel?.state ?? 'absent'}/${tunnel?.code}: ${tunnel?.reason}`);
    await this.#observer.until(look, timeoutMs, () => `all up; not so\n  ${others().join('\n  ')}`);
  }
}

/** A watch that ends with the test. */
export function watchTunnels(
  cleanup: Cleanup,
  apiPort: number,
  options: { readonly everyMs?: number; readonly prefix?: readonly string[] } = {},
): TunnelWatch {
  const watch = new TunnelWatch(apiPort, options);
  cleanup.add(() => watch.stop());
  return watch;
}
