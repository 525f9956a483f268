/** Where `exo connect` is tested: two namespaces, a real sshd, and an account of its own that goes with the test. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Host, Lab, Lan, labUnavailable } from '../lab/lab.js';
import { type Account, accountUnavailable, temporaryAccount } from './account.js';
import { eventually } from './eventually.js';
import type { Topology } from './http.js';
import { allProcesses } from './process-tree.js';
import { type Child, EXO_MAIN } from './processes.js';
import { type Sshd, type SshdConfig, startSshd } from './sshd.js';

/** Why it cannot be had here; undefined where it can. */
export function connectWorldUnavailable(): string | undefined {
  return labUnavailable(['nft', 'sshd']) ?? accountUnavailable();
}

/** The shape that is checked of `exo connect --json`. */
export interface ConnectJson {
  readonly already_connected: boolean;
  readonly near: { readonly id: string; readonly peers_file: string; readonly started: boolean };
  readonly far: { readonly id: string; readonly peers_file: string | null; readonly started: boolean };
  readonly near_port: number;
  readonly far_port: number | null;
  readonly answer: string | null;
}

/** Two hosts on one network, an account on the far one that nobody has logged in to, and its sshd. */
export class ConnectWorld {
  readonly lab = new Lab();
  readonly near: Host;
  readonly far: Host;
  readonly account: Account;
  /** EXO_HOME of the near side; not there yet. */
  readonly home: string;
  sshd!: Sshd;

  constructor() {
    const lan = new Lan(this.lab.host('sw'), '10.66.0');
    this.near = this.lab.host('near');
    this.far = this.lab.host('far');
    lan.join(this.near, 1);
    lan.join(this.far, 2);
    this.account = temporaryAccount(this.lab.cleanup);
    this.home = path.join(this.lab.cleanup.folder(), 'state', 'exo');
  }

  /** Starts `exo …` on the near side. */
  exo(...args: string[]): Child {
    return this.near.start(process.execPath, [EXO_MAIN, ...args], {
      name: `exo ${args.join(' ')}`,
      env: { EXO_HOME: this.home, EXO_API: '', NO_COLOR: '1', DEBUG: '' },
    });
  }

  connect(...args: string[]): Child {
    return this.exo('connect', '-F', this.sshd.clientConfig, this.sshd.destination, ...args);
  }

  /** To its end, with exit code 0, and what it printed. */
  async connected(...args: string[]): Promise<ConnectJson> {
    const child = this.connect('--json', ...args);
    assert.equal(await child.closed, 0, child.output);
    return JSON.parse(child.stdout) as ConnectJson;
  }

  /** To its end, with exit code 1. */
  async refused(child: Child, message: RegExp): Promise<void> {
    assert.equal(await child.closed, 1, child.output);
    assert.match(child.stderr, message);
  }

  topology(host: Host, port = 52415): Promise<Topology> {
    return host.fetchJson<Topology>(`http://127.0.0.1:${port}/topology`);
  }

  /** How the near node trusts its peers, and whom it knows. */
  async trust(): Promise<{ readonly peers: readonly string[]; readonly known: readonly string[] }> {
    const [peers, trust] = [this.exo('peers', '--json'), this.exo('trust', 'list', '--json')];
    assert.deepEqual([await peers.closed, await trust.closed], [0, 0], peers.output + trust.output);
    const view = JSON.parse(peers.stdout) as {
      peers: Array<{ id: string; trust: string; encrypted: boolean }>;
    };
    const list = JSON.parse(trust.stdout) as { trusted: Array<{ id: string }> };
    return {
      peers: view.peers.map(({ id, trust: how, encrypted }) => `${id} ${how} ${encrypted}`),
      known: list.trusted.map(({ id }) => id),
    };
  }

  /** exo on the PATH of the account: a person has installed it there. */
  installThere(): void {
    const folder = path.join(this.account.home, '.local/bin');
    mkdirSync(folder, { recursive: true });
    for (const each of [path.dirname(folder), folder]) chmodSync(each, 0o755);
    const exo = path.join(folder, 'exo');
    writeFileSync(exo, `#!/bin/sh\nexec '${process.execPath}' '${EXO_MAIN}' "$@"\n`);
    chmodSync(exo, 0o755);
    // The account makes folders of its own beside it.
    this.lab.cleanup.child('chown', ['-R', `${this.account.uid}:${this.account.gid}`, this.account.home]);
  }

  /** What can be left behind: files on both sides, processes of the account, listeners and processes on both hosts. */
  traces(): string {
    const listeners = (host: Host) => host.exec('ss', ['-Hltn']).replace(/ +/g, ' ');
    const nodes = allProcesses().filter(({ pid }) => uidOf(pid) === this.account.uid);
    return [
      ...files(path.dirname(path.dirname(this.home))),
      ...files(this.account.home),
      `far ${listeners(this.far)}`,
      `near ${listeners(this.near)}`,
      `processes of the account ${nodes.map(({ name }) => name).join()}`,
      `processes here ${this.near.pids().length}`,
    ].join('\n');
  }
}

/** The user of a process; -1 when it is gone. */
export function uidOf(pid: number): number {
  try {
    return Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? -1);
  } catch {
    return -1;
  }
}

/** Names of everything in a folder; a sent build is one entry. */
export function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.includes('exo-mesh/0.'))
    .map((name) => path.join(folder, name))
    .sort();
}

/** Makes a world for `work` and ends it. */
export async function inWorld(
  work: (world: ConnectWorld) => Promise<void>,
  config: SshdConfig = {},
): Promise<void> {
  const world = new ConnectWorld();
  try {
    world.sshd = await startSshd(world.lab.cleanup, { host: world.far, user: world.account.name, config });
    await work(world);
  } finally {
    await world.lab.close();
  }
}

/** Waits until nothing is left of what `exo connect` began. */
export async function untilGone(world: ConnectWorld, before: string): Promise<void> {
  let now = '';
  await eventually(
    { timeoutMs: 15_000, what: 'nothing is left', onLate: () => `before:\n${before}\nnow:\n${now}` },
    () => {
      now = world.traces();
      return now === before;
    },
  );
}
