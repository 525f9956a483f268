/** Why no ring can be made, in words that say what to do. Pure. */
import { ExoError, LIMITS, printable, toExoError } from '../../shared/index.js';
import type { ModelEntry } from '../engine-models.js';
import type { PlacedRange } from '../placement.js';
import { type MeshNow, ringError } from '../ring/index.js';
import { reservedPositions } from './assign.js';
import type { Choice } from './choose.js';
import type { CostedPlace } from './predict.js';

/** A node that takes no layers of a model, and why. */
export interface Outsider {
  readonly id: string;
  readonly reason: string;
  /** It has only not said in time what it offers. */
  readonly isLate?: true;
  /** Configuration and tokenizer of the model are on their way to it. */
  readonly isLearning?: true;
}

/** Throws `ring-incomplete` when one of the nodes is not there. */
export function assertPresent({ present }: MeshNow, nodeIds: readonly string[]): void {
  const missing = nodeIds.find((id) => !present.includes(id));
  if (missing === undefined) return;
  throw ringError(
    'ring-incomplete',
    `node ${name(missing)}, which is to hold layers, is not in the mesh; there are ${listed(present)}; start or connect it, or give its layers to one of these`,
  );
}

/** Throws `ring-incomplete` when a ring of these nodes cannot be: one is not there, or two that follow each other have no connection. */
export function assertPlaced(mesh: MeshNow, ranges: readonly PlacedRange[]): void {
  // Who is not there has no connection either; the first says what to do.
  assertPresent(
    mesh,
    ranges.map(({ nodeId }) => nodeId),
  );
  for (const [place, { nodeId }] of ranges.entries()) {
    assertLinked(mesh, nodeId, (ranges[place + 1] ?? ranges[0]!).nodeId);
  }
}

/** Throws `ring-incomplete` when two nodes that follow each other have no connection. */
function assertLinked(mesh: MeshNow, one: string, two: string): void {
  if (one === two || mesh.isLinked(one, two)) return;
  throw ringError(
    'ring-incomplete',
    `${name(one)} and ${name(two)} are to follow each other in the ring and have no connection`,
  );
}

/** No node, or not the one that is asked for, computes the model. */
export function cannot(model: ModelEntry, outsiders: readonly Outsider[]): ExoError {
  const learning = stillLearning(model, outsiders, 'the answer needs it');
  if (learning !== undefined) return learning;
  const reasons = outsiders.slice(0, 3).map(({ id, reason }) => `${name(id)}: ${printable(reason, 160)}`);
  return ringError(
    'ring-incomplete',
    `no layers of ${printable(model.id, 80)} can be placed: ${reasons.join('; ')}`,
  );
}

/** What keeps this node itself from a model. `signal`: of the work, which is given up here when it takes too long. */
export function ownFault(error: unknown, { aborted, reason }: AbortSignal): ExoError {
  const isLate = aborted && reason instanceof ExoError && reason.code === 'request-timeout';
  if (!isLate) return toExoError(error);
  return new ExoError(
    'engine-failed',
    `the engine of this node was not ready within ${LIMITS.ownOfferMs / 1_000} s: it starts, or the machine is busy; ask again`,
    { retryable: true },
  );
}

/** It does not fit; when a node may still offer more, another try may help. */
export function noRoom(
  model: ModelEntry,
  { nodes, workload }: Choice,
  outsiders: readonly Outsider[],
): ExoError {
  const [one] = nodes;
  const needed = one?.memoryBytes(0, one.layers, reservedPositions(workload)) ?? 0;
  const free = nodes.map(({ nodeId, offer }) => `${name(nodeId)} ${gigabytes(offer.memoryBytes)}`);
  const text = `${printable(model.id, 80)} needs ${gigabytes(needed)} of memory; free are: ${free.slice(0, 5).join(', ')}`;
  const learning = stillLearning(model, outsiders, `without it there is no room: ${text}`);
  if (learning !== undefined) return learning;
  const late = outsiders.find(({ isLate }) => isLate === true);
  if (late !== undefined) {
    return ringError(
      'ring-incomplete',
      `${text}; not counted is ${name(late.id)}, which ${printable(late.reason, 160)}: ask again in a moment`,
    );
  }
  return outsiders.length === 0
    ? new ExoError('out-of-memory', `${text}; take a smaller or more quantised model, or another node`)
    : new ExoError('out-of-memory', `${text}; not counted: ${cannot(model, outsiders).message}`);
}

/** `model-fetching` where a node that may take layers soon does not know the model yet; undefined where there is none. */
function stillLearning(model: ModelEntry, outsiders: readonly Outsider[], why: string): ExoError | undefined {
  const [first] = outsiders.filter(({ isLearning }) => isLearning === true);
  if (first === undefined) return undefined;
  return new ExoError(
    'model-fetching',
    `${name(first.id)} is still learning about ${printable(model.id, 80)}, and ${why}; ask again in a moment, or fetch it there before: exo model pull ${printable(model.id, 80)} (${printable(first.reason, 300)})`,
    { retryable: true },
  );
}

/** What was asked for by name does not fit. */
export function tooLarge({ node, start, end }: CostedPlace, positions: number): ExoError {
  return new ExoError(
    'out-of-memory',
    `layers ${start}-${end - 1} need ${gigabytes(node.memoryBytes(start, end, positions))} on ${name(node.nodeId)}, which has ${gigabytes(node.offer.memoryBytes)} free; give it fewer`,
  );
}

function name(id: string): string {
  return printable(id, 60);
}

function listed(ids: readonly string[]): string {
  const shown = ids.slice(0, 8).map(name).join(', ');
  return ids.length > 8 ? `${shown} and ${ids.length - 8} more` : shown;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
