/**
 * Parts of bodies, to and from their wire shape: capabilities, shards, rings, hello, topology entries, keys, offers, files of
 * models. Pure.
 * Used by the two halves of the message codec.
 */
import { ExoError, idFault, LIMITS, printable } from '../../shared/index.js';
import type { WireModelFile } from './file-messages.js';
import type { Hello } from './hello.js';
import { check } from './message-schemas.js';
import {
  type DeviceCapabilities,
  type JsonObject,
  type RingPlace,
  type Shard,
  type TopologyEntry,
  UNKNOWN_CAPABILITIES,
  type WireKey,
} from './messages.js';
import type { OfferResponse } from './offer-messages.js';
import { PythonFloat, type PythonJson } from './python-json.js';
import type {
  CapabilitiesBody,
  EntryBody,
  HelloBody,
  KeyBody,
  ModelFileBody,
  OfferBody,
  RingPlaceBody,
  ShardBody,
} from './wire-bodies.js';

/** The version that this program speaks (there is no other yet). */
export const PROTOCOL_VERSION = 1;
/** Names of models and chips: no bound of their own; what is kept of them is cut where it is kept (topology). */
const BOUNDED_BY_FRAME = Number.POSITIVE_INFINITY;
/** The highest that peers.json takes; what is above it outbids every real path. */
const PATH_PRIORITY_MAX = 100;

/** Capabilities as the original writes them: flops are Python floats. */
export function capabilitiesToWire(capabilities: DeviceCapabilities): PythonJson {
  const { fp32, fp16, int8 } = capabilities.flops;
  return {
    model: capabilities.model,
    chip: capabilities.chip,
    memory: Math.round(capabilities.memory),
    flops: { fp32: new PythonFloat(fp32), fp16: new PythonFloat(fp16), int8: new PythonFloat(int8) },
  };
}

/** Capabilities from the wire; figures that are missing or not finite become 0, an absurd memory the most that counts. */
export function capabilitiesFromWire(body: CapabilitiesBody): DeviceCapabilities {
  return {
    model: printable(body.model, BOUNDED_BY_FRAME),
    chip: printable(body.chip, BOUNDED_BY_FRAME),
    memory: Math.min(finite(body.memory), LIMITS.memoryMbMax),
    flops: { fp32: finite(body.flops?.fp32), fp16: finite(body.flops?.fp16), int8: finite(body.flops?.int8) },
  };
}

function finite(value: number | null | undefined): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0;
}

/** An offer on the wire. */
export function offerToWire(offer: OfferResponse): JsonObject {
  return {
    engine: offer.engine,
    ...(offer.reason === undefined ? {} : { reason: offer.reason }),
    memory_bytes: offer.memoryBytes,
    bytes_per_s: offer.bytesPerS,
    multiply_adds_per_s: offer.multiplyAddsPerS,
    layers: offer.layers.map(({ weightBytes, multiplyAdds, cacheBytes }) => [
      weightBytes,
      multiplyAdds,
      cacheBytes,
    ]),
    stored: offer.stored,
    fetch_bytes_per_s: offer.fetchBytesPerS,
    ...(offer.peerFetchBytesPerS === undefined ? {} : { peer_fetch_bytes_per_s: offer.peerFetchBytesPerS }),
    ...(offer.loadBytesPerS === undefined ? {} : { load_bytes_per_s: offer.loadBytesPerS }),
    ...(offer.stepMs === undefined ? {} : { step_ms: offer.stepMs }),
    paths: offer.paths.map(({ nodeId, rttMs, bytesPerS }) => [nodeId, rttMs, bytesPerS]),
  };
}

/** An offer from the wire: figures that are no positive numbers become 0, rates that were not told or are none null. */
export function offerFromWire(body: OfferBody): OfferResponse {
  return {
    kind: 'offer-response',
    engine: printable(body.engine, BOUNDED_BY_FRAME),
    ...(body.reason === undefined ? {} : { reason: printable(body.reason, LIMITS.reasonCharsMax) }),
    memoryBytes: finite(body.memory_bytes),
    bytesPerS: finite(body.bytes_per_s),
    multiplyAddsPerS: finite(body.multiply_adds_per_s),
    layers: (body.layers ?? []).map(([weightBytes, multiplyAdds, cacheBytes]) => ({
      weightBytes: finite(weightBytes),
      multiplyAdds: finite(multiplyAdds),
      cacheBytes: finite(cacheBytes),
    })),
    stored: (body.stored ?? []).map(([from, to]) => [from, to] as const),
    fetchBytesPerS: finite(body.fetch_bytes_per_s) || null,
    ...(finite(body.peer_fetch_bytes_per_s) > 0 && {
      peerFetchBytesPerS: finite(body.peer_fetch_bytes_per_s),
    }),
    ...(finite(body.load_bytes_per_s) > 0 && { loadBytesPerS: finite(body.load_bytes_per_s) }),
    ...(finite(body.step_ms) > 0 && { stepMs: finite(body.step_ms) }),
    paths: (body.paths ?? []).map(([nodeId, rttMs, bytesPerS]) => ({
      nodeId,
      rttMs: finite(rttMs),
      bytesPerS: finite(bytesPerS) || null,
    })),
  };
}

/** The places of a ring on the wire; the same in a status, and in the HTTP API. */
export function ringToWire(ring: readonly RingPlace[]): readonly JsonObject[] {
  return ring.map(({ nodeId, startLayer, endLayer }) => ({
    node_id: nodeId,
    start_layer: startLayer,
    end_layer: endLayer,
  }));
}

/** The places of a ring from the wire. What they say of layers is not checked here. */
export function ringFromWire(body: readonly RingPlaceBody[]): RingPlace[] {
  return body.map((place) => ({
    nodeId: place.node_id,
    startLayer: place.start_layer,
    endLayer: place.end_layer,
  }));
}

/** A shard in the original's field names. */
export function shardToWire(shard: Shard): ShardBody {
  return {
    model_id: shard.modelId,
    start_layer: shard.startLayer,
    end_layer: shard.endLayer,
    n_layers: shard.nLayers,
  };
}

/** A shard from the wire. */
export function shardFromWire(body: ShardBody): Shard {
  return {
    modelId: body.model_id,
    startLayer: body.start_layer,
    endLayer: body.end_layer,
    nLayers: body.n_layers,
  };
}

/** A mesh key as it travels. */
export function keyToWire({ id, secret, createdAtMs, untilMs }: WireKey): KeyBody {
  return { id, secret, created_ms: createdAtMs, ...(untilMs !== undefined && { until_ms: untilMs }) };
}

/** A mesh key from the wire. */
export function keyFromWire({ id, secret, created_ms: createdAtMs, until_ms: untilMs }: KeyBody): WireKey {
  return { id, secret, createdAtMs, ...(untilMs !== undefined && { untilMs }) };
}

/** A hello as it stands under `"hello"`. */
export function helloToWire(hello: Hello): PythonJson {
  return {
    version_max: hello.versionMax,
    version_min: hello.versionMin,
    node_id: hello.nodeId,
    instance: hello.instance,
    epoch: hello.epoch,
    features: hello.features,
    capabilities: capabilitiesToWire(hello.capabilities),
    node_port: hello.nodePort,
    topology_digest: hello.topologyDigest,
    auth: hello.auth && { nonce: hello.auth.nonce },
    path: hello.path && { description: hello.path.description, priority: hello.path.priority },
    agent: hello.agent,
  };
}

/**
 * A hello from the wire. Only versions, id and instance are required. Throws `frame-malformed`, or `version-mismatch`
 * before the rest is looked at: a later version may have another shape.
 */
export function helloFromWire(value: unknown): Hello {
  const { version_max: max, version_min: min } = check.versions(value);
  if (min > PROTOCOL_VERSION || max < PROTOCOL_VERSION) {
    throw new ExoError(
      'version-mismatch',
      `the other side speaks protocol versions ${min} to ${max}, this one ${PROTOCOL_VERSION}; update the older of the two`,
    );
  }
  const body: HelloBody = check.hello(value);
  const fault = idFault(body.node_id);
  if (fault !== undefined) throw new ExoError('frame-malformed', `the node_id of a hello ${fault}`);
  return {
    versionMax: body.version_max,
    versionMin: body.version_min,
    nodeId: body.node_id,
    instance: body.instance,
    epoch: body.epoch ?? 0,
    features: body.features ?? [],
    capabilities:
      body.capabilities === undefined ? UNKNOWN_CAPABILITIES : capabilitiesFromWire(body.capabilities),
    nodePort: body.node_port ?? 0,
    topologyDigest: body.topology_digest ?? '',
    ...(body.auth && { auth: { nonce: body.auth.nonce } }),
    ...(body.path && {
      path: {
        description: printable(body.path.description, LIMITS.topologyTextCharsMax),
        priority: Math.min(PATH_PRIORITY_MAX, Math.max(0, body.path.priority)),
      },
    }),
    agent: printable(body.agent ?? ''),
  };
}

/** A topology entry for compact JSON. */
export function entryToWire(entry: TopologyEntry): EntryBody {
  const { capabilities } = entry;
  return {
    id: entry.id,
    epoch: entry.epoch,
    version: entry.version,
    capabilities: {
      model: capabilities.model,
      chip: capabilities.chip,
      memory: capabilities.memory,
      flops: capabilities.flops,
    },
    edges: entry.edges.map((edge) => ({ to_id: edge.toId, description: edge.description })),
    lost: entry.lost.map(({ id, epoch }) => ({ id, epoch })),
    ...(entry.legacy === true && { legacy: true }),
  };
}

/** A topology entry from the wire. */
export function entryFromWire(body: EntryBody): TopologyEntry {
  return {
    id: body.id,
    epoch: body.epoch,
    version: body.version,
    capabilities: capabilitiesFromWire(body.capabilities),
    edges: body.edges.map((edge) => ({ toId: edge.to_id, description: edge.description })),
    lost: (body.lost ?? []).map(({ id, epoch }) => ({ id, epoch })),
    ...(body.legacy === true && { legacy: true }),
  };
}

/** A file of a model for compact JSON. */
export function fileToWire({ path, size, hash, present, claimed }: WireModelFile): ModelFileBody {
  return {
    path,
    size,
    hash: `${hash.kind}:${hash.hex}`,
    present: present.map(([from, to]) => [from, to]),
    claimed: claimed.map(([from, to]) => [from, to]),
  };
}

/** A file of a model from the wire. */
export function fileFromWire(body: ModelFileBody): WireModelFile {
  const [kind, hex = ''] = body.hash.split(':');
  const { path, size, present, claimed } = body;
  return { path, size, hash: { kind: kind === 'sha256' ? 'sha256' : 'git-sha1', hex }, present, claimed };
}
