/**
 * Messages to bodies. A body is JSON text, optionally preceded by its length, and optionally followed by bytes that are
 * never copied here. Base bodies are spelled as the original spells them (golden frames in the tests), correlated ones are
 * compact. The reading half is `message-decoder.ts`.
 */
import { ExoError } from '../../shared/index.js';
import type { Json, Message, Prompt, Result, Shard, TensorRequest } from './messages.js';
import { pythonJson, pythonString } from './python-json.js';
import type { Tensor } from './tensor.js';
import { checkTensor } from './tensor-codec.js';
import {
  capabilitiesToWire,
  entryToWire,
  fileToWire,
  helloToWire,
  keyToWire,
  offerToWire,
  ringToWire,
  shardToWire,
} from './wire-shapes.js';

/** A body that is ready to be framed. */
export interface EncodedBody {
  /** JSON, or empty. */
  readonly text: string;
  /** A u32 with the byte length of `text` stands in front of it. */
  readonly framed: boolean;
  /** Follows the text. Must not change until it is sent. */
  readonly payload: Buffer | undefined;
}

const EMPTY: EncodedBody = { text: '', framed: false, payload: undefined };
const NO_TENSOR: EncodedBody = { text: '', framed: true, payload: undefined };
const HEALTHY = json('{"is_healthy": true}');

function json(text: string): EncodedBody {
  return { text, framed: false, payload: undefined };
}

/** The body of a message in its base form. Throws `internal` for kinds that exist only correlated, `tensor-invalid`. */
export function encodeBase(message: Message): EncodedBody {
  switch (message.kind) {
    case 'health-request':
      return message.hello === undefined ? EMPTY : json(pythonJson({ hello: helloToWire(message.hello) }));
    case 'health-response': {
      const { isHealthy, hello, refusal } = message;
      if (isHealthy && hello === undefined && refusal === undefined) return HEALTHY;
      return json(
        pythonJson({
          is_healthy: isHealthy,
          hello: hello && helloToWire(hello),
          error: refusal && { code: refusal.code, message: refusal.message },
        }),
      );
    }
    case 'prompt':
      return json(
        `{"shard": ${shardText(message.shard)}, "prompt": ${pythonString(message.prompt)}, ${inferenceText(message)}}`,
      );
    case 'tensor-request':
      return withTensor(tensorRequestText(message), message.tensor);
    case 'tensor-response':
      return message.tensor === null ? NO_TENSOR : withTensor(tensorText(message.tensor), message.tensor);
    case 'result':
      return encodeResult(message, resultText(message));
    case 'topology-request':
      return json(pythonJson({ visited: message.visited, max_depth: message.maxDepth }));
    case 'topology-response':
      return json(
        pythonJson({
          nodes: Object.fromEntries(
            [...message.nodes].map(([id, capabilities]) => [id, capabilitiesToWire(capabilities)]),
          ),
          peer_graph: Object.fromEntries(
            [...message.peerGraph].map(([id, edges]) => [
              id,
              edges.map((edge) => ({ to_id: edge.toId, description: edge.description })),
            ]),
          ),
        }),
      );
    case 'opaque-status':
      return json(
        `{"request_id": ${pythonString(message.requestId)}, "status": ${pythonString(message.status)}}`,
      );
    default:
      throw new ExoError('internal', `a ${message.kind} has no base form`);
  }
}

/** The body of a message in its correlated form. Throws `tensor-invalid`. */
export function encodeCorrelated(message: Message): EncodedBody {
  switch (message.kind) {
    case 'prompt':
      return json(
        compact({
          shard: shardToWire(message.shard),
          prompt: message.prompt,
          request_id: message.requestId,
          inference_state: message.inferenceState,
          origin: message.origin,
          tokens: message.tokens,
          ring: message.ring && ringToWire(message.ring),
        }),
      );
    case 'tensor-request':
      return withTensor(
        withExtras(tensorRequestText(message), {
          origin: message.origin,
          first: message.first,
          more: message.more,
          ring: message.ring && ringToWire(message.ring),
        }),
        message.tensor,
      );
    case 'result':
      return encodeResult(
        message,
        withExtras(resultText(message), {
          index: message.index,
          error: message.error,
          logprobs: message.logprobs?.map(({ logprob, top }) => ({ logprob, top })),
        }),
      );
    case 'prompt-response':
    case 'topology-updated':
    case 'key-updated':
      return EMPTY;
    case 'ping':
    case 'pong':
    case 'bytes-response':
      return { text: '', framed: false, payload: message.data };
    case 'topology-update':
      return json(compact({ entries: message.entries.map(entryToWire), spread: message.spread }));
    case 'topology-sync':
      return json(compact({ versions: Object.fromEntries(message.versions) }));
    case 'topology-synced':
      return json(compact({ entries: message.entries.map(entryToWire), wanted: message.wanted }));
    case 'goodbye':
      return json(compact({ reason: message.reason }));
    case 'notice':
      return json(compact({ code: message.code, message: message.message }));
    case 'cancel-request':
      return json(compact({ request_id: message.requestId }));
    case 'auth-request':
      return json(compact({ proofs: message.proofs }));
    case 'auth-response':
      return json(compact({ proofs: message.proofs, keys: message.keys?.map(keyToWire) }));
    case 'key-update':
      return json(compact({ keys: message.keys.map(keyToWire) }));
    case 'probe-request':
      return json(compact({ node_id: message.nodeId }));
    case 'probe-response':
      return json(compact({ reached: message.reached, rtt_ms: message.rttMs }));
    case 'files-request':
      return json(compact({ repository: message.repository, path: message.path, claim: message.claim }));
    case 'files-response':
      return json(
        compact({
          commit: message.commit,
          revision: message.revision,
          files: message.files.map(fileToWire),
          granted: message.granted,
        }),
      );
    case 'bytes-request': {
      const { repository, path, hash, range } = message;
      return json(compact({ repository, path, hash, range }));
    }
    case 'offer-request':
      return json(
        compact({ model_id: message.modelId, n_layers: message.nLayers, may_fetch: message.mayFetch }),
      );
    case 'offer-response':
      return json(compact(offerToWire(message)));
    case 'error-response':
      return json(compact({ code: message.code, message: message.message, retryable: message.retryable }));
    default:
      return encodeBase(message);
  }
}

function compact(value: object): string {
  return JSON.stringify(value);
}

function withTensor(text: string, tensor: Tensor): EncodedBody {
  checkTensor(tensor);
  return { text, framed: true, payload: tensor.data };
}

function encodeResult(message: Result, text: string): EncodedBody {
  return message.tensor === undefined ? json(text) : withTensor(text, message.tensor);
}

function resultText(message: Result): string {
  const tensor = message.tensor === undefined ? '' : `, "tensor": ${tensorText(message.tensor)}`;
  return `{"request_id": ${pythonString(message.requestId)}, "result": [${message.result.join(', ')}], "is_finished": ${message.isFinished}${tensor}}`;
}

/** Base text plus fields that only new peers see; most messages have none. */
function withExtras(text: string, extras: { readonly [key: string]: Json | undefined }): string {
  let more = '';
  for (const key in extras) {
    const value = extras[key];
    if (value !== undefined) more += `, "${key}": ${JSON.stringify(value)}`;
  }
  return more === '' ? text : `${text.slice(0, -1)}${more}}`;
}

function tensorRequestText(message: TensorRequest): string {
  return `{"shard": ${shardText(message.shard)}, "tensor": ${tensorText(message.tensor)}, ${inferenceText(message)}}`;
}

/** A shard is written once for each token of a generation: remember its text as long as it lives. */
const shardTexts = new WeakMap<Shard, string>();

function shardText(shard: Shard): string {
  let text = shardTexts.get(shard);
  if (text === undefined) {
    text = `{"model_id": ${pythonString(shard.modelId)}, "start_layer": ${shard.startLayer}, "end_layer": ${shard.endLayer}, "n_layers": ${shard.nLayers}}`;
    shardTexts.set(shard, text);
  }
  return text;
}

function tensorText(tensor: Tensor): string {
  return `{"shape": [${tensor.shape.join(', ')}], "dtype": "${tensor.dtype}"}`;
}

function inferenceText(message: Prompt | TensorRequest): string {
  const requestId = message.requestId === null ? 'null' : pythonString(message.requestId);
  const state = message.inferenceState === null ? 'null' : pythonJson(message.inferenceState);
  return `"request_id": ${requestId}, "inference_state": ${state}`;
}
