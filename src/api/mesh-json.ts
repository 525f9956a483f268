/** The mesh as JSON: the original's `/topology` to the letter, and our own fuller forms in snake_case. Pure. */
import { type NodeDownload, placesOf } from '../inference/index.js';
import type { Mesh, MeshWarning, PeerSummary, SelfSummary, TopologySnapshot } from '../node/index.js';
import { type DeviceCapabilities, ringToWire } from '../protocol/index.js';
import type { Sheds } from '../shared/index.js';
import { assignShards } from '../topology/index.js';
import { outsidersJson, plansJson } from './plan-json.js';
import type { AnswerPlans, ChatService } from './ports.js';
import { tunnelJson } from './tunnels-json.js';

/** Version of the shapes of `/v1/status`, `/v1/peers` and `/v1/tunnels`; rises when a field changes its meaning or goes. */
export const STATUS_SCHEMA_VERSION = 1;

/** The original's `/topology`: `peer_graph` has a key only for a node with an outgoing edge. */
export function topologyJson(topology: TopologySnapshot) {
  const peerGraph: Record<string, { from_id: string; to_id: string; description: string }[]> =
    Object.create(null);
  for (const { fromId, toId, description } of topology.edges) {
    peerGraph[fromId] ??= [];
    peerGraph[fromId].push({ from_id: fromId, to_id: toId, description });
  }
  return {
    nodes: Object.fromEntries([...topology.nodes].map(([id, caps]) => [id, capabilitiesJson(caps)])),
    peer_graph: peerGraph,
    active_node_id: topology.activeNodeId,
  };
}

/** `/v1/topology`: the same and more. */
export function fullTopologyJson(
  mesh: Mesh,
  plans?: AnswerPlans,
  topology: TopologySnapshot = mesh.topology(),
) {
  return {
    ...topologyJson(topology),
    self_id: mesh.self().id,
    legacy_ids: [...topology.legacyIds],
    digest: topology.digest,
    partitions: topology.partitions.map(({ nodeId, start, end }) => ({ node_id: nodeId, start, end })),
    /** Nodes that took no layers of the model that was asked for last. */
    outsiders: outsidersJson(plans),
  };
}

/** `/v1/peers`: who is there, who was refused, and why. */
export function peersJson(mesh: Mesh) {
  return {
    schema_version: STATUS_SCHEMA_VERSION,
    peers: mesh.peers().map(peerJson),
    refusals: mesh.refusals().map(refusalJson),
    spare_addresses: mesh.spareAddresses().map(refusalJson),
    warnings: mesh.warnings().map(warningJson),
  };
}

function refusalJson({ module, subject, code, reason, atMs }: ReturnType<Mesh['refusals']>[number]) {
  return { module, subject, code, reason, at_ms: atMs };
}

/** `/v1/status`, and each snapshot of `/v1/events`. */
export function statusJson(
  mesh: Mesh,
  chat: ChatService,
  wallMs: number,
  sheds: Sheds,
  downloads: readonly NodeDownload[] = [],
) {
  const self = mesh.self();
  // Once: it is computed anew at every call, and goes to every reader of events after every change.
  const topology = mesh.topology();
  return {
    ...peersJson(mesh),
    tunnels: mesh.tunnels.list().map(tunnelJson),
    /** What was turned away since the start; empty where nothing was. */
    sheds: sheds.list(),
    version: self.version,
    uptime_ms: Math.max(0, Math.round(wallMs - self.startedAtMs)),
    self: selfJson(self),
    topology: fullTopologyJson(mesh, chat.plans, topology),
    /** Where the last answers were computed, what was predicted of them and what came of it. */
    plans: plansJson(chat.plans),
    downloads: downloads.map(downloadJson),
    engine: chat.engine === undefined ? null : { name: chat.engine.name, state: chat.engine.state ?? null },
    default_model: chat.defaultModel,
    models: chat.models().map(({ id, name, ready, nLayers, unusable }) => ({
      id,
      name: name ?? id,
      ready,
      /** Why it cannot be computed. */
      unusable: unusable ?? null,
      n_layers: nLayers ?? null,
      shards: nLayers === undefined ? [] : shardsJson(topology, id, nLayers),
    })),
  };
}

/** A download of any node. */
function downloadJson(download: NodeDownload) {
  const { nodeId, repository, layers, downloadedBytes, totalBytes, bytesPerSecond, etaSeconds } = download;
  return {
    node_id: nodeId,
    repository,
    layers,
    downloaded_bytes: downloadedBytes,
    total_bytes: totalBytes,
    percentage: totalBytes === 0 ? 0 : Math.floor((downloadedBytes * 100) / totalBytes),
    bytes_per_second: bytesPerSecond,
    eta_seconds: etaSeconds,
  };
}

/** Which node holds which layers of a model now; empty while there is no ring. */
function shardsJson({ partitions }: TopologySnapshot, modelId: string, nLayers: number) {
  return ringToWire(placesOf(assignShards(partitions, modelId, nLayers)));
}

function selfJson(self: SelfSummary) {
  return {
    id: self.id,
    instance: self.instance,
    node_host: self.nodeHost,
    node_port: self.nodePort,
    started_at_ms: self.startedAtMs,
    capabilities: capabilitiesJson(self.capabilities),
    discovery: self.discovery.map(({ module, state }) => ({ module, state })),
  };
}

function peerJson(peer: PeerSummary) {
  return {
    id: peer.id,
    aliases: peer.aliases,
    state: peer.state,
    reason: peer.reason,
    protocol: peer.protocol,
    address: peer.address,
    direction: peer.direction,
    description: peer.description,
    encrypted: peer.encrypted,
    trust: peer.trust,
    rtt_ms: peer.rttMs,
    /** Of the link; null: not measured, the planner takes it for slow. */
    bytes_per_s: peer.bytesPerS,
    silent_ms: peer.silentMs,
    bytes_in: peer.bytesIn,
    bytes_out: peer.bytesOut,
    capabilities: capabilitiesJson(peer.capabilities),
    next_dial_ms: peer.nextDialMs,
  };
}

/** A warning, wherever it stands. */
export function warningJson({ code, message, atMs }: MeshWarning) {
  return { code, message, at_ms: atMs };
}

function capabilitiesJson({ model, chip, memory, flops }: DeviceCapabilities) {
  return { model, chip, memory, flops: { fp32: flops.fp32, fp16: flops.fp16, int8: flops.int8 } };
}
