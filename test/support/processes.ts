/**
 * Children of tests: started with their output kept, ended by pid without exception (SIGTERM, after five
 * seconds SIGKILL, and SIGKILL for whatever is left when the test process itself ends).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, inTime } from './eventually.js';

/** The repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The built command; EXO_TEST_MAIN names another build of it. */
export const EXO_MAIN = process.env['EXO_TEST_MAIN'] ?? path.join(ROOT, 'dist/cli/main.js');
/** The second implementation. */
export const LEGACY_MAIN = path.join(ROOT, 'test/legacy-peer/main.mjs');

const KILL_AFTER_MS = 5_000;
const OUTPUT_CHARS_MAX = 4_000_000;
const running = new Set<Child>();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
// Without this a signal ends the process and no 'exit' is told: the runner sends one to a file that takes too long.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** How to start a child. */
export interface ChildOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Put in front of the command: `['ip', 'netns', 'exec', name]`. They must replace themselves (exec), so that the pid stays. */
  readonly prefix?: readonly string[];
  /** For messages. @default the command */
  readonly name?: string;
}

/** One running child. */
export class Child {
  readonly name: string;
  readonly process: ChildProcess;
  /** Everything written so far. */
  stdout = '';
  stderr = '';
  /** Exit code, or the signal's name; undefined while it runs. */
  exit: number | NodeJS.Signals | undefined;
  /** Resolves with `exit` when the child is gone and its output is complete. */
  readonly closed: Promise<number | NodeJS.Signals>;
  #listeners = new Set<() => void>();

  constructor(command: string, args: readonly string[], options: ChildOptions = {}) {
    const [first, ...rest] = [...(options.prefix ?? []), command, ...args];
    this.name = options.name ?? path.basename(command);
    this.process = spawn(first!, rest, {
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this);
    this.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout = (this.stdout + text).slice(-OUTPUT_CHARS_MAX);
      this.#changed();
    });
    this.process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-OUTPUT_CHARS_MAX);
      this.#changed();
    });
    this.closed = new Promise((resolve) => {
      this.process.once('error', (error) => {
        this.stderr += `\n${error.message}`;
        this.#ended(127, resolve);
      });
      this.process.once('close', (code, signal) => this.#ended(signal ?? code ?? 1, resolve));
    });
  }

  get pid(): number {
    return this.process.pid ?? -1;
  }

  /** Both outputs, for messages. */
  get output(): string {
    return `--- ${this.name} stdout\n${tail(this.stdout)}\n--- ${this.name} stderr\n${tail(this.stderr)}`;
  }

  /** Sends a signal; false when the child is gone. */
  kill(signal: NodeJS.Signals): boolean {
    return this.exit === undefined && this.process.kill(signal);
  }

  /** Resolves when `pattern` is in the output; rejects when the child ends first or the deadline passes. */
  sees(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#listeners.delete(look);
        settle();
      };
      const fail = (why: string) =>
        finish(() => reject(new Error(`${this.name} ${why} before ${pattern}\n${this.output}`)));
      const look = () => {
        const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
        if (match !== null) finish(() => resolve(match));
        else if (this.exit !== undefined) fail(`ended (${this.exit})`);
      };
      const timer = setTimeout(() => fail(`took ${inTime(timeoutMs)} ms`), inTime(timeoutMs));
      this.#listeners.add(look);
      look();
    });
  }

  /** Ends the child: SIGTERM, and SIGKILL when it has not gone after five seconds. Resolves with its exit. */
  async stop(): Promise<number | NodeJS.Signals> {
    if (this.exit === undefined) {
      this.kill('SIGCONT');
      this.kill('SIGTERM');
      const timer = setTimeout(() => this.kill('SIGKILL'), KILL_AFTER_MS);
      await this.closed;
      clearTimeout(timer);
    }
    return this.closed;
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #ended(exit: number | NodeJS.Signals, resolve: (exit: number | NodeJS.Signals) => void): void {
    if (this.exit !== undefined) return;
    this.exit = exit;
    running.delete(this);
    resolve(exit);
    this.#changed();
  }
}

function tail(text: string): string {
  return text.length > 6_000 ? `…${text.slice(-6_000)}` : text;
}

/** What a test started and must end: children, folders, servers. `dispose` runs them in reverse order. */
export class Cleanup {
  #steps: Array<() => unknown> = [];

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  /** A child that ends with the test. */
  child(command: string, args: readonly string[], options?: ChildOptions): Child {
    const child = new Child(command, args, options);
    this.add(() => child.stop());
    return child;
  }

  /** A folder that goes with the test. */
  folder(): string {
    const folder = mkdtempSync(path.join(tmpdir(), 'exo-test-'));
    this.add(() => rmSync(folder, { recursive: true, force: true }));
    return folder;
  }

  /** Ends everything, children side by side first in reverse order of their start; throws the first failure at the end. */
  async dispose(): Promise<void> {
    const errors: unknown[] = [];
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

/** A running node and where it is. */
export interface RunningNode {
  readonly child: Child;
  readonly nodePort: number;
  readonly apiPort: number;
  readonly api: string;
  readonly home: string;
}

/** Resident memory of a process in bytes (Linux), 0 where it cannot be read. */
export function residentBytes(pid: number): number {
  try {
    const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kb ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Starts the built `exo` with its own EXO_HOME, without waiting for it. */
export function startExo(cleanup: Cleanup, args: readonly string[], options: ChildOptions = {}): Child {
  const home = cleanup.folder();
  return cleanup.child(process.execPath, [EXO_MAIN, ...args], {
    ...options,
    name: options.name ?? `exo ${args.slice(0, 4).join(' ')}`,
    env: { EXO_HOME: home, DEBUG: '1', NO_COLOR: '1', EXO_API: '', ...options.env },
  });
}

/**
 * A node on loopback on the dummy engine, ready when its API answers.
 * @param args more options; `--node-port` and `--chatgpt-api-port` are given here
 */
export async function runExo(
  cleanup: Cleanup,
  options: {
    readonly id: string;
    readonly nodePort: number;
    readonly apiPort: number;
    readonly args: readonly string[];
    readonly child?: ChildOptions;
  },
): Promise<RunningNode> {
  const home = cleanup.folder();
  const args = [
    '--node-id',
    options.id,
    '--node-port',
    String(options.nodePort),
    '--chatgpt-api-port',
    String(options.apiPort),
    '--inference-engine',
    'dummy',
    '--disable-tui',
    ...options.args,
  ];
  const child = startExo(cleanup, args, {
    name: `exo ${options.id}`,
    ...options.child,
    env: { EXO_HOME: home, ...options.child?.env },
  });
  const api = `http://127.0.0.1:${options.apiPort}`;
  await untilHealthy(child, api);
  return { child, nodePort: options.nodePort, apiPort: options.apiPort, api, home };
}

/** Resolves when `GET /healthcheck` answers; rejects at once when the child ends before. */
export async function untilHealthy(child: Child, api: string, timeoutMs = 20_000): Promise<void> {
  await eventually(
    { timeoutMs, what: `${child.name} answers at ${api}`, onLate: () => child.output },
    async () => {
      if (child.exit !== undefined) return true;
      return (await fetch(`${api}/healthcheck`, { signal: AbortSignal.timeout(inTime(1_000)) })).ok;
    },
  );
  if (child.exit !== undefined) throw new Error(`${child.name} ended (${child.exit})\n${child.output}`);
}

/** An old peer in its own process, ready when it listens. */
export async function runLegacy(
  cleanup: Cleanup,
  options: {
    readonly id: string;
    readonly peersFile: string;
    readonly nodePort?: number;
    readonly memoryMb?: number;
    /** More options. */
    readonly args?: readonly string[];
  },
): Promise<RunningNode> {
  const child = cleanup.child(
    process.execPath,
    [
      LEGACY_MAIN,
      '--node-id',
      options.id,
      '--node-port',
      String(options.nodePort ?? 0),
      '--peers',
      options.peersFile,
      '--memory',
      String(options.memoryMb ?? 16_384),
      ...(options.args ?? []),
    ],
    { name: `old peer ${options.id}` },
  );
  const ports = JSON.parse((await child.sees(/\{"nodePort".*\}/, 10_000))[0]) as {
    nodePort: number;
    apiPort: number;
  };
  return { child, ...ports, api: `http://127.0.0.1:${ports.apiPort}`, home: '' };
}
