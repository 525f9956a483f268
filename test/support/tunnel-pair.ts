/**
 * Two nodes on loopback and, for each driver, an sshd of its own with a tunnel between them: `-L` to the far node, `-R` to
 * the near one. What the fault tests start from.
 */
import { type HealthWatch, watchHealth } from './health-watch.js';
import { steadyPort } from './ports.js';
import { Cleanup } from './processes.js';
import { type Sshd, startSshd } from './sshd.js';
import { DRIVERS, type DriverName, runTunnelNode, type TunnelNode, tunnelTo } from './tunnel-node.js';
import { type TunnelWatch, watchTunnels } from './tunnel-watch.js';

const UP_TIMEOUT_MS = 20_000;

/** One tunnel of the pair; its name is its driver's. */
export interface PairTunnel {
  readonly sshd: Sshd;
  /** Listening end of `-L`: leads to the far node. */
  readonly local: number;
  /** Listening end of `-R`: leads to the near node. */
  readonly remote: number;
}

/** What is running. */
export interface TunnelPair {
  readonly cleanup: Cleanup;
  readonly near: TunnelNode;
  readonly far: TunnelNode;
  readonly tunnels: Readonly<Record<DriverName, PairTunnel>>;
  readonly watch: TunnelWatch;
  /** Asks both ends of both tunnels. */
  readonly health: HealthWatch;
}

/** How a pair is made. */
export interface PairOptions {
  /** More options of the near node. */
  readonly args?: readonly string[];
  /** Without it the tunnels have no `-R`. @default true */
  readonly reverse?: boolean;
}

/** Runs `work` with a pair whose tunnels are up, and ends everything. */
export async function inPair(options: PairOptions, work: (pair: TunnelPair) => Promise<void>): Promise<void> {
  const withReverse = options.reverse !== false;
  const cleanup = new Cleanup();
  try {
    const ports = await Promise.all(Array.from({ length: 8 }, () => steadyPort()));
    const [nearPort, nearApi, farPort, farApi] = ports as [number, number, number, number];
    const far = await runTunnelNode(cleanup, { id: 'far', nodePort: farPort, apiPort: farApi });
    const made = await Promise.all(
      DRIVERS.map(async (driver, i): Promise<[DriverName, PairTunnel]> => {
        const [local, remote] = ports.slice(4 + 2 * i) as [number, number];
        return [driver, { sshd: await startSshd(cleanup), local, remote }];
      }),
    );
    const tunnels = Object.fromEntries(made) as Record<DriverName, PairTunnel>;
    const near = await runTunnelNode(cleanup, {
      id: 'near',
      nodePort: nearPort,
      apiPort: nearApi,
      args: options.args ?? [],
      tunnels: Object.fromEntries(
        made.map(([driver, { sshd, local, remote }]) => [
          driver,
          tunnelTo(sshd, {
            driver,
            forward: [`${local}:localhost:${farPort}`],
            ...(withReverse ? { reverse: [`${remote}:localhost:${nearPort}`] } : {}),
          }),
        ]),
      ),
    });
    const watch = watchTunnels(cleanup, nearApi);
    const health = watchHealth(
      cleanup,
      made.flatMap(([, { local, remote }]) => (withReverse ? [local, remote] : [local])),
    );
    await watch.allUp(DRIVERS, UP_TIMEOUT_MS).catch((error: Error) => {
      throw new Error(`${error.message}\n${near.child.output}`);
    });
    await health.allAnswer(UP_TIMEOUT_MS);
    await work({ cleanup, near, far, tunnels, watch, health });
  } finally {
    await cleanup.dispose();
  }
}

/** The longest of the recoveries of both ends of a tunnel, milliseconds after `sinceMs`. */
export async function bothBackMs(
  { health }: TunnelPair,
  { local, remote }: PairTunnel,
  sinceMs: number,
  timeoutMs: number,
): Promise<number> {
  const all = [local, remote].map((port) => health.recoveredMs(port, sinceMs, timeoutMs));
  return Math.max(...(await Promise.all(all)));
}

/** The value that 95 of 100 do not exceed; of a few, the largest. */
export function p95(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(0.95 * sorted.length) - 1] ?? Number.NaN;
}
