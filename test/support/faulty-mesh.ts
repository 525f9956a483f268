/**
 * Nodes with real models, each a process with a home of its own, that know each other through relays: every direction between two of
 * them can be cut or severed, every node and every engine process killed, stopped and started again under its old ports. It does
 * what it is told; which fault comes when, and what has to hold, is the test's matter.
 */

import { type CutRelay, startCutRelay } from './cut-relay.js';
import { eventually } from './eventually.js';
import { getJson, nodeIds, topology } from './http.js';
import { writePeersFile } from './peers-file.js';
import { freePorts } from './ports.js';
import { argvOf, descendants } from './process-tree.js';
import { type Child, type Cleanup, startExo, untilHealthy } from './processes.js';

/** How the nodes are started. */
export interface FaultyMeshOptions {
  readonly ids: readonly string[];
  /** More options of every node. */
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** `$EXO_HOME` of a node. @default a new folder */
  readonly homeOf?: (id: string) => string;
}

/** One node, in all its lives. */
interface Machine {
  readonly id: string;
  readonly api: string;
  readonly home: string;
  readonly start: () => Child;
  child: Child | undefined;
}

const API_TIMEOUT_MS = 20_000;
const MESH_TIMEOUT_MS = 30_000;

/** The nodes and what is between them. */
export class FaultyMesh {
  readonly #machines: ReadonlyMap<string, Machine>;
  /** `from>to` → what `from` dials to reach `to`. */
  readonly #relays: ReadonlyMap<string, CutRelay>;

  private constructor(machines: ReadonlyMap<string, Machine>, relays: ReadonlyMap<string, CutRelay>) {
    this.#machines = machines;
    this.#relays = relays;
  }

  /** Prepares everything; no node runs yet. */
  static async prepare(cleanup: Cleanup, options: FaultyMeshOptions): Promise<FaultyMesh> {
    const { ids, args = [], env = {}, homeOf = () => cleanup.folder() } = options;
    const folder = cleanup.folder();
    const ports = await freePorts(ids.length * 2);
    const relays = new Map<string, CutRelay>();
    for (const from of ids) {
      for (const [at, to] of ids.entries()) {
        if (from !== to) relays.set(`${from}>${to}`, await startCutRelay(cleanup, ports[at]!));
      }
    }
    const machines = new Map<string, Machine>();
    for (const [at, id] of ids.entries()) {
      const others = ids.filter((other) => other !== id);
      const peers = Object.fromEntries(others.map((other) => [other, relays.get(`${id}>${other}`)!.port]));
      const apiPort = ports[ids.length + at]!;
      const home = homeOf(id);
      const words = [
        ...['--node-id', id, '--node-port', String(ports[at]), '--chatgpt-api-port', String(apiPort)],
        ...[
          '--discovery-module',
          'manual',
          '--discovery-config-path',
          writePeersFile(folder, `${id}.json`, peers),
        ],
        ...['--inference-engine', 'ggml', '--split', '--disable-tui', ...args],
      ];
      machines.set(id, {
        id,
        home,
        api: `http://127.0.0.1:${apiPort}`,
        child: undefined,
        start: () => startExo(cleanup, words, { name: `exo ${id}`, env: { ...env, EXO_HOME: home } }),
      });
    }
    return new FaultyMesh(machines, relays);
  }

  /** Where a node is asked. */
  api(id: string): string {
    return this.#machine(id).api;
  }

  home(id: string): string {
    return this.#machine(id).home;
  }

  /** What the nodes wrote last, for messages. */
  get outputs(): string {
    return [...this.#machines.values()].map(({ child }) => child?.output ?? '').join('\n');
  }

  /** Pid of the node's process. */
  pid(id: string): number {
    return this.#running(id).pid;
  }

  /** The process that computes for a node; undefined while there is none. */
  enginePid(id: string): number | undefined {
    const isEngine = ({ pid }: { pid: number }) => argvOf(pid).some((arg) => arg.includes('ggml'));
    return descendants(this.pid(id)).find(isEngine)?.pid;
  }

  /** Starts nodes that do not run, and waits until they answer. */
  async start(...ids: string[]): Promise<void> {
    await Promise.all(
      ids.map(async (id) => {
        const machine = this.#machine(id);
        machine.child = machine.start();
        await untilHealthy(machine.child, machine.api, API_TIMEOUT_MS);
      }),
    );
  }

  /** SIGKILL to a node; its engine process goes with it. Does not wait. */
  kill(id: string): void {
    this.#running(id).kill('SIGKILL');
  }

  /** Waits until a node that was killed is gone. */
  async gone(id: string): Promise<void> {
    await this.#running(id).closed;
  }

  /** Waits until a node that was killed is gone, and starts it again. */
  async restart(id: string): Promise<void> {
    await this.gone(id);
    await this.start(id);
  }

  /** SIGKILL to a node's engine process; false where none runs. */
  killEngine(id: string): boolean {
    const pid = this.enginePid(id);
    return pid !== undefined && process.kill(pid, 'SIGKILL');
  }

  /** Stops a node in its tracks, until `resume`. Its engine process runs on. */
  pause(id: string): void {
    this.#running(id).kill('SIGSTOP');
  }

  resume(id: string): void {
    this.#running(id).kill('SIGCONT');
  }

  /** Connections of a node break and cannot be made, until `heal`. */
  sever(id: string): void {
    for (const relay of this.#relaysOf(id)) relay.sever();
  }

  /** Nothing passes to or from a node and nobody is told, until `heal`. */
  cut(id: string): void {
    for (const relay of this.#relaysOf(id)) relay.cut();
  }

  heal(id: string): void {
    for (const relay of this.#relaysOf(id)) relay.heal();
  }

  /** Waits until these nodes list each other and nobody else. */
  async whole(...ids: string[]): Promise<void> {
    const wanted = [...ids].sort().join();
    await eventually(
      {
        timeoutMs: MESH_TIMEOUT_MS,
        what: `${wanted} list each other and nobody else`,
        onLate: () => this.outputs,
      },
      async () => {
        for (const id of ids) {
          const view = await topology(this.api(id));
          const edges = Object.values(view.peer_graph).flat();
          const among = new Set(edges.map(({ from_id, to_id }) => `${from_id}>${to_id}`));
          const isWhole = ids.every((from) => ids.every((to) => from === to || among.has(`${from}>${to}`)));
          if (nodeIds(view).join() !== wanted || !isWhole) return false;
        }
        return true;
      },
    );
  }

  /** Waits until a node would compute answers of a model over all of these: one that has just started may be left out. */
  async computesOver(entry: string, model: string, ids: readonly string[]): Promise<void> {
    const wanted = [...ids].sort().join();
    await eventually(
      { timeoutMs: MESH_TIMEOUT_MS, what: `${entry} plans over ${wanted}`, onLate: () => this.outputs },
      async () => {
        const url = `${this.api(entry)}/v1/plan?model=${encodeURIComponent(model)}`;
        const { ring } = await getJson<{ ring: Array<{ node_id: string }> | null }>(url);
        return (
          ring
            ?.map(({ node_id }) => node_id)
            .sort()
            .join() === wanted
        );
      },
    );
  }

  /** Waits until a node lists another. */
  async sees(id: string, other: string): Promise<void> {
    await eventually({ timeoutMs: MESH_TIMEOUT_MS, what: `${id} lists ${other}`, everyMs: 10 }, async () =>
      nodeIds(await topology(this.api(id))).includes(other),
    );
  }

  #relaysOf(id: string): CutRelay[] {
    return [...this.#relays].filter(([pair]) => pair.split('>').includes(id)).map(([, relay]) => relay);
  }

  #machine(id: string): Machine {
    const machine = this.#machines.get(id);
    if (machine === undefined) throw new Error(`no node ${id}`);
    return machine;
  }

  #running(id: string): Child {
    const { child } = this.#machine(id);
    if (child === undefined) throw new Error(`node ${id} was never started`);
    return child;
  }
}
