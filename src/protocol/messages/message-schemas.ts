/**
 * The shapes of all JSON bodies, as ajv schemas: one per body, compiled when it is first needed. Unknown extra fields are
 * accepted and ignored, so that a later version may add some. The types are those of the wire (snake_case); `wire-bodies.ts` has
 * those that `wire-shapes.ts` translates.
 */
import { Ajv, type ValidateFunction } from 'ajv';
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import type { AuthProof, JsonObject } from './messages.js';
import type {
  CapabilitiesBody,
  EntryBody,
  HelloBody,
  KeyBody,
  ModelFileBody,
  OfferBody,
  RingPlaceBody,
  ShardBody,
  TensorBody,
} from './wire-bodies.js';

// Infinity and null stand for floats that Python calls inf and nan; see json-reader.ts.
const ajv = new Ajv({ strict: true, strictNumbers: false, allowUnionTypes: true, allErrors: false });

const string = { type: 'string' } as const;
const id = { type: 'string', minLength: 1, maxLength: LIMITS.nodeIdCharsMax } as const;
const bool = { type: 'boolean' } as const;
const float = { type: ['number', 'null'] } as const;
const count = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const nullableString = { type: ['string', 'null'] } as const;
const nullableObject = { type: ['object', 'null'] } as const;

function object<T extends Record<string, object>>(required: T, optional: Record<string, object> = {}) {
  return {
    type: 'object',
    required: Object.keys(required),
    properties: { ...required, ...optional },
  } as const;
}
function list(items: object, maxItems: number) {
  return { type: 'array', items, maxItems } as const;
}
function tuple(items: readonly object[]) {
  return { type: 'array', items, minItems: items.length, maxItems: items.length } as const;
}
function map(values: object, maxProperties: number) {
  return { type: 'object', additionalProperties: values, maxProperties } as const;
}

const shard = object({
  model_id: string,
  start_layer: count,
  end_layer: { type: 'integer' },
  n_layers: count,
});
const ring = {
  type: 'array',
  items: object({ node_id: id, start_layer: count, end_layer: count }),
  minItems: 1,
  maxItems: LIMITS.ringMembersMax,
} as const;
const tensor = object({ shape: list(count, 8), dtype: string });
const capabilities = object(
  { model: string, chip: string, memory: { type: 'number' } },
  { flops: object({}, { fp32: float, fp16: float, int8: float }) },
);
const wireEdge = object({ to_id: string, description: string });
const fault = object({ code: string, message: string });
const hello = object(
  {
    version_max: count,
    version_min: count,
    node_id: id,
    instance: { type: 'string', pattern: '^[0-9a-f]{16}$' },
  },
  {
    epoch: count,
    features: list({ type: 'string', maxLength: 64 }, 64),
    capabilities,
    node_port: { type: 'integer', minimum: 0, maximum: 65_535 },
    topology_digest: { type: 'string', maxLength: 64 },
    auth: object({ nonce: { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$' } }),
    path: object({ description: { type: 'string', maxLength: 256 }, priority: { type: 'number' } }),
    agent: { type: 'string', maxLength: 256 },
  },
);
const keys = list(
  object(
    {
      id: { type: 'string', pattern: '^[0-9a-f]{8}$' },
      secret: { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$' },
      created_ms: count,
    },
    { until_ms: count },
  ),
  LIMITS.meshKeysMax,
);
/** A map of short texts, of which one is the method. */
const proof = {
  type: 'object',
  required: ['method'],
  properties: { method: { type: 'string', maxLength: 32 } },
  additionalProperties: { type: 'string', maxLength: LIMITS.authFieldCharsMax },
  maxProperties: 8,
} as const;
const logprobs = list(
  object({
    logprob: { type: 'number' },
    top: list(
      { type: 'array', items: [count, { type: 'number' }], minItems: 2, maxItems: 2 },
      LIMITS.topLogprobsMax,
    ),
  }),
  LIMITS.resultTokensMax,
);
const entry = object(
  {
    id,
    epoch: count,
    version: count,
    capabilities,
    edges: list(wireEdge, LIMITS.topologyEdgesPerNode),
  },
  { lost: list(object({ id, epoch: count }), LIMITS.topologyEdgesPerNode), legacy: bool },
);
const entries = list(entry, LIMITS.topologyNodesMax);

const hex = { type: 'string', pattern: '^([0-9a-f]{40}|[0-9a-f]{64})$' } as const;
const repository = { type: 'string', minLength: 3, maxLength: 200 } as const;
const filePath = { type: 'string', minLength: 1, maxLength: 512 } as const;
const range = { type: 'array', items: [count, count], minItems: 2, maxItems: 2 } as const;
const ranges = list(range, LIMITS.fileRangesMax);
const modelFile = object({
  path: filePath,
  size: count,
  hash: { type: 'string', pattern: '^(sha256:[0-9a-f]{64}|git-sha1:[0-9a-f]{40})$' },
  present: ranges,
  claimed: ranges,
});

interface Fault {
  readonly code: string;
  readonly message: string;
}
interface LogprobsBody {
  readonly logprob: number;
  readonly top: Array<[token: number, logprob: number]>;
}
interface Inference {
  readonly shard: ShardBody;
  readonly request_id?: string | null;
  readonly inference_state?: JsonObject | null;
  readonly origin?: string;
  readonly ring?: RingPlaceBody[];
}

/** A check that returns the value with its type, or throws `frame-malformed` and names the field. */
export type Check<T> = (value: unknown) => T;

const inference = { request_id: nullableString, inference_state: nullableObject, origin: id, ring };

/** One check per JSON body. */
export const check = {
  healthRequest: lazy<{ hello?: unknown }>('a health check', object({})),
  healthResponse: lazy<{ is_healthy: boolean; hello?: unknown; error?: Fault }>(
    'a health answer',
    object({ is_healthy: bool }, { error: fault }),
  ),
  versions: lazy<{ version_max: number; version_min: number }>(
    'a hello',
    object({ version_max: count, version_min: count }),
  ),
  hello: lazy<HelloBody>('a hello', hello),
  capabilities: lazy<CapabilitiesBody>('device capabilities', capabilities),
  prompt: lazy<Inference & { prompt: string; tokens?: number[] }>(
    'a prompt',
    object({ shard, prompt: string }, { ...inference, tokens: list(count, LIMITS.promptTokensMax) }),
  ),
  tensorRequest: lazy<Inference & { tensor: TensorBody; first?: boolean; more?: boolean }>(
    'tensor metadata',
    object({ shard, tensor }, { ...inference, first: bool, more: bool }),
  ),
  flatTensor: lazy<TensorBody>('tensor metadata', tensor),
  nestedTensor: lazy<{ tensor: TensorBody }>('tensor metadata', object({ tensor })),
  result: lazy<{
    request_id: string;
    result: number[];
    is_finished: boolean;
    tensor?: TensorBody;
    error?: Fault & { readonly retryable?: boolean };
    index?: number;
    logprobs?: LogprobsBody[];
  }>(
    'a result',
    object(
      { request_id: string, result: list({ type: 'integer' }, 1_000_000), is_finished: bool },
      {
        tensor,
        error: object({ code: string, message: string }, { retryable: bool }),
        index: count,
        logprobs,
      },
    ),
  ),
  topologyRequest: lazy<{ visited: string[]; max_depth: number }>(
    'a topology request',
    object({ visited: list(string, LIMITS.topologyNodesMax), max_depth: { type: 'integer' } }),
  ),
  topologyResponse: lazy<{
    nodes: Record<string, CapabilitiesBody>;
    peer_graph: Record<string, Array<{ to_id: string; description: string }>>;
  }>(
    'a topology',
    object({
      nodes: map(capabilities, LIMITS.topologyNodesMax),
      peer_graph: map(list(wireEdge, LIMITS.topologyEdgesPerNode), LIMITS.topologyNodesMax),
    }),
  ),
  opaqueStatus: lazy<{ request_id: string; status: string }>(
    'a status',
    object({ request_id: string, status: string }),
  ),
  topologyUpdate: lazy<{ entries: EntryBody[]; spread?: string[] }>(
    'a topology update',
    object({ entries }, { spread: list(string, LIMITS.topologyNodesMax) }),
  ),
  topologySync: lazy<{ versions: Record<string, [number, number]> }>(
    'a topology sync',
    object({
      versions: map(
        { type: 'array', items: [count, count], minItems: 2, maxItems: 2 },
        LIMITS.topologyNodesMax,
      ),
    }),
  ),
  topologySynced: lazy<{ entries: EntryBody[]; wanted: string[] }>(
    'a topology sync answer',
    object({ entries, wanted: list(id, LIMITS.topologyNodesMax) }),
  ),
  goodbye: lazy<{ reason: string }>('a goodbye', object({ reason: string })),
  notice: lazy<Fault>('a notice', fault),
  cancelRequest: lazy<{ request_id: string }>('a cancel request', object({ request_id: string })),
  auth: lazy<{ proofs: AuthProof[]; keys?: KeyBody[] }>(
    'proofs',
    object({ proofs: list(proof, LIMITS.authProofsMax) }, { keys }),
  ),
  keyUpdate: lazy<{ keys: KeyBody[] }>('a key update', object({ keys })),
  probeRequest: lazy<{ node_id: string }>('a probe request', object({ node_id: id })),
  probeResponse: lazy<{ reached: boolean; rtt_ms?: number | null }>(
    'a probe answer',
    object({ reached: bool }, { rtt_ms: float }),
  ),
  filesRequest: lazy<{
    repository: string;
    path?: string;
    claim?: { readonly hash: string; readonly range: [number, number] };
  }>(
    'a question about files',
    object({ repository }, { path: filePath, claim: object({ hash: hex, range }) }),
  ),
  filesResponse: lazy<{
    commit: string | null;
    revision: string;
    files: ModelFileBody[];
    granted: boolean;
  }>(
    'an answer about files',
    object({
      commit: { type: ['string', 'null'], maxLength: 64 },
      revision: { type: 'string', maxLength: 256 },
      files: list(modelFile, LIMITS.filesListedMax),
      granted: bool,
    }),
  ),
  bytesRequest: lazy<{ repository: string; path: string; hash: string; range: [number, number] }>(
    'a question for bytes',
    object({ repository, path: filePath, hash: hex, range }),
  ),
  offerRequest: lazy<{ model_id: string; n_layers: number; may_fetch?: boolean }>(
    'a question for an offer',
    object(
      { model_id: { type: 'string', maxLength: LIMITS.modelIdCharsMax }, n_layers: count },
      { may_fetch: bool },
    ),
  ),
  offerResponse: lazy<OfferBody>(
    'an offer',
    object(
      { engine: { type: 'string', maxLength: 64 } },
      {
        reason: string,
        memory_bytes: float,
        bytes_per_s: float,
        multiply_adds_per_s: float,
        layers: list(tuple([float, float, float]), LIMITS.modelLayersMax),
        stored: list(tuple([count, count]), LIMITS.modelLayersMax),
        fetch_bytes_per_s: float,
        peer_fetch_bytes_per_s: float,
        load_bytes_per_s: float,
        step_ms: float,
        paths: list(tuple([id, float, float]), LIMITS.ringMembersMax),
      },
    ),
  ),
  errorResponse: lazy<Fault & { retryable?: boolean }>(
    'an error answer',
    object({ code: string, message: string }, { retryable: bool }),
  ),
};

function lazy<T>(what: string, schema: object): Check<T> {
  let validate: ValidateFunction<T> | undefined;
  return (value) => {
    validate ??= ajv.compile<T>(schema);
    if (validate(value)) return value;
    const error = validate.errors?.[0];
    throw new ExoError(
      'frame-malformed',
      // The path may have names of the sender's choice.
      `${what} ${printable(error?.instancePath ?? '')} ${error?.message ?? 'is wrong'}`,
    );
  };
}
