/**
 * The statuses of the ring: tells all nodes when this one begins and ends to process a prompt, and hears theirs, which
 * shows the active node and lets the own shard be loaded before its first tensor comes. Called by `ring.ts`.
 */
import type { OpaqueStatus, RingPlace, Shard } from '../../protocol/index.js';
import type { Clock, Logger } from '../../shared/index.js';
import type { InferenceEngine } from '../engine.js';
import type { ActiveNode } from './active-node.js';
import { type PromptStatus, promptStatus, readNodeStatus } from './node-status.js';
import { placesOf, toldRing } from './ring-plan.js';
import type { RingPort } from './ring-port.js';
import type { RingRequest } from './ring-request.js';

/** What the statuses work with. */
export interface RingStatusesComponents {
  readonly engine: InferenceEngine;
  readonly port: RingPort;
  readonly activeNode: ActiveNode;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A model that a status names. */
interface AnnouncedModel {
  readonly id: string;
  readonly layers: number;
}

/** Sends and applies node statuses. */
export class RingStatuses {
  readonly #parts: RingStatusesComponents;
  readonly #stop: AbortSignal;
  /** Shards being loaded ahead, by model. */
  readonly #loading = new Map<string, Promise<void>>();

  /** `stop` ends the loading ahead. */
  constructor(components: RingStatusesComponents, stop: AbortSignal) {
    this.#parts = components;
    this.#stop = stop;
  }

  /** Resolves when nothing is being loaded ahead any more. */
  get idle(): Promise<unknown> {
    return Promise.all(this.#loading.values());
  }

  /** Tells that a prompt is being processed; call what it returns when that is over. Both apply to this node too. */
  announce(request: RingRequest, baseShard: Shard, prompt: string): () => void {
    const { clock, port } = this.#parts;
    const startedMs = clock.now();
    const shard = request.ring[request.place]?.shard ?? baseShard;
    const status = {
      nodeId: port.selfId,
      baseShard,
      shard,
      prompt,
      requestId: request.requestId,
      ...(request.isTold ? { ring: placesOf(request.ring) } : {}),
    };
    this.#tell({ ...status, status: 'start_process_prompt' });
    return () => this.#tell({ ...status, status: 'end_process_prompt', elapsedMs: clock.now() - startedMs });
  }

  /** 0x40. Statuses of other kinds are left alone. `mayFetch`: its sender is trusted. */
  onStatus(message: OpaqueStatus, mayFetch = false): void {
    const status = readNodeStatus(message);
    if (status === undefined) return;
    this.#parts.activeNode.apply(status);
    const { model, ring } = status;
    if (status.status === 'start_process_prompt' && model !== null) this.#loadAhead(model, ring, mayFetch);
  }

  #tell(status: PromptStatus): void {
    const { activeNode, port } = this.#parts;
    activeNode.apply({ nodeId: status.nodeId, status: status.status, model: null });
    port.broadcastStatus(promptStatus(status));
  }

  #loadAhead(model: AnnouncedModel, told: readonly RingPlace[] | undefined, mayFetch: boolean): void {
    const { log } = this.#parts;
    if (this.#loading.has(model.id) || this.#stop.aborted) return;
    const done = this.#load(model, told, mayFetch)
      .catch((error) => log.debug('load-ahead-failed', { model: model.id, error }))
      .finally(() => this.#loading.delete(model.id));
    this.#loading.set(model.id, done);
  }

  async #load(
    model: AnnouncedModel,
    told: readonly RingPlace[] | undefined,
    mayFetch: boolean,
  ): Promise<void> {
    const { engine, port } = this.#parts;
    if (told !== undefined && !told.some(({ nodeId }) => nodeId === port.selfId)) return;
    await engine.models.learn(model.id, this.#stop, mayFetch);
    const known = engine.models.find(model.id);
    if (known.layers !== model.layers) return;
    const ring = told === undefined ? port.ring(known.id, known.layers) : toldRing(told, known, port.selfId);
    const own = ring.find((member) => member.nodeId === port.selfId);
    if (own !== undefined) await engine.load(own.shard, this.#stop);
  }
}
