/**
 * Bodies to messages. Everything that hostile bytes can cause here is an `ExoError` with `frame-malformed`.
 * The writing half is `message-encoder.ts`.
 */
import { ExoError, LIMITS } from '../../shared/index.js';
import { TYPE } from '../frame.js';
import { readJson } from './json-reader.js';
import { check } from './message-schemas.js';
import type { Message, Result, TensorRequest, TopologyResponse } from './messages.js';
import { makeTensor } from './tensor-codec.js';
import type { TensorBody } from './wire-bodies.js';
import {
  capabilitiesFromWire,
  entryFromWire,
  fileFromWire,
  helloFromWire,
  keyFromWire,
  offerFromWire,
  ringFromWire,
  shardFromWire,
} from './wire-shapes.js';

/** What the metadata of a tensor says, without the bytes. */
interface TensorMetadata {
  readonly head: Omit<TensorRequest, 'tensor'>;
  readonly tensor: TensorBody;
}

const METADATA_KEPT = LIMITS.metadataKept;
const METADATA_KEPT_BYTES = LIMITS.metadataKeptBytesMax;

/** Reads bodies of one connection. Remembers tensor metadata, because every token of a request repeats it. */
export class MessageDecoder {
  readonly #metadata = new Map<string, TensorMetadata>();
  readonly #answers = new Map<string, TensorBody>();

  /**
   * The message in a body. `type` is without bit 7. Bytes of tensors and pings stay views of `body`; everything else is
   * copied out of it. A hello that cannot be understood throws `version-mismatch` or `frame-malformed`.
   */
  decode(type: number, body: Buffer): Message {
    try {
      return this.#decode(type, body);
    } catch (error) {
      if (error instanceof ExoError && error.code === 'tensor-invalid') {
        throw new ExoError('frame-malformed', error.message, { cause: error });
      }
      throw error;
    }
  }

  #decode(type: number, body: Buffer): Message {
    switch (type) {
      case TYPE.healthRequest: {
        if (body.length === 0) return { kind: 'health-request' };
        const { hello } = check.healthRequest(readJson(body));
        return hello === undefined
          ? { kind: 'health-request' }
          : { kind: 'health-request', hello: helloFromWire(hello) };
      }
      case TYPE.healthResponse: {
        const answer = check.healthResponse(readJson(body));
        return {
          kind: 'health-response',
          isHealthy: answer.is_healthy,
          ...(answer.hello !== undefined && { hello: helloFromWire(answer.hello) }),
          ...(answer.error && { refusal: { code: answer.error.code, message: answer.error.message } }),
        };
      }
      case TYPE.prompt: {
        const prompt = check.prompt(readJson(body));
        return {
          kind: 'prompt',
          shard: shardFromWire(prompt.shard),
          prompt: prompt.prompt,
          requestId: prompt.request_id ?? null,
          inferenceState: prompt.inference_state ?? null,
          ...(prompt.origin !== undefined && { origin: prompt.origin }),
          ...(prompt.tokens !== undefined && { tokens: prompt.tokens }),
          ...(prompt.ring !== undefined && { ring: ringFromWire(prompt.ring) }),
        };
      }
      case TYPE.promptResponse:
        return { kind: 'prompt-response' };
      case TYPE.tensorRequest:
        return this.#tensorRequest(body);
      case TYPE.tensorResponse:
        return this.#tensorResponse(body);
      case TYPE.result:
        return result(body);
      case TYPE.topologyRequest: {
        const request = check.topologyRequest(readJson(body));
        return { kind: 'topology-request', visited: request.visited, maxDepth: request.max_depth };
      }
      case TYPE.topologyResponse:
        return topologyResponse(body);
      case TYPE.opaqueStatus: {
        const status = check.opaqueStatus(readJson(body));
        return { kind: 'opaque-status', requestId: status.request_id, status: status.status };
      }
      case TYPE.ping:
        return { kind: 'ping', data: body };
      case TYPE.pong:
        return { kind: 'pong', data: body };
      case TYPE.topologyUpdate: {
        const { entries, spread } = check.topologyUpdate(readJson(body));
        return { kind: 'topology-update', entries: entries.map(entryFromWire), ...(spread && { spread }) };
      }
      case TYPE.topologyUpdated:
        return { kind: 'topology-updated' };
      case TYPE.topologySync:
        return {
          kind: 'topology-sync',
          versions: new Map(Object.entries(check.topologySync(readJson(body)).versions)),
        };
      case TYPE.topologySynced: {
        const synced = check.topologySynced(readJson(body));
        return { kind: 'topology-synced', entries: synced.entries.map(entryFromWire), wanted: synced.wanted };
      }
      case TYPE.goodbye: {
        const { reason } = check.goodbye(readJson(body));
        // a reason that is not known yet also means that the connection is about to end
        return { kind: 'goodbye', reason: reason === 'duplicate' ? 'duplicate' : 'stopping' };
      }
      case TYPE.notice: {
        const { code, message } = check.notice(readJson(body));
        return { kind: 'notice', code, message };
      }
      case TYPE.cancelRequest:
        return { kind: 'cancel-request', requestId: check.cancelRequest(readJson(body)).request_id };
      case TYPE.authRequest:
        return { kind: 'auth-request', proofs: check.auth(readJson(body)).proofs };
      case TYPE.authResponse: {
        const { proofs, keys } = check.auth(readJson(body));
        return { kind: 'auth-response', proofs, ...(keys && { keys: keys.map(keyFromWire) }) };
      }
      case TYPE.keyUpdate:
        return { kind: 'key-update', keys: check.keyUpdate(readJson(body)).keys.map(keyFromWire) };
      case TYPE.keyUpdated:
        return { kind: 'key-updated' };
      case TYPE.probeRequest:
        return { kind: 'probe-request', nodeId: check.probeRequest(readJson(body)).node_id };
      case TYPE.filesRequest: {
        const { repository, path, claim } = check.filesRequest(readJson(body));
        return {
          kind: 'files-request',
          repository,
          ...(path !== undefined && { path }),
          ...(claim !== undefined && { claim: { hash: claim.hash, range: claim.range } }),
        };
      }
      case TYPE.filesResponse: {
        const { commit, revision, files, granted } = check.filesResponse(readJson(body));
        return { kind: 'files-response', commit, revision, granted, files: files.map(fileFromWire) };
      }
      case TYPE.bytesRequest: {
        const { repository, path, hash, range } = check.bytesRequest(readJson(body));
        return { kind: 'bytes-request', repository, path, hash, range };
      }
      case TYPE.bytesResponse:
        return { kind: 'bytes-response', data: body };
      case TYPE.probeResponse: {
        const { reached, rtt_ms: rttMs } = check.probeResponse(readJson(body));
        return { kind: 'probe-response', reached, rttMs: rttMs ?? null };
      }
      case TYPE.offerRequest: {
        const {
          model_id: modelId,
          n_layers: nLayers,
          may_fetch: mayFetch,
        } = check.offerRequest(readJson(body));
        return { kind: 'offer-request', modelId, nLayers, ...(mayFetch === undefined ? {} : { mayFetch }) };
      }
      case TYPE.offerResponse:
        return offerFromWire(check.offerResponse(readJson(body)));
      case TYPE.errorResponse: {
        const { code, message, retryable } = check.errorResponse(readJson(body));
        return { kind: 'error-response', code, message, retryable: retryable ?? false };
      }
      default:
        throw new ExoError('frame-unknown-type', `type 0x${type.toString(16)} has no message`);
    }
  }

  #tensorRequest(body: Buffer): Message {
    const metaEnd = metadataEnd(body);
    const key = metadataKey(body, metaEnd);
    let metadata = key === undefined ? undefined : this.#metadata.get(key);
    if (metadata === undefined) {
      metadata = readTensorMetadata(body.subarray(4, metaEnd));
      // a state is an object that a handler may change: never share it
      if (metadata.head.inferenceState === null) remember(this.#metadata, key, metadata);
    }
    const { head, tensor } = metadata;
    const made = makeTensor(tensor.shape, tensor.dtype, body.subarray(metaEnd));
    const message = {
      kind: head.kind,
      shard: head.shard,
      tensor: made,
      requestId: head.requestId,
      inferenceState: head.inferenceState,
    };
    const { origin, first, more, ring } = head;
    const isPlain = origin === undefined && first === undefined && more === undefined;
    if (isPlain && ring === undefined) return message;
    return {
      ...message,
      ...(head.origin !== undefined && { origin: head.origin }),
      ...(head.first && { first: head.first }),
      ...(head.more && { more: head.more }),
      ...(head.ring && { ring: head.ring }),
    };
  }

  #tensorResponse(body: Buffer): Message {
    const metaEnd = metadataEnd(body);
    if (metaEnd === 4) {
      if (body.length !== 4) throw new ExoError('frame-malformed', 'bytes of a tensor without metadata');
      return { kind: 'tensor-response', tensor: null };
    }
    const key = metadataKey(body, metaEnd);
    let tensor = key === undefined ? undefined : this.#answers.get(key);
    if (tensor === undefined) {
      tensor = readFlatTensor(body.subarray(4, metaEnd));
      remember(this.#answers, key, tensor);
    }
    return {
      kind: 'tensor-response',
      tensor: makeTensor(tensor.shape, tensor.dtype, body.subarray(metaEnd)),
    };
  }
}

/** Metadata as a key; one byte is one character, so different bytes are different keys. */
function metadataKey(body: Buffer, metaEnd: number): string | undefined {
  return metaEnd <= METADATA_KEPT_BYTES ? body.toString('latin1', 4, metaEnd) : undefined;
}

function remember<T>(map: Map<string, T>, key: string | undefined, value: T): void {
  if (key === undefined) return;
  if (map.size >= METADATA_KEPT) map.clear();
  map.set(key, value);
}

function readTensorMetadata(bytes: Buffer): TensorMetadata {
  const meta = check.tensorRequest(readJson(bytes));
  return {
    head: {
      kind: 'tensor-request',
      shard: shardFromWire(meta.shard),
      requestId: meta.request_id ?? null,
      inferenceState: meta.inference_state ?? null,
      ...(meta.origin !== undefined && { origin: meta.origin }),
      ...(meta.first === true && { first: meta.first }),
      ...(meta.more === true && { more: meta.more }),
      ...(meta.ring !== undefined && { ring: ringFromWire(meta.ring) }),
    },
    tensor: meta.tensor,
  };
}

/** Where the metadata ends in a body that begins with its length. Throws `frame-malformed`. */
function metadataEnd(body: Buffer): number {
  if (body.length < 4) throw new ExoError('frame-malformed', 'a tensor without the length of its metadata');
  const length = body.readUInt32BE(0);
  if (length > body.length - 4) {
    throw new ExoError('frame-malformed', `metadata of ${length} bytes in a body of ${body.length}`);
  }
  if (length > LIMITS.metadataBytesMax) {
    throw new ExoError(
      'frame-malformed',
      `metadata of ${length} bytes; at most ${LIMITS.metadataBytesMax} are allowed`,
    );
  }
  return 4 + length;
}

function readFlatTensor(bytes: Buffer): TensorBody {
  const value = readJson(bytes);
  // the original writes the flat form and reads the nested one
  const nested = typeof value === 'object' && value !== null && 'tensor' in value;
  return nested ? check.nestedTensor(value).tensor : check.flatTensor(value);
}

/** Plain JSON begins with `{`, as a length that is more than 2 GB: the two forms cannot be confused. */
function result(body: Buffer): Result {
  const framed = body.length >= 4 && body.readUInt32BE(0) < body.length && body.readUInt32BE(0) > 0;
  const metaEnd = framed ? metadataEnd(body) : body.length;
  const meta = check.result(readJson(body.subarray(framed ? 4 : 0, metaEnd)));
  if (framed && meta.tensor === undefined) {
    throw new ExoError('frame-malformed', 'a result with bytes but without a tensor');
  }
  return {
    kind: 'result',
    requestId: meta.request_id,
    result: meta.result,
    isFinished: meta.is_finished,
    ...(framed &&
      meta.tensor && { tensor: makeTensor(meta.tensor.shape, meta.tensor.dtype, body.subarray(metaEnd)) }),
    ...(meta.error && { error: fault(meta.error) }),
    ...(meta.logprobs && { logprobs: meta.logprobs }),
    ...(meta.index !== undefined && { index: meta.index }),
  };
}

function fault({ code, message, retryable }: NonNullable<Result['error']>): NonNullable<Result['error']> {
  return retryable === undefined ? { code, message } : { code, message, retryable };
}

function topologyResponse(body: Buffer): TopologyResponse {
  const view = check.topologyResponse(readJson(body));
  return {
    kind: 'topology-response',
    nodes: new Map(
      Object.entries(view.nodes).map(([id, capabilities]) => [id, capabilitiesFromWire(capabilities)]),
    ),
    peerGraph: new Map(
      Object.entries(view.peer_graph).map(([id, edges]) => [
        id,
        edges.map((edge) => ({ toId: edge.to_id, description: edge.description })),
      ]),
    ),
  };
}
