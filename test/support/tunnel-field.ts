/**
 * Many tunnels of one node for fault cycles: groups of two (one by each driver, each with `-L` and `-R`), every group with
 * an sshd of its own behind a cable of its own, so that each can be given another fault at the same time. The faults are
 * made from outside; each function resolves when its fault is over, not when the tunnels are back.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CutRelay, startCutRelay } from './cut-relay.js';
import { eventually } from './eventually.js';
import { type HealthWatch, watchHealth } from './health-watch.js';
import { steadyPort } from './ports.js';
import { look, type SeenProcess, signal } from './process-tree.js';
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

/** One tunnel. */
export interface FieldTunnel {
  readonly name: string;
  readonly driver: DriverName;
  readonly local: number;
  readonly remote: number;
}

/** Two tunnels with their server and their cable. */
export interface Group {
  readonly sshd: Sshd;
  readonly relay: CutRelay;
  readonly tunnels: readonly FieldTunnel[];
}

/** Everything; `near` is replaced when the node is started again. */
export interface Field {
  readonly groups: readonly Group[];
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
  options: { readonly groups: number; readonly args: readonly string[]; readonly healthEveryMs: number },
): Promise<Field> {
  const [nearPort, nearApi, farPort, farApi] = (await Promise.all(
    Array.from({ length: 4 }, () => steadyPort()),
  )) as [number, number, number, number];
  const groups = await Promise.all(
    Array.from({ length: options.groups }, (_, group) => makeGroup(cleanup, group)),
  );
  const tunnels = groups.flatMap((group) => group.tunnels);
  const described = Object.fromEntries(
    groups.flatMap(({ sshd, relay, tunnels: own }) =>
      own.map(({ name, driver, local, remote }): [string, DescribedTunnel] => [
        name,
        tunnelTo(sshd, {
          driver,
          ssh: `${sshd.user}@127.0.0.1:${relay.port}`,
          forward: [`${local}:localhost:${farPort}`],
          reverse: [`${remote}:localhost:${nearPort}`],
        }),
      ]),
    ),
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
    groups,
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

async function makeGroup(cleanup: Cleanup, number: number): Promise<Group> {
  const sshd = await startSshd(cleanup);
  const relay = await startCutRelay(cleanup, sshd.port);
  // Clients know it by the address of the cable.
  writeFileSync(sshd.knownHosts, `[127.0.0.1]:${relay.port} ${sshd.hostKey}\n`);
  const tunnels = await Promise.all(
    DRIVERS.map(async (driver): Promise<FieldTunnel> => {
      const name = `${driver}-${number}`;
      return { name, driver, local: await steadyPort(), remote: await steadyPort() };
    }),
  );
  return { sshd, relay, tunnels };
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

/** A fault of one group. */
export type GroupFault = (field: Field, group: Group) => Promise<void>;

/** The faults that a group can be given, by name. */
export const GROUP_FAULTS: Readonly<Record<string, GroupFault>> = {
  /** The ssh child is killed outright, and the server's end of the other. */
  async kill({ watch }, { sshd, tunnels }) {
    const sessions = sshd.pidsOfSessions();
    for (const { name } of tunnels) {
      const pid = watch.now(name)?.pid;
      const child = pid === undefined || pid === null ? undefined : look(pid);
      if (child?.name === 'ssh') signal(child, 'SIGKILL');
    }
    for (const pid of sessions) {
      const seen = look(pid);
      if (seen !== undefined) signal(seen, 'SIGKILL');
    }
  },

  /** The server's ends of the sessions stand still; what connects anew is served. */
  async freeze({ watch }, { sshd, tunnels }) {
    const sinceMs = Date.now();
    const frozen = sshd.pidsOfSessions().map((pid) => look(pid)) as SeenProcess[];
    for (const seen of frozen) signal(seen, 'SIGSTOP');
    const noticed = tunnels.map(({ name }) => {
      return watch.until(name, ({ state }) => state !== 'up', TIMEOUT_MS, sinceMs);
    });
    await Promise.all(noticed);
    const up = tunnels.map(({ name }) => watch.until(name, ({ state }) => state === 'up', TIMEOUT_MS));
    await Promise.all(up);
    for (const seen of frozen) signal(seen, 'SIGCONT');
  },

  /** The cable is out for a while. */
  async cut(_field, { relay }) {
    relay.cut();
    await delay(CUT_MS);
    relay.heal();
  },

  /** The server is gone, and when it is back others have the ports. */
  async busy({ watch }, { sshd, tunnels }) {
    const sinceMs = Date.now();
    await sshd.stop();
    const release = await Promise.all(tunnels.map(({ remote }) => takePort(remote)));
    try {
      await sshd.start();
      const told = tunnels.map(({ name }) => {
        return watch.until(name, ({ code }) => code === 'remote-port-busy', TIMEOUT_MS, sinceMs);
      });
      await Promise.all(told);
    } finally {
      await Promise.all(release.map((give) => give()));
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
