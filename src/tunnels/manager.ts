/**
 * The tunnels of one node: which there are, from peers.json and from people, each with its runner. A reload touches only
 * what changed. Also the place that notices sleep and changes of the network, for all of them. Made by `createTunnels`.
 */
import { isDeepStrictEqual } from 'node:util';
import { ExoError, LIMITS, printable, type TimerHandle } from '../shared/index.js';
import type { TunnelManager, TunnelsComponents, TunnelsOptions } from './components.js';
import { Drivers } from './drivers.js';
import { FarPids } from './far-pids.js';
import { type LocalSockets, localSockets } from './local-sockets.js';
import { interfacesText, watchNetwork } from './network-watch.js';
import { OpeningGate } from './opening-gate.js';
import type { ProbeTimes } from './probe-watch.js';
import { Runner } from './runner.js';
import type { TunnelSpec } from './tunnel-spec.js';
import type { TunnelEvent, TunnelStatus } from './tunnel-status.js';
import { watchWake } from './wake-watch.js';

/** A manager that is not started yet. It opens nothing before `start`. */
export function createTunnels(options: TunnelsOptions, components: TunnelsComponents): TunnelManager {
  return new Manager(options, components);
}

class Manager implements TunnelManager {
  readonly #c: TunnelsComponents;
  readonly #times: ProbeTimes;
  readonly #drivers: Drivers;
  readonly #farPids: FarPids;
  readonly #gate = new OpeningGate();
  readonly #sockets: LocalSockets;
  readonly #runners = new Map<string, Runner>();
  /** Those that end: their ports are free when the promise resolves. */
  readonly #leaving = new Map<Runner, Promise<void>>();
  readonly #listeners = new Set<() => void>();
  #watches: readonly TimerHandle[] = [];
  #life: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: TunnelsOptions, components: TunnelsComponents) {
    this.#c = components;
    this.#times = {
      probeIntervalMs: options.probeIntervalMs ?? LIMITS.tunnelProbeIntervalMs,
      probeTimeoutMs: options.probeTimeoutMs ?? LIMITS.tunnelProbeTimeoutMs,
    };
    this.#drivers = new Drivers(options.stateFolder, components, components.drivers);
    this.#farPids = new FarPids(options.stateFolder);
    this.#sockets = components.sockets ?? localSockets(components.clock);
  }

  async start(): Promise<void> {
    if (this.#life !== 'new') return;
    this.#life = 'started';
    for (const runner of this.#runners.values()) this.#begin(runner);
    this.#watch();
  }

  async stop(): Promise<void> {
    this.#life = 'stopped';
    this.#watch();
    await Promise.all([
      ...[...this.#runners.values()].map((runner) => runner.stop()),
      ...this.#leaving.values(),
    ]);
    await this.#drivers.stop();
  }

  apply(specs: readonly TunnelSpec[]): void {
    if (this.#life === 'stopped') return;
    const wanted = new Map(specs.map((spec) => [spec.name, spec]));
    for (const [name, runner] of this.#runners) {
      const spec = wanted.get(name);
      if (spec === undefined) {
        if (runner.spec.source === 'peers-file') this.#remove(runner);
      } else if (isSame(spec, runner.spec)) {
        runner.adopt(spec);
        wanted.delete(name);
      } else {
        this.#remove(runner);
      }
    }
    for (const spec of wanted.values()) {
      if (this.#runners.size >= LIMITS.tunnelsMax) {
        this.#c.logger.warn('tunnels-too-many', { tunnel: spec.name, max: LIMITS.tunnelsMax });
        continue;
      }
      this.#add(spec);
    }
    this.#watch();
    this.#changed();
  }

  open(spec: TunnelSpec): TunnelStatus {
    if (this.#life === 'stopped') throw new ExoError('request-cancelled', 'the node stops');
    if (this.#runners.has(spec.name)) {
      throw new ExoError(
        'tunnel-exists',
        `a tunnel called "${printable(spec.name, 60)}" is there already: close it first, or give this one another name`,
      );
    }
    if (this.#runners.size >= LIMITS.tunnelsMax) {
      throw new ExoError(
        'overloaded',
        `${LIMITS.tunnelsMax} tunnels are open, more than a node carries: close one`,
      );
    }
    const runner = this.#add(spec);
    this.#watch();
    this.#changed();
    return runner.status;
  }

  async close(name: string): Promise<void> {
    const runner = this.#runner(name);
    if (runner.spec.source === 'command') await this.#remove(runner);
    else await runner.stop();
    this.#watch();
    this.#changed();
  }

  retry(name?: string): void {
    const runners = name === undefined ? [...this.#runners.values()] : [this.#runner(name)];
    if (this.#life !== 'started') return;
    for (const runner of runners) {
      // Closed by a person: only by its own name it comes back.
      if (name !== undefined || runner.status.state !== 'stopped') runner.tell('retry');
    }
  }

  hint(peer: string): void {
    for (const runner of this.#runners.values()) if (runner.spec.peer === peer) runner.tell('hint');
  }

  list(): readonly TunnelStatus[] {
    return [...this.#runners.values()].map((runner) => runner.status);
  }

  get(name: string): TunnelStatus {
    return this.#runner(name).status;
  }

  history(name: string): readonly TunnelEvent[] {
    return this.#runner(name).history;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #runner(name: string): Runner {
    const runner = this.#runners.get(name);
    if (runner !== undefined) return runner;
    const names = [...this.#runners.keys()].slice(0, 20).map((known) => printable(known, 60));
    throw new ExoError(
      'tunnel-unknown',
      `no tunnel is called "${printable(name, 60)}"; ${names.length === 0 ? 'there is none' : `there are: ${names.join(', ')}`}`,
    );
  }

  #add(spec: TunnelSpec): Runner {
    const { clock, random, logger, probe } = this.#c;
    const runner = new Runner(spec, this.#times, {
      clock,
      random,
      logger,
      probe,
      sockets: this.#sockets,
      farPids: this.#farPids,
      gate: this.#gate,
      driverOf: (wanted) => this.#drivers.of(wanted),
      onChange: () => this.#changed(),
      onUp: (up) => this.#c.onUp?.(up),
    });
    this.#runners.set(spec.name, runner);
    if (this.#life === 'started') this.#begin(runner);
    return runner;
  }

  /** Starts a runner when those that held its ports until now are gone. */
  #begin(runner: Runner): void {
    const before = [...this.#leaving]
      .filter(([old]) => shares(old.spec, runner.spec))
      .map(([, gone]) => gone);
    if (before.length === 0) {
      runner.tell('start');
      return;
    }
    void Promise.all(before).then(() => {
      if (this.#life === 'started' && this.#runners.get(runner.spec.name) === runner) runner.tell('start');
    });
  }

  #remove(runner: Runner): Promise<void> {
    this.#runners.delete(runner.spec.name);
    const gone = runner.stop().then(() => {
      this.#leaving.delete(runner);
      // A description that only changed may still find its old listener.
      if (!this.#runners.has(runner.spec.name)) runner.forget();
    });
    this.#leaving.set(runner, gone);
    return gone;
  }

  /** Sleep and network are watched while there are tunnels. */
  #watch(): void {
    const needed = this.#life === 'started' && this.#runners.size > 0;
    if (needed === this.#watches.length > 0) return;
    for (const watch of this.#watches) watch.cancel();
    this.#watches = [];
    if (!needed) return;
    const { clock, interfaces = interfacesText } = this.#c;
    this.#watches = [
      watchWake(clock, (sleptMs) => {
        this.#c.logger.info('tunnels-woke', { sleptMs: Math.round(sleptMs) });
        for (const runner of this.#runners.values()) runner.tell('wake');
      }),
      watchNetwork(clock, interfaces, () => {
        this.#c.logger.info('tunnels-network-changed');
        for (const runner of this.#runners.values()) runner.tell('network');
      }),
    ];
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Whether nothing that ssh would notice has changed; who described it may. */
function isSame(a: TunnelSpec, b: TunnelSpec): boolean {
  const plain = ({ source: _source, peer: _peer, ...rest }: TunnelSpec) => rest;
  return isDeepStrictEqual(plain(a), plain(b));
}

/** Whether one cannot stand before the other has gone: the same name, or a listening end in common. */
function shares(a: TunnelSpec, b: TunnelSpec): boolean {
  if (a.name === b.name) return true;
  const ends = (forwards: TunnelSpec['forward']) => forwards.map(({ listen }) => listen);
  const meet = (some: TunnelSpec['forward'], others: TunnelSpec['forward']) =>
    ends(some).some((end) =>
      ends(others).some((other) =>
        end.kind === 'tcp' && other.kind === 'tcp'
          ? end.port !== 0 && end.port === other.port
          : isDeepStrictEqual(end, other),
      ),
    );
  return meet(a.forward, b.forward) || meet(a.reverse, b.reverse);
}
