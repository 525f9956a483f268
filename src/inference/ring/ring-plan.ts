/**
 * Rings as they are decided on and told: ranges of layers on nodes, and whether they make a ring of a model. Pure. What is
 * best is the planner's matter; the ring checks here what it is told.
 */
import type { RingPlace } from '../../protocol/index.js';
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import type { ModelEntry } from '../engine-models.js';
import { ringError } from './ring-errors.js';
import type { RingMember } from './ring-port.js';

/** Which layers of which model. */
type LayeredModel = Pick<ModelEntry, 'id' | 'layers'>;

/** A ring as it is told to its members. */
export function placesOf(ring: readonly RingMember[]): readonly RingPlace[] {
  return ring.map(({ nodeId, shard: { startLayer, endLayer } }) => ({ nodeId, startLayer, endLayer }));
}

/** Places with what belongs to a shard. Not checked. */
export function ringOf(places: readonly RingPlace[], model: LayeredModel): readonly RingMember[] {
  return places.map(({ nodeId, startLayer, endLayer }) => ({
    nodeId,
    shard: { modelId: model.id, startLayer, endLayer, nLayers: model.layers },
  }));
}

/** What keeps places from being a ring of the model, in words; undefined when nothing does. */
export function ringFault(places: readonly RingPlace[], model: LayeredModel): string | undefined {
  const { layers } = model;
  if (places.length === 0) return 'no node is named';
  if (places.length > LIMITS.ringMembersMax) {
    return `${places.length} ranges are named; at most ${LIMITS.ringMembersMax} can be`;
  }
  const seen = new Set<string>();
  let next = 0;
  for (const { nodeId, startLayer, endLayer } of places) {
    const who = printable(nodeId, 60);
    if (seen.has(nodeId)) return `${who} is named twice; a node holds one range`;
    seen.add(nodeId);
    const isRange = Number.isSafeInteger(startLayer) && Number.isSafeInteger(endLayer);
    if (!isRange || startLayer > endLayer) return `${startLayer}-${endLayer} of ${who} is no range of layers`;
    if (startLayer !== next) return `${who} begins with layer ${startLayer}, and layer ${next} is to come`;
    next = endLayer + 1;
  }
  const named = printable(model.id, 80);
  return next === layers
    ? undefined
    : `the last layer named is ${next - 1}, that of ${named} is ${layers - 1}`;
}

/**
 * The ring that this node was told, or told itself. Throws `protocol-violation` when it is none, or when the node is not in it
 * and does not serve the client either.
 */
export function toldRing(
  places: readonly RingPlace[],
  model: LayeredModel,
  selfId: string,
  client?: object,
): readonly RingMember[] {
  const fault = ringFault(places, model);
  if (fault !== undefined) throw ringError('protocol-violation', `the ring that was told is none: ${fault}`);
  if (client === undefined && !places.some(({ nodeId }) => nodeId === selfId)) {
    throw ringError('protocol-violation', 'the ring that was told has no layer for this node');
  }
  return ringOf(places, model);
}

/** A ring that was told has a member that computes its own: it would hold other layers. */
export function oldMember(): ExoError {
  return new ExoError(
    'ring-incomplete',
    'the ring that was told has an old peer in it, which holds the layers that it thinks of itself; ask again',
    { retryable: true },
  );
}
