/**
 * The five machines of the nemesis: four nodes on one LAN that know each other by peers.json, and a fifth on loopback of its host
 * that two of them reach through supervised tunnels, one by each driver. On every host an agent makes traffic and looks.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Host, Lab, type Lan } from '../lab/lab.js';
import { Observer } from '../support/observer.js';
import { type Child, EXO_MAIN } from '../support/processes.js';
import { program } from '../support/program.js';
import { type Sshd, startSshd } from '../support/sshd.js';
import { tunnelTo } from '../support/tunnel-node.js';
import type { AgentJob, AgentReport, RequestReport, ViewReport } from './agent.js';
import { CLOCK_HOSTS, HOSTS, TUNNEL_HOST } from './schedule.js';

const AGENT = program(new URL('./agent.ts', import.meta.url));
const NODE_PORT = 50051;
const API_PORT = 52415;
/** Answers of the API end by then, in seconds. */
export const RESPONSE_TIMEOUT_S = 15;
/** After which an agent gives a request up: far beyond every deadline of the node and every fault. */
const GIVE_UP_MS = 90_000;
const EVERY_MS = 500;
/** Between two faked times that libfaketime reads from its file, in seconds. */
const CLOCK_CACHE_S = '1';

/** Where libfaketime is; undefined where it is not installed. */
export function faketimeLibrary(): string | undefined {
  const roots = existsSync('/usr/lib') ? readdirSync('/usr/lib') : [];
  return roots
    .map((name) => path.join('/usr/lib', name, 'faketime/libfaketime.so.1'))
    .find((file) => existsSync(file));
}

/** What happened on one machine. */
export class Machine {
  readonly host: Host;
  readonly index: number;
  readonly home: string;
  readonly requests: RequestReport[] = [];
  /** Times at which its node could not be expected to answer. */
  readonly away: Array<{ readonly fromMs: number; toMs: number; readonly killed: boolean }> = [];
  /** Every process of its node so far. */
  readonly lives: Child[] = [];
  /** The last look of its agent. */
  view: ViewReport | undefined;
  agent!: Observer<AgentReport>;
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;

  constructor(host: Host, index: number, home: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.host = host;
    this.index = index;
    this.home = home;
    this.#args = args;
    this.#env = env;
  }

  /** Its node as it runs now. */
  get node(): Child {
    return this.lives.at(-1)!;
  }

  get id(): string {
    return `n${this.index + 1}`;
  }

  /** Starts its node; the same home every time. */
  start(): void {
    const env = {
      EXO_HOME: this.home,
      EXO_API: '',
      DEBUG: '1',
      NO_COLOR: '1',
      ...this.#env,
    };
    this.lives.push(this.host.start(process.execPath, [EXO_MAIN, ...this.#args], { name: this.id, env }));
  }

  /** Runs a command of `exo` on this machine; resolves with its output. Throws when it fails. */
  async exo(...words: string[]): Promise<string> {
    const env = { EXO_HOME: this.home, EXO_API: '', NO_COLOR: '1' };
    const child = this.host.start(process.execPath, [EXO_MAIN, ...words], { name: `exo ${words[0]}`, env });
    if ((await child.closed) !== 0) throw new Error(`exo ${words.join(' ')} failed\n${child.output}`);
    return child.stdout;
  }

  startAgent(): void {
    const job: AgentJob = {
      apiPort: API_PORT,
      nodePort: NODE_PORT,
      everyMs: EVERY_MS,
      giveUpMs: GIVE_UP_MS,
    };
    this.agent = new Observer(AGENT, job, this.host.prefix, (report: AgentReport) => {
      if (report.type === 'view') this.view = report;
      else this.requests.push(report);
    });
  }

  /** Sets its clock off by so many seconds; 0 puts it right. */
  setClock(seconds: number): void {
    writeFileSync(path.join(this.home, 'clock'), `${seconds >= 0 ? '+' : ''}${seconds}\n`);
  }
}

/** All of it. */
export interface Field {
  readonly lab: Lab;
  readonly lan: Lan;
  readonly sshd: Sshd;
  readonly machines: readonly Machine[];
  close(): Promise<void>;
}

const TUNNELS = [
  { from: 0, driver: 'openssh', local: 50055, remote: 50061 },
  { from: 1, driver: 'ssh2', local: 50055, remote: 50062 },
] as const;

/** Whether this build has mesh keys that can be rotated. */
export function hasKeys(): boolean {
  return spawnSync(process.execPath, [EXO_MAIN, 'key', 'rotate', '--help'], { stdio: 'ignore' }).status === 0;
}

/** Gives every machine the mesh key of the first. No node runs yet. */
async function shareKey(machines: readonly Machine[]): Promise<void> {
  const [first, ...others] = machines;
  await first!.exo('key', 'new', '--node-id', first!.id);
  const shown = await first!.exo('key', 'show', '--json', '--node-id', first!.id);
  const { keys } = JSON.parse(shown) as { keys: ReadonlyArray<{ key: string }> };
  for (const machine of others) {
    const file = path.join(machine.home, 'shared-key');
    writeFileSync(file, `${keys[0]!.key}\n`, { mode: 0o600 });
    await machine.exo('key', 'join', '--file', file, '--node-id', machine.id);
  }
}

/** Makes the machines and starts everything; with `keys` only who has the mesh key is let in. */
export async function makeField(options: { readonly keys: boolean }): Promise<Field> {
  const lab = new Lab();
  const machines: Machine[] = [];
  const close = async () => {
    const pids = machines.flatMap(({ lives }) => lives.map(({ pid }) => pid));
    try {
      await Promise.all(machines.map(({ agent }) => agent?.stop()));
    } finally {
      await lab.close();
      forgetClocks(pids);
    }
  };
  try {
    const lan = lab.lan(HOSTS);
    const library = faketimeLibrary();
    const sshd = await startSshd(lab.cleanup, { host: lan.hosts[TUNNEL_HOST]! });
    lan.hosts.forEach((host, index) => {
      const home = lab.cleanup.folder();
      writeFileSync(path.join(home, 'peers.json'), JSON.stringify({ peers: peersOf(lan, index, sshd) }));
      const nodeHost = index === TUNNEL_HOST ? '127.0.0.1' : '0.0.0.0';
      const line = `--node-id n${index + 1} --node-host ${nodeHost} --node-port ${NODE_PORT} --chatgpt-api-port ${API_PORT} --chatgpt-api-response-timeout ${RESPONSE_TIMEOUT_S} --inference-engine dummy --disable-tui --discovery-module manual --discovery-config-path`;
      const hasClock = library !== undefined && (CLOCK_HOSTS as readonly number[]).includes(index);
      const clock = {
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: path.join(home, 'clock'),
        FAKETIME_CACHE_DURATION: CLOCK_CACHE_S,
        // Only what people call the time jumps; what runs, runs.
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      };
      // The agents send their tensors as old peers do, from the machine itself.
      const legacy = options.keys ? ['--allow-legacy', '127.0.0.1'] : [];
      const args = [...line.split(' '), path.join(home, 'peers.json'), ...legacy];
      const machine = new Machine(host, index, home, args, hasClock ? clock : {});
      machine.setClock(0);
      machines.push(machine);
    });
    if (options.keys) await shareKey(machines);
    for (const machine of machines) {
      machine.start();
      machine.startAgent();
    }
    return { lab, lan, sshd, machines, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Everybody on the LAN knows everybody there; the fifth is a peer behind a tunnel of two of them. */
function peersOf(lan: Lan, index: number, sshd: Sshd): object {
  if (index === TUNNEL_HOST) return {};
  const near = lan.hosts
    .map((host, at) => [`n${at + 1}`, { address: `${host.address}:${NODE_PORT}` }] as const)
    .filter((_, at) => at !== index && at !== TUNNEL_HOST);
  const own = TUNNELS.filter(({ from }) => from === index).map(({ driver, local, remote }) => {
    const tunnel = tunnelTo(sshd, {
      driver,
      forward: [`${local}:localhost:${NODE_PORT}`],
      reverse: [`${remote}:localhost:${NODE_PORT}`],
    });
    return [`n${TUNNEL_HOST + 1}`, { address: `127.0.0.1:${local}`, tunnel }] as const;
  });
  return Object.fromEntries([...near, ...own]);
}

/** libfaketime leaves these behind where its process was killed. */
function forgetClocks(pids: readonly number[]): void {
  for (const pid of pids) {
    for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) {
      rmSync(path.join('/dev/shm', name), { force: true });
    }
  }
}
