/** A node with tunnels, on loopback: what stands in its peers.json, what it says of them, what it has running for them. */
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { allProcesses, argvOf, openHandles, type SeenProcess } from './process-tree.js';
import { type Cleanup, type RunningNode, runExo } from './processes.js';
import type { Sshd } from './sshd.js';

/** Both drivers, for tests that run on each. */
export const DRIVERS = ['openssh', 'ssh2'] as const;
export type DriverName = (typeof DRIVERS)[number];

/** A tunnel as peers.json describes it. */
export interface DescribedTunnel {
  readonly ssh: string;
  readonly forward?: readonly string[];
  readonly reverse?: readonly string[];
  readonly identity?: string;
  readonly knownHosts?: string;
  readonly sshConfig?: string;
  readonly jump?: string;
  readonly driver?: DriverName;
  readonly options?: Readonly<Record<string, string>>;
  readonly probe?: boolean;
}

/** A tunnel to a server of the test with its key and host key. An empty ssh configuration: nobody's own is read. */
export function tunnelTo(sshd: Sshd, more: Partial<DescribedTunnel>): DescribedTunnel {
  return {
    ssh: sshd.destinationWithPort,
    identity: sshd.identity,
    knownHosts: sshd.knownHosts,
    sshConfig: '/dev/null',
    ...more,
  };
}

/** What stands in a peers.json. */
export interface PeersJson {
  readonly peers?: Readonly<Record<string, { readonly address: string; readonly tunnel?: DescribedTunnel }>>;
  readonly tunnels?: Readonly<Record<string, DescribedTunnel>>;
}

/** Writes a peers.json, at once as far as a reader can see. */
export function writePeers(file: string, { peers, tunnels }: PeersJson): void {
  const text = JSON.stringify({ peers: peers ?? {}, ...(tunnels === undefined ? {} : { tunnels }) }, null, 2);
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** How a node with tunnels is started. */
export interface TunnelNodeOptions extends PeersJson {
  readonly id: string;
  readonly nodePort: number;
  readonly apiPort: number;
  /** `$EXO_HOME`, to start a node again with what it kept. @default a new one */
  readonly home?: string;
  /** Folder for temporary files. @default the system's */
  readonly temp?: string;
  /** More options of `exo`. */
  readonly args?: readonly string[];
}

/** A node that reads a peers.json which the test writes. */
export interface TunnelNode extends RunningNode {
  readonly peersFile: string;
}

/** Starts one, ready when its API answers. */
export async function runTunnelNode(cleanup: Cleanup, options: TunnelNodeOptions): Promise<TunnelNode> {
  const home = options.home ?? cleanup.folder();
  const peersFile = path.join(home, 'peers.json');
  writePeers(peersFile, options);
  const node = await runExo(cleanup, {
    id: options.id,
    nodePort: options.nodePort,
    apiPort: options.apiPort,
    args: ['--discovery-module', 'manual', '--discovery-config-path', peersFile, ...(options.args ?? [])],
    child: {
      env: {
        EXO_HOME: home,
        SSH_AUTH_SOCK: '',
        DEBUG: '0',
        ...(options.temp === undefined ? {} : { TMPDIR: options.temp }),
      },
    },
  });
  return { ...node, home, peersFile };
}

/** Everything outside the node's own process that runs for it: ssh children and whatever guards them. */
export function helpersOf(home: string, nodePid: number): SeenProcess[] {
  return allProcesses().filter(
    ({ pid, ppid }) =>
      pid !== nodePid && (ppid === nodePid || argvOf(pid).some((word) => word.includes(home))),
  );
}

/** The ssh processes among them. */
export function sshOf(home: string, nodePid: number): SeenProcess[] {
  return helpersOf(home, nodePid).filter(({ name }) => name === 'ssh');
}

/** How many handles of each kind a process holds: sockets, pipes, files by path. */
export function handlesOf(pid: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const handle of openHandles(pid)) {
    const kind = handle.replace(/:\[\d+\]$/, '');
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}
