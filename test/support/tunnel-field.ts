/**
 * Many tunnels of one node for fault cycles, by both drivers in turn, with `-L` and `-R`: each to an sshd of its own behind a
 * cable of its own, so that each can be given another fault at the same time. The faults are made from outside; each
 * function resolves when its fault is over, not when the tunnels are back.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CutRelay, startCutRelay } from './cut-relay.js';
import { eventually } from './eventually.js';
import { type HealthWatch, watchHealth } from './health-watch.js';
import { steadyPort } from './ports.js';
import { look, signal } from './process-tree.js';
import type { Cleanup } from './processes.js';
import { type Sshd, startSshd } from './sshd.js';
import { takePort } from './stranger.js';
import {
  type DescribedTunnel,
  DRIVERS,
  type DriverName,
  helpersOf,
  runTunnelNode,
  type TunnelNode,
  tunnelTo,
} from './tunnel-node.js';
import { type TunnelWatch, watchTunnels } from './tunnel-watch.js';

const TIMEOUT_MS = 60_000;
/** Long enough to be noticed, short enough that some sessions survive it. */
const CUT_MS = 2_500;

/** One tunnel with its server and its cable. */
export interface FieldTunnel {
  readonly name: string;
  readonly driver: DriverName;
  readonly sshd: Sshd;
  readonly relay: CutRelay;
  readonly local: number;
  readonly remote: number;
}

/** Everything; `near` is replaced when the node is started again. */
export interface Field {
  readonly tunnels: readonly FieldTunnel[];
  readonly watch: TunnelWatch;
  readonly health: HealthWatch;
  /** Temporary folder of the near node: what it leaves there is seen. */
  readonly temp: string;
  near: TunnelNode;
  far: TunnelNode;
  /** Starts a node again with the home it had. */
  startNear(): Promise<void>;
  startFar(): Promise<void>;
}

/** Sets all of it up; the tunnels are up when it resolves. */
export async function makeField(
  cleanup: Cleanup,
  options: { readonly tunnels: number; readonly args: readonly string[]; readonly healthEveryMs: number },
): Promise<Field> {
  const [nearPort, nearApi, farPort, farApi] = (await Promise.all(
    Array.from({ length: 4 }, () => steadyPort()),
  )) as [number, number, number, number];
  const tunnels = await Promise.all(
    Array.from({ length: options.tunnels }, (_, number) => makeTunnel(cleanup, number)),
  );
  const described = Object.fromEntries(
    tunnels.map(({ name, driver, sshd, relay, local, remote }): [string, DescribedTunnel] => [
      name,
      tunnelTo(sshd, {
        driver,
        ssh: `${sshd.user}@127.0.0.1:${relay.port}`,
        forward: [`${local}:localhost:${farPort}`],
        reverse: [`${remote}:localhost:${nearPort}`],
      }),
    ]),
  );
  const temp = cleanup.folder();
  const [nearHome, farHome] = [cleanup.folder(), cleanup.folder()];
  const startNear = () =>
    runTunnelNode(cleanup, {
      id: 'near',
      nodePort: nearPort,
      apiPort: nearApi,
      home: nearHome,
      temp,
      args: options.args,
      tunnels: described,
    });
  const startFar = () =>
    runTunnelNode(cleanup, { id: 'far', nodePort: farPort, apiPort: farApi, home: farHome });
  const far = await startFar();
  const near = await startNear();
  const watch = watchTunnels(cleanup, nearApi);
  const ports = tunnels.map(({ local }) => local);
  const health = watchHealth(cleanup, ports, { everyMs: options.healthEveryMs });
  const field: Field = {
    tunnels,
    watch,
    health,
    temp,
    near,
    far,
    async startNear() {
      field.near = await startNear();
    },
    async startFar() {
      field.far = await startFar();
    },
  };
  await allBack(field);
  return field;
}

async function makeTunnel(cleanup: Cleanup, number: number): Promise<FieldTunnel> {
  const sshd = await startSshd(cleanup);
  const relay = await startCutRelay(cleanup, sshd.port);
  // Clients know it by the address of the cable.
  writeFileSync(sshd.knownHosts, `[127.0.0.1]:${relay.port} ${sshd.hostKey}\n`);
  const driver = DRIVERS[number % DRIVERS.length]!;
  const [local, remote] = [await steadyPort(), await steadyPort()];
  return { name: `${driver}-${number}`, driver, sshd, relay, local, remote };
}

/** Resolves when every tunnel is up and answers. */
export async function allBack({ watch, health, tunnels, near }: Field): Promise<void> {
  try {
    await Promise.all([
      watch.allUp(
        tunnels.map(({ name }) => name),
        TIMEOUT_MS,
      ),
      health.allAnswer(TIMEOUT_MS),
    ]);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${near.child.output}`);
  }
}

/** The faults that a tunnel can be given, by name. */
export const TUNNEL_FAULTS: Readonly<Record<string, (field: Field, tunnel: FieldTunnel) => Promise<void>>> = {
  /** What carries it is killed outright: the ssh child, or the server's end of a session that has none. */
  async kill({ watch }, { name, driver, sshd }) {
    const pids = driver === 'openssh' ? [watch.now(name)?.pid ?? 0] : sshd.pidsOfSessions();
    for (const seen of pids.map(look)) if (seen !== undefined) signal(seen, 'SIGKILL');
  },

  /** The server's end of the session stands still; what connects anew is served. */
  async freeze({ watch }, { name, sshd }) {
    const sinceMs = Date.now();
    const frozen = sshd.pidsOfSessions().map(look);
    for (const seen of frozen) if (seen !== undefined) signal(seen, 'SIGSTOP');
    await watch.until(name, ({ state }) => state !== 'up', TIMEOUT_MS, sinceMs);
    await watch.until(name, ({ state }) => state === 'up', TIMEOUT_MS);
    for (const seen of frozen) if (seen !== undefined) signal(seen, 'SIGCONT');
  },

  /** The cable is out for a while. */
  async cut(_field, { relay }) {
    relay.cut();
    await delay(CUT_MS);
    relay.heal();
  },

  /** The server is gone, and when it is back another program has the port of `-R`. */
  async busy({ watch }, { name, sshd, remote }) {
    const sinceMs = Date.now();
    await sshd.stop();
    const release = await takePort(remote);
    try {
      await sshd.start();
      await watch.until(name, ({ code }) => code === 'remote-port-busy', TIMEOUT_MS, sinceMs);
    } finally {
      await release();
    }
  },
};

/** The faults of a whole node, by name. */
export const NODE_FAULTS: Readonly<Record<string, (field: Field) => Promise<void>>> = {
  async restart(field) {
    const { child, home } = field.near;
    child.kill('SIGTERM');
    const exit = await child.closed;
    if (exit !== 0) throw new Error(`the node ended with ${exit}\n${child.output}`);
    await helpersGone(home, child.pid, 2_000);
    await field.startNear();
  },

  async kill9(field) {
    const { child, home } = field.near;
    child.kill('SIGKILL');
    await child.closed;
    await helpersGone(home, child.pid, 10_000);
    await field.startNear();
  },

  async farRestart(field) {
    field.far.child.kill('SIGKILL');
    await field.far.child.closed;
    await field.startFar();
  },
};

async function helpersGone(home: string, nodePid: number, timeoutMs: number): Promise<void> {
  const what = 'what ran for the node has ended with it';
  const left = () => helpersOf(home, nodePid).map(({ pid, name }) => `${name} ${pid}`);
  await eventually({ timeoutMs, everyMs: 20, what, onLate: () => left().join() }, () => left().length === 0);
}

/** Folder of the state of a node's tunnels. */
export const stateFolder = (home: string) => path.join(home, 'tunnels');
