/** A manager of tunnels over machines in memory and in virtual time, as the tests of supervision use it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { type Logger, seededRandom, silentLogger, VirtualClock } from '../../src/shared/index.js';
import {
  createTunnels,
  parseTunnelSpec,
  type TunnelManager,
  type TunnelSpec,
  type TunnelState,
  type TunnelsOptions,
} from '../../src/tunnels/index.js';
import { MemoryTunnelDriver } from './memory-tunnel-driver.js';
import { MemoryTunnelWorld, memoryProbe } from './memory-tunnel-world.js';

/** How the lab is made. */
export interface LabOptions extends Partial<Omit<TunnelsOptions, 'stateFolder'>> {
  readonly seed?: number;
  readonly clock?: VirtualClock;
  /** Kept by the caller over two labs (a restart of the node). */
  readonly stateFolder?: string;
  readonly ownPorts?: Array<{ port: number; what: string }>;
}

/** One node's tunnels and the world around them. */
export class TunnelLab {
  readonly clock: VirtualClock;
  readonly world: MemoryTunnelWorld;
  readonly driver: MemoryTunnelDriver;
  readonly manager: TunnelManager;
  readonly stateFolder: string;
  /** Faults of the program that the manager logged. */
  readonly faults: unknown[] = [];
  /** Names, each time one became up. */
  readonly ups: string[] = [];
  interfaces = 'eth0 192.168.2.2';
  /** Whether peers are connected through the tunnels. */
  isInUse = (): boolean => false;

  constructor(options: LabOptions, stateFolder: string, world?: MemoryTunnelWorld) {
    this.clock = options.clock ?? new VirtualClock();
    this.stateFolder = stateFolder;
    this.world = world ?? new MemoryTunnelWorld(this.clock);
    this.driver = new MemoryTunnelDriver(this.world);
    const logger: Logger = {
      ...silentLogger,
      error: (event, fields) => void this.faults.push({ event, ...fields }),
    };
    const { probeIntervalMs, probeTimeoutMs, ownPorts = [] } = options;
    this.manager = createTunnels(
      {
        stateFolder,
        ...(probeIntervalMs === undefined ? {} : { probeIntervalMs }),
        ...(probeTimeoutMs === undefined ? {} : { probeTimeoutMs }),
      },
      {
        clock: this.clock,
        random: seededRandom(options.seed ?? 1),
        logger,
        probe: memoryProbe(this.clock),
        ownPorts: () => ownPorts,
        isInUse: () => this.isInUse(),
        onUp: ({ name }) => void this.ups.push(name),
        drivers: [this.driver],
        interfaces: () => this.interfaces,
        sockets: this.world.sockets,
      },
    );
  }

  state(name: string): TunnelState {
    return this.manager.get(name).state;
  }

  /** Moves time on until the tunnel is in the state; returns the milliseconds it took. Throws after `withinMs`. */
  async until(name: string, state: TunnelState, withinMs = 60_000): Promise<number> {
    const startedAtMs = this.clock.now();
    while (this.state(name) !== state) {
      const tookMs = this.clock.now() - startedAtMs;
      if (tookMs >= withinMs) {
        const { state: now, reason } = this.manager.get(name);
        throw new Error(`${name} is ${now} (${reason}) and not ${state} after ${tookMs} ms`);
      }
      await this.clock.advance(50);
    }
    return this.clock.now() - startedAtMs;
  }
}

/** A lab whose manager is started and ends with the test. */
export async function tunnelLab(t: TestContext, options: LabOptions = {}): Promise<TunnelLab> {
  const stateFolder = options.stateFolder ?? mkdtempSync(path.join(tmpdir(), 'exo-tunnels-'));
  const lab = new TunnelLab(options, stateFolder);
  await lab.manager.start();
  t.after(async () => {
    await end(lab);
    if (options.stateFolder === undefined) rmSync(stateFolder, { recursive: true, force: true });
  });
  return lab;
}

/** Stops the manager; virtual time has to pass for that. */
export async function end(lab: TunnelLab): Promise<void> {
  let stopped = false;
  const stopping = lab.manager.stop().then(() => {
    stopped = true;
  });
  while (!stopped) await lab.clock.advance(10);
  await stopping;
}

/** A tunnel from the words of peers.json; by default to an exo node behind `gate`, with its `-R` back. */
export function spec(name: string, more: Record<string, unknown> = {}): TunnelSpec {
  return parseTunnelSpec(
    { ssh: 'me@gate', forward: ['50052:localhost:50051'], ...more },
    { name, source: 'peers-file', peer: name },
  );
}

/** A clock that can sleep: the wall clock goes on, timers do not. */
export class SleepyClock extends VirtualClock {
  #sleptMs = 0;

  sleep(durationMs: number): void {
    this.#sleptMs += durationMs;
  }

  override wall(): number {
    return super.wall() + this.#sleptMs;
  }
}
