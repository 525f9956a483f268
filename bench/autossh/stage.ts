/**
 * The setup of two machines, once: two hosts on one cable, an exo node on each, sshd on the far one, and a tunnel with -L
 * and -R that a contestant keeps up. Everything but the contestant is the same for all.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Host, Lab, type Lan } from '../../test/lab/lab.js';
import { type Child, EXO_MAIN } from '../../test/support/processes.js';
import { type Sshd, startSshd } from '../../test/support/sshd.js';

/** Who keeps the tunnel up. */
export interface Contestant {
  readonly name: string;
  /** Whether the near node opens the tunnel itself; else `command` does. */
  readonly own: boolean;
  /** Arguments of autossh in front of -L, -R and the destination. */
  readonly autossh: readonly string[];
}

/** Ports of the example. */
export const PORTS = {
  near: 50060,
  far: 50051,
  forward: 50052,
  api: 52416,
  farApi: 52415,
  ssh: 2222,
} as const;
const FORWARD = `${PORTS.forward}:localhost:${PORTS.far}`;
const REVERSE = `${PORTS.near}:localhost:${PORTS.near}`;
const SQUAT = `
  const net = require('net');
  for (const host of ['127.0.0.1', '::1']) {
    let waits = false;
    const attempt = () => {
      const server = net.createServer((socket) => socket.on('error', () => {}));
      server.on('error', () => {
        if (!waits) console.log('waits for ' + host);
        waits = true;
        setTimeout(attempt, 1);
      });
      server.listen(${PORTS.near}, host, () => console.log('holds ' + host));
    };
    attempt();
  }`;

/** What one tunnel said of itself, by the wall clock. */
export interface Said {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

/** One contestant on a pair of machines of its own. */
export class Stage {
  readonly contestant: Contestant;
  readonly lab = new Lab();
  readonly lan: Lan;
  readonly near: Host;
  readonly far: Host;
  #sshd: Sshd | undefined;

  constructor(contestant: Contestant) {
    this.contestant = contestant;
    this.lan = this.lab.lan(2);
    [this.near, this.far] = this.lan.hosts as [Host, Host];
  }

  get sshd(): Sshd {
    if (this.#sshd === undefined) throw new Error('the stage is not set');
    return this.#sshd;
  }

  /** Starts everything. The tunnel is on its way then. */
  async start(): Promise<void> {
    // sshd as it is installed: it notices by itself neither a client that is gone nor what that has left behind.
    const config = { LogLevel: 'INFO' };
    this.#sshd = await startSshd(this.lab.cleanup, { host: this.far, port: PORTS.ssh, config });
    const tunnel = {
      ssh: this.sshd.destination,
      forward: [FORWARD],
      reverse: [REVERSE],
      sshConfig: this.sshd.clientConfig,
    };
    this.#node(this.far, 'mac2', PORTS.far, PORTS.farApi, {
      mac1: { address: `127.0.0.1:${PORTS.near}` },
    });
    this.#node(this.near, 'mac1', PORTS.near, PORTS.api, {
      mac2: { address: `127.0.0.1:${PORTS.forward}`, ...(this.contestant.own ? { tunnel } : {}) },
    });
    if (this.contestant.own) return;
    const words = [...this.sshd.clientOptions, '-L', FORWARD, '-R', REVERSE, this.sshd.destination];
    this.near.start('autossh', [...this.contestant.autossh, ...words], { name: 'autossh' });
  }

  #node(host: Host, id: string, nodePort: number, apiPort: number, peers: object): void {
    const folder = this.lab.cleanup.folder();
    const file = path.join(folder, 'peers.json');
    writeFileSync(file, JSON.stringify({ peers }));
    const args = ['--node-id', id, '--node-port', String(nodePort), '--chatgpt-api-port', String(apiPort)];
    const rest = ['--discovery-module', 'manual', '--discovery-config-path', file, '--disable-tui'];
    host.start(process.execPath, [EXO_MAIN, ...args, ...rest, '--inference-engine', 'dummy'], {
      name: `exo ${id}`,
      env: { EXO_HOME: path.join(folder, 'home'), EXO_API: '', NO_COLOR: '1' },
    });
  }

  /** Kills the ssh that holds the connection, as a person would find it. Returns whether there was one. */
  killSsh(): boolean {
    const found = this.near.exec('ss', ['-Htnp', 'state', 'established', `( dport = :${PORTS.ssh} )`]);
    const pids = new Set([...found.matchAll(/"ssh",pid=(\d+)/g)].map((match) => Number(match[1])));
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    return pids.size > 0;
  }

  /** Somebody else is about to take the far port of -R: within a millisecond of its being free. */
  async squat(): Promise<Child> {
    const squatter = this.far.start(process.execPath, ['-e', SQUAT], { name: 'squatter' });
    for (const host of ['127\\.0\\.0\\.1', '::1'])
      await squatter.sees(new RegExp(`waits for ${host}`), 10_000);
    return squatter;
  }

  /** What the tunnel of ours has said, from the first to the last; empty for the others. */
  async said(): Promise<readonly Said[]> {
    if (!this.contestant.own) return [];
    const url = `http://127.0.0.1:${PORTS.api}/v1/tunnels/mac2`;
    const { history } = await this.near.fetchJson<{
      history: ReadonlyArray<{ at_ms: number; from: string; to: string; reason: string }>;
    }>(url);
    return history.map(({ at_ms: atMs, from, to, reason }) => ({ atMs, from, to, reason }));
  }

  async close(): Promise<void> {
    await this.lab.close();
  }
}
