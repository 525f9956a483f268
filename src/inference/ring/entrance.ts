/**
 * Where a prompt enters the ring: at the holder of the first layer, or, for a node outside the ring that is not connected
 * to that one, at another member. Pure but for the questions to the port. Called by `ring.ts`.
 */
import { ExoError, printable } from '../../shared/index.js';
import { ringError } from './ring-errors.js';
import type { RingMember, RingPort } from './ring-port.js';
import type { RingRequest } from './ring-request.js';

/** The ring as it is takes no such prompt, and nothing suggests that this is about to change: another try is of no use. */
export class NoEntrance extends ExoError {}

/**
 * The member to send the prompt to; among several the first in ring order. Throws `ring-incomplete` when this node is
 * connected to none: a `NoEntrance` if the mesh is steady.
 */
export function entranceOf(request: RingRequest, port: RingPort): RingMember {
  const { ring, place, model } = request;
  const first = ring[0];
  if (first === undefined) throw ringError('ring-incomplete', 'the ring is empty');
  // Members reach one another; if they do not, the port says so.
  if (place >= 0 || port.isConnected(first.nodeId)) return first;
  const other = ring.find(({ nodeId }) => port.isNew(nodeId));
  if (other !== undefined) return other;
  const message = `this node has no connection to any of ${listed(ring)}, which hold the layers of ${model.id}; connect it to one of them ("exo peers --all" shows what was tried)`;
  if (port.isSteady()) throw new NoEntrance('ring-incomplete', message, { retryable: true });
  throw ringError('ring-incomplete', message);
}

/** An answer that has begun cannot go on in a ring with an old peer: it takes text only, and counts tokens from 0. */
export function noTakeUp(): NoEntrance {
  return new NoEntrance(
    'ring-incomplete',
    'the ring broke during the answer, and the one that is left has an old peer, which cannot take up an answer that has begun; ask again',
    { retryable: true },
  );
}

/** Three names say enough; a ring may have many. */
function listed(ring: readonly RingMember[]): string {
  const shown = ring.slice(0, 3).map(({ nodeId }) => printable(nodeId, 60));
  return ring.length > 3 ? `${shown.join(', ')} and ${ring.length - 3} more` : shown.join(', ');
}
