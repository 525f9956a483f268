/**
 * `node_status`: what a node tells all others when it begins and ends to process a prompt, in the original's JSON. The
 * prompt in it is cut to a length that fits a control frame. Pure.
 */
import { type OpaqueStatus, type RingPlace, ringToWire, type Shard } from '../../protocol/index.js';
import { LIMITS } from '../../shared/index.js';

/** What is read of a status; the original writes `start_…` and `end_…` of prompt, train_example and eval_example. */
export interface NodeStatus {
  readonly nodeId: string;
  readonly status: string;
  /** The model that will be needed, where the status names one. */
  readonly model: { readonly id: string; readonly layers: number } | null;
  /** Who computes it, where the status says so. */
  readonly ring?: readonly RingPlace[];
}

/** What is told about a prompt. */
export interface PromptStatus {
  readonly nodeId: string;
  readonly status: 'start_process_prompt' | 'end_process_prompt';
  /** (model, 0, 0, n) in the original. */
  readonly baseShard: Shard;
  /** The layers of the node that tells it. */
  readonly shard: Shard;
  readonly prompt: string;
  readonly requestId: string;
  /** Where the members are told who holds what. */
  readonly ring?: readonly RingPlace[];
  /** Only with `end_…`. */
  readonly elapsedMs?: number;
}

/** The message that tells it, with the original's fields in the original's order. */
export function promptStatus(status: PromptStatus): OpaqueStatus {
  const { requestId, elapsedMs, ring } = status;
  const fields = {
    type: 'node_status',
    node_id: status.nodeId,
    status: status.status,
    base_shard: wireShard(status.baseShard),
    shard: wireShard(status.shard),
    prompt: status.prompt.slice(0, LIMITS.statusPromptCharsMax),
    request_id: requestId,
    ...(elapsedMs === undefined ? {} : { elapsed_time_ns: Math.round(elapsedMs * 1e6) }),
    ...(ring === undefined ? {} : { ring: ringToWire(ring) }),
  };
  return { kind: 'opaque-status', requestId, status: JSON.stringify(fields) };
}

/** The node status in a message; undefined for other statuses and for what cannot be read. Never throws. */
export function readNodeStatus(message: OpaqueStatus): NodeStatus | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(message.status);
  } catch {
    return undefined;
  }
  if (!isRecord(fields) || fields['type'] !== 'node_status') return undefined;
  const { node_id: nodeId, status, base_shard: base } = fields;
  if (typeof nodeId !== 'string' || nodeId === '' || nodeId.length > LIMITS.nodeIdCharsMax) return undefined;
  if (typeof status !== 'string') return undefined;
  const named =
    isRecord(base) && typeof base['model_id'] === 'string' && typeof base['n_layers'] === 'number';
  const model = named ? { id: base['model_id'] as string, layers: base['n_layers'] as number } : null;
  const ring = readRing(fields['ring']);
  return { nodeId, status, model, ...(ring === undefined ? {} : { ring }) };
}

/** Undefined also for what is no ring. */
function readRing(value: unknown): readonly RingPlace[] | undefined {
  if (!Array.isArray(value) || value.length > LIMITS.ringMembersMax) return undefined;
  const ring: RingPlace[] = [];
  for (const place of value as readonly unknown[]) {
    if (!isRecord(place)) return undefined;
    const { node_id: nodeId, start_layer: startLayer, end_layer: endLayer } = place;
    if (typeof nodeId !== 'string' || typeof startLayer !== 'number' || typeof endLayer !== 'number')
      return undefined;
    ring.push({ nodeId, startLayer, endLayer });
  }
  return ring;
}

function wireShard(shard: Shard): object {
  return {
    model_id: shard.modelId,
    start_layer: shard.startLayer,
    end_layer: shard.endLayer,
    n_layers: shard.nLayers,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
