/**
 * The ring's port, over peers and topology. Hides from `inference` that new peers are sent correlated messages
 * and old ones the base form, and which connection is used.
 */
import type { RingMember, RingPort } from '../inference/index.js';
import type { Message, OpaqueStatus, Prompt, Result, TensorRequest } from '../protocol/index.js';
import { type Clock, ExoError, LIMITS } from '../shared/index.js';
import {
  assignShards,
  partitionRing,
  type RingInput,
  ringMembers,
  ringOrder,
  type ViewSnapshot,
} from '../topology/index.js';
import type { PeerTable } from './peer-table.js';

/** What the port stands on. */
export interface RingPortComponents {
  readonly selfId: string;
  readonly peers: PeerTable;
  readonly clock: Clock;
  snapshot(): ViewSnapshot;
  /** `clock.now()` of the last change of a peer or of the view. */
  changedAtMs(): number;
}

/** The mesh as the ring sees it. */
export function createRingPort(components: RingPortComponents): RingPort {
  const { selfId, peers, clock, snapshot } = components;
  const send = (nodeId: string, message: Message): void => {
    peers.get(nodeId)?.link?.connection.notify(message);
  };
  const broadcast = (message: Message): void => {
    for (const peer of peers.all()) if (peer.present) peer.link?.connection.notify(message);
  };
  const request = async (
    nodeId: string,
    message: Prompt | TensorRequest,
    signal: AbortSignal,
  ): Promise<void> => {
    const connection = peers.get(nodeId)?.link?.connection;
    if (connection === undefined) {
      throw new ExoError(
        'peer-unreachable',
        `the ring goes on at "${nodeId}", to which this node has no connection: see "exo peers --all" for the reason`,
        { retryable: true },
      );
    }
    await connection.request(message, { timeoutMs: LIMITS.ringHopTimeoutMs, signal });
  };
  return {
    selfId,
    ring: (modelId, layers, without) => currentRing(snapshot(), modelId, layers, without),
    present: () => ringOrder(snapshot().nodes),
    hasOldPeer: () => snapshot().legacyIds.size > 0,
    isLinked: (one, two) =>
      snapshot().edges.some(
        ({ fromId, toId }) => (fromId === one && toId === two) || (fromId === two && toId === one),
      ),
    isConnected: (nodeId) => peers.isUp(nodeId),
    isSteady: () =>
      clock.now() - components.changedAtMs() >= LIMITS.ringSteadyMs &&
      [...peers.all()].every((peer) => !peer.present || peer.reachable),
    isNew: (nodeId) => peers.get(nodeId)?.protocol === 'exo' && peers.isUp(nodeId),
    sendPrompt: request,
    sendTensor: request,
    sendResult: (nodeId, message: Result) => send(nodeId, message),
    broadcastResult: (message: Result) => broadcast(message),
    broadcastStatus: (message: OpaqueStatus) => broadcast(message),
    sendCancel: (nodeId, message) => send(nodeId, message),
  };
}

/** Members in order with their layers. Throws `ring-incomplete` when nobody can hold any. */
export function currentRing(
  snapshot: ViewSnapshot,
  modelId: string,
  layers: number,
  without?: ReadonlySet<string>,
): readonly RingMember[] {
  const { members } = ringMembers(leftOut(snapshot, without));
  const nodes = new Map(members.map((id) => [id, snapshot.nodes.get(id)!]));
  const ring = assignShards(partitionRing(nodes), modelId, layers);
  if (ring.length === 0) {
    throw new ExoError('ring-incomplete', `no node of the mesh can hold a layer of ${modelId}`, {
      retryable: true,
    });
  }
  return ring;
}

/** Old peers know nothing of nodes that take no layers. */
function leftOut(snapshot: ViewSnapshot, without: ReadonlySet<string> | undefined): RingInput {
  if (without === undefined || without.size === 0 || snapshot.legacyIds.size > 0) return snapshot;
  return { ...snapshot, nodes: new Map([...snapshot.nodes].filter(([id]) => !without.has(id))) };
}
