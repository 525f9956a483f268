/**
 * The ring's port, over peers and topology. Hides from `inference` that new peers are sent correlated messages
 * and old ones the base form, and which connection is used.
 */
import type { MeshNow, RingMember, RingPort } from '../inference/index.js';
import type { Message, OfferedPath, OpaqueStatus, Prompt, Result, TensorRequest } from '../protocol/index.js';
import { type Clock, ExoError, LIMITS } from '../shared/index.js';
import {
  assignShards,
  partitionRing,
  type RingInput,
  ringMembers,
  ringOrder,
  type ViewSnapshot,
} from '../topology/index.js';
import type { Peer } from './peer.js';
import type { PeerTable } from './peer-table.js';
import { RecentResults } from './recent-results.js';

/** What the port stands on. */
export interface RingPortComponents {
  readonly selfId: string;
  readonly peers: PeerTable;
  readonly clock: Clock;
  snapshot(): ViewSnapshot;
  /** `clock.now()` of the last change of a peer or of the view. */
  changedAtMs(): number;
}

/** The ring's port, and what its owner tells it. */
export interface MeshRingPort extends RingPort {
  /** Another connection to the peer is in use than before. */
  linkChanged(peer: Peer): void;
}

/** The mesh as the ring sees it. */
export function createRingPort(components: RingPortComponents): MeshRingPort {
  const { selfId, peers, clock, snapshot } = components;
  const results = new RecentResults(clock);
  const send = (nodeId: string, message: Message): void => {
    peers.get(nodeId)?.link?.connection.notify(message);
  };
  const broadcast = (message: Message): void => {
    for (const peer of peers.all()) if (peer.present) peer.link?.connection.notify(message);
  };
  const deliver = (peer: Peer, result: Result): void => {
    const connection = peer.link?.connection;
    connection?.notify(result);
    // An old peer would take a result that comes twice for two tokens.
    if (peer.protocol === 'exo') results.note(peer.id, result, connection);
  };
  const linkTo = (nodeId: string) => {
    const peer = peers.get(nodeId);
    const connection = peer?.link?.connection;
    if (peer !== undefined && connection !== undefined) return { peer, connection };
    throw new ExoError(
      'peer-unreachable',
      `the ring goes on at "${nodeId}", to which this node has no connection: see "exo peers --all" for the reason`,
      { retryable: true },
    );
  };
  const request = async (
    nodeId: string,
    message: Prompt | TensorRequest,
    signal: AbortSignal,
  ): Promise<void> => {
    const { peer, connection } = linkTo(nodeId);
    const startedMs = clock.now();
    await connection.request(message, { timeoutMs: LIMITS.ringHopTimeoutMs, signal });
    if (message.kind === 'prompt') return;
    peers.rates.carried(peer, connection, message.tensor.data.length, clock.now() - startedMs);
  };
  return {
    selfId,
    ring: (modelId, layers, without) => currentRing(snapshot(), modelId, layers, without),
    mesh: () => meshNow(snapshot()),
    paths: () => pathsOf(peers),
    measurePaths: () => peers.rates.refresh(),
    askOffer: async (nodeId, message, waitMs, signal) => {
      const peer = peers.get(nodeId);
      const timeoutMs = Math.max(waitMs, 3 * (peer?.rtt?.srttMs ?? 0));
      const answer = await linkTo(nodeId).connection.request(message, { timeoutMs, signal });
      if (answer.kind === 'offer-response') return answer;
      throw new ExoError('protocol-violation', `a question for an offer was answered by ${answer.kind}`);
    },
    isTrusted: (nodeId) => peers.get(nodeId)?.link?.connection.access === 'trusted',
    isConnected: (nodeId) => peers.isUp(nodeId),
    away: () => awayOf(peers),
    isSilent: (nodeId) => {
      const peer = peers.get(nodeId);
      return peer !== undefined && clock.now() - peer.aliveAtMs >= LIMITS.ringSilentMs;
    },
    isSteady: () =>
      clock.now() - components.changedAtMs() >= LIMITS.ringSteadyMs &&
      [...peers.all()].every((peer) => !peer.present || peer.reachable),
    isNew: (nodeId) => peers.get(nodeId)?.protocol === 'exo' && peers.isUp(nodeId),
    sendPrompt: request,
    sendTensor: request,
    sendResult: (nodeId, message: Result) => {
      const peer = peers.get(nodeId);
      if (peer !== undefined) deliver(peer, message);
    },
    broadcastResult: (message: Result) => {
      for (const peer of peers.all()) if (peer.present) deliver(peer, message);
    },
    linkChanged: (peer) => {
      const connection = peer.link?.connection;
      if (connection === undefined || peer.protocol !== 'exo') return;
      for (const result of results.takeOver(peer.id, connection)) connection.notify(result);
    },
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

function meshNow({ nodes, edges, legacyIds }: ViewSnapshot): MeshNow {
  let pairs: Set<string> | undefined;
  return {
    present: ringOrder(nodes),
    hasOldPeer: legacyIds.size > 0,
    isLinked: (one, two) => {
      pairs ??= new Set(edges.map(({ fromId, toId }) => `${fromId}\0${toId}`));
      return pairs.has(`${one}\0${two}`) || pairs.has(`${two}\0${one}`);
    },
  };
}

/** Members without a connection, and who is connected and no member yet. Who is simply gone is none. */
function awayOf(peers: PeerTable) {
  return [...peers.all()]
    .filter(({ present, reachable }) => present !== reachable)
    .map(({ id: nodeId, present, reason }) => ({
      nodeId,
      reason: present ? `not reached at the moment: ${reason}` : `not a member yet: ${reason}`,
    }));
}

/** The nearest ones, as many as may be told. */
function pathsOf(peers: PeerTable): readonly OfferedPath[] {
  const paths: OfferedPath[] = [];
  for (const peer of peers.all()) {
    const { id, protocol, reachable, rtt } = peer;
    if (protocol === 'exo' && reachable && rtt !== undefined)
      paths.push({ nodeId: id, rttMs: rtt.srttMs, bytesPerS: peers.rates.of(peer) });
  }
  return paths.sort((a, b) => a.rttMs - b.rttMs).slice(0, LIMITS.ringMembersMax);
}

/** Old peers know nothing of nodes that take no layers. */
function leftOut(snapshot: ViewSnapshot, without: ReadonlySet<string> | undefined): RingInput {
  if (without === undefined || without.size === 0 || snapshot.legacyIds.size > 0) return snapshot;
  return { ...snapshot, nodes: new Map([...snapshot.nodes].filter(([id]) => !without.has(id))) };
}
