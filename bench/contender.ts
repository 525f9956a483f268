/**
 * One thing that is measured: a server and a client program, each in a process of its own, that speak one line
 * of JSON per round with this one. Both are pinned to the same core where `taskset` exists: across cores the
 * scheduler's wake-up would be what is measured.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { compiled } from './compiled.js';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROUND_TIMEOUT_MS = 120_000;
const PIN = spawnSync('taskset', ['-c', '0', 'true']).status === 0 ? ['taskset', '-c', '0'] : [];

/** The programs of a contender; the client is given the server's port and `args`. */
export interface Programs {
  readonly server: string;
  readonly client: string;
  readonly args?: readonly string[];
}

/** A pair of programs, ready to run rounds. */
export class Contender {
  readonly name: string;
  readonly #files: Programs;
  #server: Program | undefined;
  #client: Program | undefined;

  /** `files` are relative to bench/; .ts files run compiled. */
  constructor(name: string, files: Programs) {
    this.name = name;
    this.#files = files;
  }

  async start(): Promise<void> {
    this.#server = new Program(this.#files.server, { prefix: PIN });
    const { port } = (await this.#server.line()) as { port: number };
    this.#client = new Program(this.#files.client, {
      args: [String(port), ...(this.#files.args ?? [])],
      prefix: PIN,
    });
  }

  /** One round of the client, e.g. `{size, count}` → `{p50, p99}` in microseconds. */
  async round(parameters: object): Promise<Record<string, number>> {
    return (await this.#client!.ask(parameters)) as Record<string, number>;
  }

  /** Asks the server for what it reports, e.g. resident memory in bytes. */
  async serverReport(): Promise<Record<string, number>> {
    return (await this.#server!.ask({})) as Record<string, number>;
  }

  async stop(): Promise<void> {
    await this.#client?.stop();
    await this.#server?.stop();
  }
}

/** A program of bench/ in a process of its own: a line of JSON in, a line of JSON out. It ends when its input does. */
export class Program {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #name: string;

  /** `file` is relative to bench/; a .ts file runs compiled. `prefix` stands before the command and becomes it (exec). */
  constructor(
    file: string,
    options: { readonly args?: readonly string[]; readonly prefix?: readonly string[] } = {},
  ) {
    this.#name = file;
    const program = file.endsWith('.ts') ? compiled(file) : path.join(HERE, file);
    const argv = [
      ...(options.prefix ?? []),
      process.execPath,
      '--expose-gc',
      program,
      ...(options.args ?? []),
    ];
    this.#child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ask(question: object): Promise<unknown> {
    this.#child.stdin!.write(`${JSON.stringify(question)}\n`);
    return this.line();
  }

  async line(): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.#name}: no answer in time`)), ROUND_TIMEOUT_MS);
    });
    try {
      const next = await Promise.race([this.#lines.next(), late]);
      if (next.done) throw new Error(`${this.#name} ended`);
      return JSON.parse(next.value);
    } finally {
      clearTimeout(timer);
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 2_000);
    await ended;
    clearTimeout(timer);
  }
}
