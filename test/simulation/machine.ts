/**
 * One simulated machine and the lives of the node on it: the shipped composition with clock, randomness, transport, addresses and
 * engine passed in. Knows how a node starts, stops, is paused and is ended; when is the business of `world.ts`.
 */
import { createNode, type Node } from '../../src/node/index.js';
import { type MemoryNetwork, UNKNOWN_CAPABILITIES } from '../../src/protocol/index.js';
import { type Clock, type Logger, type Random, seededRandom } from '../../src/shared/index.js';
import { AddressList, candidateFor } from '../support/memory-mesh.js';
import { ExactEngine } from './engine.js';
import type { NodePlan } from './plan.js';
import { ProcessClock } from './process-clock.js';
import { ProcessTransport, type SuddenEnd } from './process-transport.js';

/** What machines run on. */
export interface MachineComponents {
  readonly clock: Clock;
  readonly network: MemoryNetwork;
  readonly random: Random;
  /** The log of one life of a node. */
  logger(machine: Machine, isOver: () => boolean): Logger;
  /** A timer threw, or a start failed: the process would have ended. */
  onFault(machine: Machine, error: unknown): void;
}

/** One process. */
export interface Life {
  readonly clock: ProcessClock;
  readonly sockets: ProcessTransport;
  readonly engine: ExactEngine;
  readonly node: Node;
  /** It was ended from outside: nothing of it runs any more. */
  isOver: boolean;
}

/** Deadline of an answer. */
export const RESPONSE_TIMEOUT_MS = 30_000;
const PORT = 50_051;

/** A machine. */
export class Machine {
  readonly id: string;
  /** The process that runs, also while it is paused or stopping. */
  life: Life | undefined;
  /** A process of this machine has ended before. */
  hasEnded = false;
  state: 'down' | 'up' | 'paused' | 'stopping' = 'down';
  readonly #plan: NodePlan;
  readonly #c: MachineComponents;
  #skewMs: number;

  constructor(plan: NodePlan, components: MachineComponents) {
    this.id = plan.id;
    this.#plan = plan;
    this.#c = components;
    this.#skewMs = plan.skewMs;
  }

  start(): void {
    this.#c.network.restore(this.id);
    const life = this.#create();
    this.life = life;
    this.state = 'up';
    life.node.start().catch((error: unknown) => this.#c.onFault(this, error));
  }

  /** Resolves with the process that stopped. */
  async stop(): Promise<Life> {
    const life = this.life!;
    this.state = 'stopping';
    this.hasEnded = true;
    await life.node.stop();
    this.state = 'down';
    this.life = undefined;
    return life;
  }

  /** SIGKILL, or no power. */
  end(how: SuddenEnd): void {
    const life = this.life!;
    life.isOver = true;
    this.hasEnded = true;
    if (how === 'power') this.#c.network.vanish(this.id);
    life.sockets.end(how);
    life.clock.kill();
    this.state = 'down';
    this.life = undefined;
  }

  /** SIGSTOP. */
  pause(): void {
    this.#c.network.freeze(this.id);
    this.life!.clock.pause();
    this.life!.sockets.pause();
    this.state = 'paused';
  }

  /** SIGCONT: late timers run before what waits at the sockets is read, or after it, as it happens. */
  resume(timersFirst: boolean): void {
    const thaw = () => this.#c.network.thaw(this.id);
    this.state = 'up';
    this.life!.sockets.resume();
    this.life!.clock.resume();
    if (timersFirst) this.#c.clock.after(0, thaw);
    else thaw();
  }

  jump(byMs: number): void {
    this.#skewMs += byMs;
    if (this.life !== undefined) this.life.clock.skewMs = this.#skewMs;
  }

  #create(): Life {
    const { id, dials, memoryMb, originMs } = this.#plan;
    const onFault = (error: unknown) => this.#c.onFault(this, error);
    const clock = new ProcessClock(this.#c.clock, { skewMs: this.#skewMs, originMs, onFault });
    const random = seededRandom(Math.floor(this.#c.random.next() * 2 ** 32));
    const sockets = new ProcessTransport(this.#c.network.transport(id));
    const engine = new ExactEngine(clock, random);
    const capabilities = { ...UNKNOWN_CAPABILITIES, model: `Box ${id}`, memory: memoryMb };
    const addresses = new AddressList(dials.map((host) => candidateFor(host)));
    const node = createNode(
      {
        nodeId: id,
        instance: random.bytes(8).toString('hex'),
        epoch: Math.floor(clock.wall()),
        version: 'simulation',
        nodeHost: id,
        nodePort: PORT,
        discovery: {
          modules: ['manual'],
          discoveryTimeoutMs: 30_000,
          listenPort: 5678,
          broadcastPort: 5678,
        },
        engine: 'dummy',
        responseTimeoutMs: RESPONSE_TIMEOUT_MS,
        maxGenerateTokens: 100,
        defaultTemperature: 0,
      },
      {
        clock,
        random,
        logger: this.#c.logger(this, () => life.isOver),
        transport: sockets,
        discover: (_, components) => addresses.connect(components),
        capabilities: { instant: capabilities, refined: Promise.resolve(capabilities) },
        inferenceEngine: engine,
      },
    );
    const life: Life = { clock, sockets, engine, node, isOver: false };
    return life;
  }
}
