/**
 * What computes answers on a node: the engine, the ring and who plans it, the files of models, and the answers that this node serves.
 * Each needs the others, and of the mesh only its port. `node.ts` has one, starts and stops engine and ring with the other parts, and
 * routes messages to them.
 */
import {
  ActiveNode,
  createEngine,
  type Downloads,
  Generations,
  type InferenceEngine,
  Ring,
  RingPlanner,
} from '../inference/index.js';
import type { Clock, Logger, Random } from '../shared/index.js';
import type { ViewSnapshot } from '../topology/index.js';
import type { ChangeSignal } from './change-signal.js';
import type { NodeOptions } from './node-options.js';
import { createPeerFiles } from './peer-files.js';
import type { PeerTable } from './peer-table.js';
import { createRingPort } from './ring-port.js';

/** What it is put together with. */
export interface NodeInferenceParts {
  /** Absent: one as the options say. */
  readonly engine: InferenceEngine | undefined;
  /** The files of its models, where it has any. */
  readonly downloads: Downloads | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly peers: PeerTable;
  readonly changes: ChangeSignal;
  snapshot(): ViewSnapshot;
}

/** The inference of one node. */
export class NodeInference {
  readonly engine: InferenceEngine;
  /** The mesh as the ring sees it. */
  readonly port: ReturnType<typeof createRingPort>;
  readonly ring: Ring;
  readonly planner: RingPlanner;
  readonly chat: Generations;
  readonly #activeNode: ActiveNode;
  readonly #downloads: Downloads | undefined;

  constructor(options: NodeOptions, parts: NodeInferenceParts) {
    const { clock, random, logger: log, peers, changes, downloads } = parts;
    const engine = parts.engine ?? createEngine(options.engine);
    const activeNode = new ActiveNode(() => changes.changed());
    const port = createRingPort({
      selfId: options.nodeId,
      clock,
      peers,
      snapshot: () => parts.snapshot(),
      changedAtMs: () => changes.meshAtMs,
    });
    downloads?.connect({
      files: createPeerFiles(options.nodeId, peers, clock),
      broadcast: (status) => port.broadcastStatus(status),
      ownShard: (modelId, layers) =>
        port.ring(modelId, layers).find(({ nodeId }) => nodeId === options.nodeId)?.shard,
    });
    const { maxGenerateTokens, defaultTemperature, responseTimeoutMs } = options;
    const { defaultModel, systemPrompt, recovery, placement, contextTokensMax } = options;
    this.engine = engine;
    this.port = port;
    this.ring = new Ring(
      { maxGenerateTokens, defaultTemperature, responseTimeoutMs },
      { engine, port, activeNode, clock, random, log },
    );
    this.planner = new RingPlanner({ port, engine, clock, downloads, log });
    this.chat = new Generations(
      { defaultModel, systemPrompt, responseTimeoutMs, recovery, placement, contextTokensMax },
      { ring: this.ring, planner: this.planner, engine, clock, random, log },
    );
    this.#activeNode = activeNode;
    this.#downloads = downloads;
  }

  /** The node that works on a prompt now, as far as is known here. */
  get activeNodeId(): string | null {
    return this.#activeNode.id;
  }

  /** What the first answer needs is found out before somebody waits for it. */
  warm(): void {
    void this.planner.warm(this.chat.defaultModel);
  }

  /** The work is given up, and who waits for it told; engine and ring are stopped afterwards. */
  async giveUp(): Promise<void> {
    await this.chat.stop();
    this.planner.stop();
    await this.#downloads?.stop();
  }
}
