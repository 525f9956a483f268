/** What a ring is made with, and what a client of this node gives it. Types only. */
import type { JsonObject } from '../../protocol/index.js';
import type { Clock, Logger, Random } from '../../shared/index.js';
import type { InferenceEngine } from '../engine.js';
import type { ModelEntry } from '../engine-models.js';
import type { ActiveNode } from './active-node.js';
import type { RingMember, RingPort } from './ring-port.js';
import type { RingClient } from './ring-request.js';
import type { RingWorkerOptions } from './ring-worker.js';

/** Settings of the ring. */
export interface RingOptions extends RingWorkerOptions {
  /** `--chatgpt-api-response-timeout` in milliseconds: a request of which nothing is heard for so long is forgotten. */
  readonly responseTimeoutMs: number;
}

/** What the ring works with. */
export interface RingComponents {
  readonly engine: InferenceEngine;
  readonly port: RingPort;
  readonly activeNode: ActiveNode;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A prompt of a client of this node. */
export interface LocalPrompt {
  /** Unique in the mesh and for all time. */
  readonly requestId: string;
  readonly model: ModelEntry;
  readonly prompt: string;
  /** `prompt`, encoded, and the tokens of the answer so far. */
  readonly tokens: readonly number[];
  /** How many of `tokens`, the last ones, are of the answer. */
  readonly answered: number;
  /** Positions that are computed at most: the last token that the client wants goes through no layer. Absent: no bound. */
  readonly lengthMax?: number | undefined;
  readonly inferenceState: JsonObject | null;
  /** Where it is to be computed; absent: in the ring as this node sees it, and each member by itself. */
  readonly ring?: readonly RingMember[];
  readonly client: RingClient;
}
