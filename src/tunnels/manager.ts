/**
 * The tunnels of one node: which there are, from peers.json and from people, each with its runner. A reload touches only
 * what changed. Also the place that notices sleep and changes of the network, for all of them. Made by `createTunnels`.
 */
import { ExoError, LIMITS, printable, type TimerHandle } from '../shared/index.js';
import type { TunnelManager, TunnelsComponents, TunnelsOptions } from './components.js';
import { type Clash, findClashes } from './description/clashes.js';
import { overlap } from './description/listening.js';
import type { Forward, TunnelSpec } from './description/tunnel-spec.js';
import { sameSpec } from './description/user-text.js';
import type { TunnelDriver } from './driver.js';
import { Drivers } from './drivers.js';
import type { TunnelFailure } from './failure.js';
import { FarPids } from './far-pids.js';
import { type LocalSockets, localSockets } from './local-sockets.js';
import { interfacesText, watchNetwork } from './network-watch.js';
import { OpeningGate } from './opening-gate.js';
import { Runner } from './runner.js';
import type { ProbeTimes } from './supervisor/supervisor-events.js';
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
  /** Those that a clash keeps from starting. */
  readonly #refused = new Set<Runner>();
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
      } else if (sameSpec(spec, runner.spec)) {
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
    this.#reconciled();
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
    const clash = this.#clashes([...this.#specs(), spec]).find((one) => isAgainst(one, spec));
    if (clash !== undefined) throw new ExoError('tunnel-clash', clash.message);
    const runner = this.#add(spec);
    this.#reconciled();
    return runner.status;
  }

  async close(name: string): Promise<void> {
    const runner = this.#runner(name);
    if (runner.spec.source === 'command') await this.#remove(runner);
    else await runner.stop();
    this.#reconciled();
  }

  retry(name?: string): void {
    const runners = name === undefined ? [...this.#runners.values()] : [this.#runner(name)];
    if (this.#life !== 'started') return;
    for (const runner of runners) {
      // Closed by a person: only by its own name it comes back.
      if (name !== undefined || runner.status.state !== 'stopped') runner.tell('retry');
    }
  }

  async released(): Promise<void> {
    await Promise.all(this.#leaving.values());
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
    const runner: Runner = new Runner(spec, this.#times, {
      clock,
      random,
      logger,
      probe,
      sockets: this.#sockets,
      farPids: this.#farPids,
      gate: this.#gate,
      driverOf: () => this.#driverOf(runner),
      isInUse: (used) => this.#c.isInUse?.(used) === true,
      onChange: () => this.#changed(),
      onUp: (up) => this.#c.onUp?.(up),
    });
    this.#runners.set(spec.name, runner);
    if (this.#life === 'started') this.#begin(runner);
    return runner;
  }

  /** Asked before every session: what clashes is not begun. */
  async #driverOf(runner: Runner): Promise<TunnelDriver | TunnelFailure> {
    const { spec } = runner;
    const clash = this.#clashes(this.#specs()).find((one) => isAgainst(one, spec));
    if (clash === undefined) return this.#drivers.of(spec);
    this.#refused.add(runner);
    return { code: 'port-clash', message: clash.message };
  }

  #specs(): TunnelSpec[] {
    return [...this.#runners.values()].map(({ spec }) => spec);
  }

  /** Peers and their addresses are the node's business. */
  #clashes(specs: readonly TunnelSpec[]): readonly Clash[] {
    return findClashes({ specs, ownPorts: this.#c.ownPorts(), peers: [] });
  }

  /** The set of tunnels is another one: what is said about clashes may be too. */
  #reconciled(): void {
    const clashes = this.#clashes(this.#specs());
    for (const runner of this.#runners.values()) {
      const { name } = runner.spec;
      runner.note(
        clashes.flatMap(({ tunnel, severity, message }) =>
          tunnel === name && severity === 'warning' ? [message] : [],
        ),
      );
      if (clashes.some((one) => isAgainst(one, runner.spec))) continue;
      if (this.#refused.delete(runner) && runner.status.state === 'failed') runner.tell('retry');
    }
    this.#watch();
    this.#changed();
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
    this.#refused.delete(runner);
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

function isAgainst(clash: Clash, spec: TunnelSpec): boolean {
  return clash.severity === 'error' && clash.tunnel === spec.name;
}

/** Whether one cannot stand before the other has gone: the same name, or a listening end in common. */
function shares(a: TunnelSpec, b: TunnelSpec): boolean {
  if (a.name === b.name) return true;
  const meet = (some: readonly Forward[], others: readonly Forward[]) =>
    some.some(({ listen }) => others.some((other) => overlap(listen, other.listen)));
  return meet(a.forward, b.forward) || meet(a.reverse, b.reverse);
}
