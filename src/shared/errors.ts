/**
 * The one error type of the program, and the one list of its codes. A code is stable and is what code
 * compares; the message is for a person and says what to do next. docs/ERRORS.md lists the same codes
 * (a test holds the two together).
 */

/** Every code, with one line about when it is used. */
export const ERROR_CODES = {
  // wire
  'frame-bad-magic': 'the bytes at a frame boundary are not EXO\\x01',
  'frame-unknown-type': 'a frame type that this state of the connection does not allow',
  'frame-too-large': 'an announced length is over the limit of the connection’s state',
  'frame-malformed': 'a body that does not have the form its type asks for',
  'frame-too-slow': 'a body arrived slower than the lowest accepted rate',
  'handshake-timeout': 'no complete first frame, or no TLS, within the handshake deadline',
  'protocol-violation': 'a well-formed message where the protocol allows none',
  'version-mismatch': 'the two sides have no protocol version in common',
  // connections and requests
  'connect-failed': 'an address did not accept a connection, or not in time',
  'connection-closed': 'the connection ended before the answer came',
  'tls-failed': 'a connection could not be encrypted, or what is encrypted was damaged',
  'request-timeout': 'no answer within the deadline',
  'request-cancelled': 'the caller gave the request up',
  'request-unsupported': 'the other side does not know this kind of request',
  'request-failed': 'the other side’s handler failed',
  overloaded: 'a queue or budget is full; try again later',
  'slow-peer': 'the other side takes what is sent to it too slowly, or not at all',
  'not-on-this-connection': 'an old peer takes no request on a connection that it opened',
  // peers
  'self-address': 'an address leads back to this node',
  'duplicate-id': 'two machines use the same node id',
  'id-filtered': 'the node id is not in --node-id-filter',
  'interface-filtered': 'the interface type is not in --interface-type-filter',
  'peer-unknown': 'no peer of that name is known',
  'peer-unreachable': 'the peer is known but there is no connection to it',
  'peer-lost': 'a peer went away while it was needed',
  'address-spare': 'another address of the same peer is in use',
  'candidate-invalid': 'an announcement or entry that cannot be used as an address',
  // trust
  'auth-required': 'the other side proved nothing, and only trusted nodes may',
  'tls-required': 'the other side talks about this only over an encrypted connection',
  'auth-failed': 'a proof, secret or key was wrong',
  'identity-changed': 'a node id shows another key than the one it is pinned to',
  'trust-file-invalid': 'a file with keys or trust is damaged, somebody else’s or open to others',
  'mesh-key-unknown': 'no mesh key of that id is kept',
  'ssh-key-unusable': 'an ssh key, an agent or an authorized_keys file that cannot be used',
  // configuration and files
  'option-invalid': 'an option or environment variable has a value that cannot be used',
  'option-conflict': 'two options contradict each other',
  'option-missing': 'an option needs a companion',
  'option-unsupported': 'an option of the original that is not supported yet',
  'port-in-use': 'a port is taken by another program, or by a connection',
  'peers-file-unreadable': 'peers.json cannot be read',
  'peers-file-invalid': 'peers.json is not valid JSON, or not of the published schema',
  'state-unwritable': 'a file of $EXO_HOME cannot be written',
  // tunnels
  'tunnel-spec-invalid': 'a description of an ssh tunnel that cannot be used, or must not be',
  'tunnel-clash': 'a tunnel needs a port or a name that something else has',
  'tunnel-exists': 'a tunnel of that name is there already',
  'tunnel-unknown': 'no tunnel of that name is known',
  'tunnel-failed': 'an ssh session or a forward through it failed',
  // topology and inference
  'ring-incomplete': 'the nodes present cannot form a ring for the model',
  'placement-invalid': 'nodes and layers of a request or of --layers that do not make a ring of the model',
  'model-unknown': 'no model of that name is known',
  'model-unsupported': 'a model of a kind that no engine of this version computes',
  'out-of-memory': 'weights or caches that need more memory than is free',
  'checkpoint-invalid': 'the files of a model are damaged, incomplete or do not fit together',
  'tokenizer-invalid': 'the tokenizer or the chat template of a model is missing or damaged',
  'conversation-refused': 'the chat template of a model does not take such a conversation',
  'model-absent': 'no files of the model are kept here, or not those that are needed',
  'model-fetching': 'files of the model are still on their way to the node',
  'model-in-use': 'another process is at work on the files of the model',
  'hub-unreachable': 'a hub of models does not answer, or asks to be asked later',
  'hub-refused': 'a hub of models does not give the model to this user',
  'hub-invalid': 'a hub of models answers with something that cannot be used',
  'download-corrupt': 'fetched bytes are not those that the hub names by their hash, twice in a row',
  'disk-full': 'there is no room for the files of a model',
  'engine-failed': 'the inference engine failed',
  'engine-missing': 'the native libraries that compute models are not installed on this node',
  'tensor-invalid': 'shape, dtype and bytes of a tensor do not fit together',
  'prompt-too-long': 'a prompt over the limit of a message or of the model',
  'generation-timeout': 'a generation ran longer than --chatgpt-api-response-timeout',
  // api and command line
  'api-unreachable': 'no running node answers',
  'api-refused': 'the running node refused the request',
  'node-ambiguous': 'several nodes fit; one must be named',
  'http-invalid': 'an HTTP request with a body, parameter or header that cannot be used',
  'http-too-large': 'an HTTP body over its limit',
  'http-forbidden': 'the Host or Origin of an HTTP request is not allowed',
  'http-unauthorized': 'an HTTP request that needs the owner’s token',
  'http-not-found': 'no such HTTP path, or not with this method',
  'http-unsupported': 'a part of the HTTP API that is not supported yet',
  internal: 'a fault of this program',
} as const;

/** A stable error code. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** What an `ExoError` may carry besides its code and message. */
export interface ExoErrorOptions {
  /** The same call may succeed later without a change. @default false */
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

/** An error with a stable code; its message tells a person what to do next. */
export class ExoError extends Error {
  override readonly name = 'ExoError';
  readonly code: ErrorCode;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: ExoErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Any thrown thing as an `ExoError`; what is not one already becomes `code` (default `internal`). */
export function toExoError(error: unknown, code: ErrorCode = 'internal'): ExoError {
  if (error instanceof ExoError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ExoError(code, message, { cause: error });
}

/** Whether a string is one of our codes (codes also arrive over the wire). */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}
