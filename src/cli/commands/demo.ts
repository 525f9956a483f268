/**
 * `exo demo`: the two machines of the example on this one. Two nodes in processes of their own find each other by the
 * peers files of docs/examples, on their ports; mac1 keeps an ssh tunnel up, to a server inside this process. Then both
 * are asked a question; with `--break` the tunnel's ssh is ended once, and what follows is shown.
 */
import path from 'node:path';
import { ExoError, formatAddress, printable, sleep } from '../../shared/index.js';
import { callApi } from '../api-client.js';
import type { TopologyJson, TunnelEventJson, TunnelJson } from '../api-shapes.js';
import { askNode } from '../chat-stream.js';
import { ChildNode } from '../demo/child-node.js';
import { makeDemoFolder, removeDemoFolder } from '../demo/folder.js';
import { FREE_WITHIN_MS, untilPortsAreFree } from '../demo/free-ports.js';
import { type DemoModel, demoModel, whereItRan } from '../demo/model.js';
import { type DemoNode, EXAMPLES, FORWARD, LEFT_OUT, LOOPBACK, MAC1, MAC2, nodeArgs } from '../demo/plan.js';
import { TunnelEnd } from '../demo/tunnel-end.js';
import { TunnelWatch } from '../demo/tunnel-watch.js';
import { EXIT } from '../errors.js';
import { formatTopology } from '../format/topology.js';
import { roundTrip } from '../format/units.js';
import { type CliHost, colours } from '../host.js';
import { Progress } from '../progress.js';
import { type StopSignal, stopSignal } from '../stop-signal.js';
import type { ApiTarget } from '../target.js';

/** Options of `exo demo`. */
export interface DemoOptions {
  /** End after the answers. */
  readonly once: boolean;
  /** After the answers, end the tunnel's ssh once. */
  readonly break: boolean;
}

/** Start-up of two processes on a slow machine, and their first dial. */
const MEET_WITHIN_MS = 30_000;
/** Two views that still differ then are shown as they are. */
const AGREE_WITHIN_MS = 3_000;
const LOOK_EVERY_MS = 100;
/** A process that is gone is reported when its output has been read to the end. */
const DEATH_TOLD_MS = 1_000;
/** The tunnel's ssh is ended: detection, the first retry and the login together take far less. */
const HEAL_WITHIN_MS = 30_000;
/** The tunnel's name is that of the peer it stands under. */
const TUNNEL = MAC2.id;
const QUESTION = 'Who are you?';

/** Exit code 0 after an orderly end; throws when a port is taken or a node dies. */
export async function demo(host: CliHost, options: DemoOptions): Promise<number> {
  const show = new Show(host);
  const stop = stopSignal(host, {
    onForced: () => show.abandon(),
    onFirst: () => host.stderr.write('\nending …\n'),
  });
  try {
    await show.start(stop);
    await show.meet(stop);
    await show.topologies(stop);
    await show.answers(stop, [MAC1, MAC2]);
    if (options.break) await show.break(stop);
    if (!options.once) await show.stay(stop);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    await show.end();
    stop.release();
  }
  return EXIT.ok;
}

class Show {
  readonly #host: CliHost;
  readonly #c;
  readonly #nodes: ChildNode[] = [];
  readonly #watch: TunnelWatch;
  #end: TunnelEnd | undefined;
  #folder: string | undefined;
  #model: DemoModel | undefined;

  constructor(host: CliHost) {
    this.#host = host;
    this.#c = colours(host.stdout, host.env);
    this.#watch = new TunnelWatch(host.clock, apiOf(MAC1), TUNNEL);
  }

  async start(stop: StopSignal): Promise<void> {
    await untilPortsAreFree(this.#host, stop.signal);
    this.#model = await demoModel(stop.signal);
    const { engine } = this.#model;
    this.#folder = makeDemoFolder();
    this.#end = new TunnelEnd(this.#folder);
    await this.#end.start();
    this.#say(
      this.#c.bold('Two nodes on this machine, in the places of two machines joined by an ssh tunnel:'),
      `  mac1  node ${LOOPBACK}:${MAC1.nodePort}  API ${LOOPBACK}:${MAC1.apiPort}  peers ${MAC1.peersFile} and a tunnel`,
      `  mac2  node ${LOOPBACK}:${MAC2.nodePort}  API ${LOOPBACK}:${MAC2.apiPort}  peers ${MAC2.peersFile}`,
      `  mac1 reaches mac2 through ssh -L ${FORWARD} ${this.#end.destination} (a server inside this demo)`,
      `  mac2 reaches mac1 directly: on one machine -R ${LEFT_OUT} would need mac1’s own port`,
      '',
    );
    if (stop.signal.aborted) return;
    for (const [node, file] of [
      [MAC1, this.#end.peersFile],
      [MAC2, path.join(EXAMPLES, MAC2.peersFile)],
    ] as const) {
      this.#nodes.push(
        new ChildNode(
          {
            name: node.id,
            args: nodeArgs(node, file, engine),
            env: { ...this.#host.env, EXO_HOME: path.join(this.#folder, node.id), EXO_API: '' },
          },
          { clock: this.#host.clock },
        ),
      );
    }
  }

  /** Until both list each other and the tunnel is proven. */
  async meet(stop: StopSignal): Promise<void> {
    const startMs = this.#host.clock.now();
    const progress = new Progress(this.#host, 'starting mac1 and mac2');
    try {
      for (;;) {
        const views = await Promise.all([MAC1, MAC2].map((node) => this.#topology(node, stop)));
        const waiting = [MAC1, MAC2].filter((_, at) => !isComplete(views[at]));
        if (waiting.length === 0) break;
        if (views.some((view) => view !== undefined)) {
          progress.update(`waiting until ${waiting.map(({ id }) => id).join(' and ')} see both nodes`);
        }
        const tookMs = this.#host.clock.now() - startMs;
        if (tookMs > MEET_WITHIN_MS) {
          throw new ExoError(
            'request-timeout',
            `the two nodes did not find each other within ${MEET_WITHIN_MS / 1000} s; DEBUG=1 exo demo shows more`,
          );
        }
        await this.#alive(sleep(this.#host.clock, LOOK_EVERY_MS, stop.signal));
      }
      const seconds = ((this.#host.clock.now() - startMs) / 1000).toFixed(1);
      const tunnel = await this.#untilUp(stop, startMs + MEET_WITHIN_MS, ({ to, reason }) => {
        if (to === 'backoff') progress.update(`the tunnel is ${to}: ${printable(reason, 300)}`);
      });
      progress.end();
      this.#say(`both nodes list each other after ${seconds} s`, ...this.#tunnelLines(tunnel), '');
    } finally {
      progress.end();
    }
  }

  /** Once both have the same view: what a machine can do is measured while it starts, and told then. */
  async topologies(stop: StopSignal): Promise<void> {
    const views = async () => Promise.all([MAC1, MAC2].map((node) => this.#topology(node, stop)));
    const untilMs = this.#host.clock.now() + AGREE_WITHIN_MS;
    let [first, second] = await views();
    while (first?.digest !== second?.digest && this.#host.clock.now() < untilMs) {
      await this.#alive(sleep(this.#host.clock, LOOK_EVERY_MS, stop.signal));
      [first, second] = await views();
    }
    for (const [node, view] of [
      [MAC1, first],
      [MAC2, second],
    ] as const) {
      if (view === undefined) throw new ExoError('api-unreachable', `${node.id} does not answer any more`);
      this.#say(this.#c.bold(`topology as ${node.id} sees it`), ...formatTopology(view, this.#c), '');
    }
  }

  async answers(stop: StopSignal, nodes: readonly DemoNode[]): Promise<void> {
    for (const node of nodes) {
      const { stdout, clock } = this.#host;
      stdout.write(`${this.#c.bold(`${node.id}, ${QUESTION}`)}\n  `);
      const startMs = clock.now();
      const answer = await this.#alive(
        askNode(apiOf(node), { model: this.#modelId, prompt: QUESTION }, stop.signal, (text) =>
          stdout.write(printable(text, 10_000)),
        ),
      );
      const tookMs = Math.round(clock.now() - startMs);
      stdout.write(`\n  ${this.#c.dim(`${answer.completionTokens} tokens in ${tookMs} ms`)}\n\n`);
    }
    if (nodes.length === 1) return;
    const view = await this.#topology(MAC1, stop);
    if (view !== undefined && this.#model !== undefined) this.#say(whereItRan(view, this.#model), '');
  }

  /** Ends the tunnel's ssh (or, where ssh2 in the node carries it, cuts its connection) and tells what the tunnel does. */
  async break(stop: StopSignal): Promise<void> {
    const { clock } = this.#host;
    const { pid } = await this.#watch.look(stop.signal);
    const deadlineMs = clock.now() + HEAL_WITHIN_MS;
    const atMs = clock.wall();
    this.#say(
      this.#c.bold(
        pid === null
          ? 'breaking the tunnel: its connection is cut'
          : `breaking the tunnel: kill -9 ${pid}, its ssh`,
      ),
    );
    if (pid === null) this.#end?.cut();
    else process.kill(pid, 'SIGKILL');
    let broken = false;
    const tunnel = await this.#untilUp(
      stop,
      deadlineMs,
      (event) => {
        broken = true;
        this.#tell(event, `${((event.at_ms - atMs) / 1_000).toFixed(2)} s`);
      },
      () => broken,
    );
    this.#say(...this.#tunnelLines(tunnel), '');
    await this.answers(stop, [MAC1]);
  }

  /** Until Ctrl-C, or until a node dies. */
  async stay(stop: StopSignal): Promise<void> {
    const api = (node: DemoNode) => formatAddress(apiOf(node));
    this.#say(
      'Both nodes stay up. In another terminal, or in a browser:',
      `  http://${api(MAC1)}/   http://${api(MAC2)}/`,
      `  exo status --api ${api(MAC1)}`,
      `  exo tunnel status --api ${api(MAC1)}`,
      `  exo topology --api ${api(MAC2)}`,
      `  exo ping mac2 --api ${api(MAC1)}`,
      `  exo run ${this.#modelId} --prompt "How do nodes find each other?" --api ${api(MAC2)}`,
      `  curl http://${api(MAC2)}/topology`,
      `(exo not found? npm link puts it on the PATH; or: node dist/cli/main.js)`,
      '',
      'Ctrl-C ends it.',
    );
    await this.#standing(this.#watch.look(stop.signal));
    await this.#standing(
      this.#watch.follow(
        stop.signal,
        (event) => this.#tell(event, new Date(event.at_ms).toLocaleTimeString()),
        () => false,
      ),
    );
  }

  get #modelId(): string {
    return this.#model?.id ?? '';
  }

  /** Everything away, even when a part of it fails. The nodes first: they end their ssh themselves. */
  async end(): Promise<void> {
    try {
      await Promise.all(this.#nodes.splice(0).map((node) => node.stop()));
      await this.#end?.stop();
    } finally {
      this.#removeFolder();
    }
  }

  abandon(): void {
    for (const node of this.#nodes) node.kill();
    this.#removeFolder();
  }

  #removeFolder(): void {
    if (this.#folder !== undefined) removeDemoFolder(this.#folder);
  }

  /** Waits until the tunnel is up (and `also` holds), telling its changes. */
  async #untilUp(
    stop: StopSignal,
    deadlineMs: number,
    tell: (event: TunnelEventJson) => void,
    also: () => boolean = () => true,
  ): Promise<TunnelJson> {
    const { clock } = this.#host;
    let untilMs = deadlineMs;
    return this.#alive(
      this.#watch.follow(stop.signal, tell, (tunnel) => {
        if (tunnel.state === 'up') return also();
        // A connection has got the port after it was looked at.
        if (tunnel.code === 'local-port-ephemeral') untilMs = deadlineMs + FREE_WITHIN_MS;
        if (clock.now() < untilMs && tunnel.state !== 'failed') return false;
        throw new ExoError('tunnel-failed', `the tunnel is ${tunnel.state}: ${tunnel.reason}`);
      }),
    );
  }

  #tunnelLines(tunnel: TunnelJson): string[] {
    const carrier = tunnel.driver === 'openssh' ? `ssh, pid ${tunnel.pid}` : 'ssh2 inside mac1';
    return [
      `tunnel ${tunnel.name}: ${this.#c.green(tunnel.state)} (${carrier}); a health check through it takes ${roundTrip(tunnel.forwards[0]?.rtt_ms ?? null)}`,
    ];
  }

  #tell(event: TunnelEventJson, when: string): void {
    this.#say(`  ${when.padStart(7)}  ${event.from} → ${event.to}: ${printable(event.reason, 300)}`);
  }

  /** `work`, unless a node dies first. */
  #alive<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, ...this.#nodes.map((node) => node.died)]);
  }

  /** The same of nodes that ran: whose API is gone may turn out to have died in a moment, and that is the better reason. */
  async #standing<T>(work: Promise<T>): Promise<T> {
    try {
      return await this.#alive(work);
    } catch (error) {
      await this.#alive(sleep(this.#host.clock, DEATH_TOLD_MS));
      throw error;
    }
  }

  /** Undefined while the node is starting. */
  async #topology(node: DemoNode, stop: StopSignal): Promise<TopologyJson | undefined> {
    try {
      const call = { method: 'GET', path: '/v1/topology', signal: stop.signal } as const;
      return await this.#alive(callApi<TopologyJson>(this.#host.clock, apiOf(node), call));
    } catch (error) {
      if (error instanceof ExoError && error.code === 'api-unreachable') return undefined;
      throw error;
    }
  }

  #say(...lines: readonly string[]): void {
    this.#host.stdout.write(`${lines.join('\n')}\n`);
  }
}

/** Both nodes and both edges. */
function isComplete(view: TopologyJson | undefined): boolean {
  if (view === undefined) return false;
  const edge = (from: string, to: string) =>
    view.peer_graph[from]?.some(({ to_id: id }) => id === to) === true;
  return edge(MAC1.id, MAC2.id) && edge(MAC2.id, MAC1.id) && Object.keys(view.nodes).length === 2;
}

function apiOf(node: DemoNode): ApiTarget {
  return { host: LOOPBACK, port: node.apiPort };
}
