/**
 * Errors as HTTP answers in OpenAI's shape, with the original's `detail` string beside it. The one table from
 * error codes to statuses.
 */
import { type ErrorCode, ExoError, type ExoErrorOptions, toExoError } from '../shared/index.js';

/** An error about one parameter of a request, or with a status of its own. */
export class HttpError extends ExoError {
  /** The parameter that is wrong, as a path (`messages.0.role`). */
  readonly param: string | null;
  readonly status: number | null;
  /** What OpenAI calls it, where our code covers more. */
  readonly openaiCode: string | null;

  constructor(
    code: ErrorCode,
    message: string,
    options: ExoErrorOptions & {
      readonly param?: string;
      readonly status?: number;
      readonly openaiCode?: string;
    } = {},
  ) {
    super(code, message, options);
    this.param = options.param ?? null;
    this.status = options.status ?? null;
    this.openaiCode = options.openaiCode ?? null;
  }
}

/** What a client reads. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
  /** The message again, where clients of the original look for it. */
  readonly detail: string;
}

/** An answer to a failed request. */
export interface ErrorAnswer {
  readonly status: number;
  readonly body: ErrorBody;
  readonly headers: Readonly<Record<string, string>>;
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  'http-invalid': 400,
  'tensor-invalid': 400,
  'placement-invalid': 400,
  'prompt-too-long': 400,
  'conversation-refused': 400,
  'model-unsupported': 400,
  'tunnel-spec-invalid': 400,
  'candidate-invalid': 400,
  'option-invalid': 400,
  'option-missing': 400,
  'auth-failed': 403,
  'http-unauthorized': 401,
  'http-forbidden': 403,
  'http-not-found': 404,
  'model-unknown': 404,
  'model-absent': 404,
  'peer-unknown': 404,
  'tunnel-unknown': 404,
  'mesh-key-unknown': 404,
  'generation-timeout': 408,
  'node-ambiguous': 409,
  'tunnel-clash': 409,
  'option-conflict': 409,
  'identity-changed': 409,
  'tunnel-exists': 409,
  'peers-file-invalid': 422,
  'peers-file-unreadable': 422,
  'model-in-use': 409,
  'http-too-large': 413,
  overloaded: 429,
  'http-unsupported': 501,
  'hub-refused': 502,
  'hub-invalid': 502,
  'download-corrupt': 502,
  'hub-unreachable': 503,
  'model-fetching': 503,
  'disk-full': 507,
  'request-unsupported': 501,
  'connection-closed': 503,
  'out-of-memory': 503,
  'engine-missing': 503,
  'peer-lost': 503,
  'peer-unreachable': 503,
  'request-cancelled': 503,
  'ring-incomplete': 503,
  'connect-failed': 503,
  'request-timeout': 504,
};

const TYPE: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  408: 'timeout_error',
  429: 'rate_limit_error',
};

/** Seconds after which a client may try again; a ring is repaired or a slot free by then. */
const RETRY_AFTER_SECONDS: Readonly<Record<number, string>> = { 429: '1', 503: '2' };

/** Codes for which OpenAI's clients know a name of their own. */
const OPENAI_CODE: Partial<Record<ErrorCode, string>> = {
  'model-unknown': 'model_not_found',
  'prompt-too-long': 'context_length_exceeded',
};

/** The parameter that an error is about, whoever found it. */
const PARAM: Partial<Record<ErrorCode, string>> = {
  'model-unknown': 'model',
  'model-unsupported': 'model',
  'model-absent': 'model',
  'prompt-too-long': 'messages',
  'conversation-refused': 'messages',
  'placement-invalid': 'exo.placement',
};

/** The answer to anything thrown. */
export function errorAnswer(thrown: unknown): ErrorAnswer {
  const error = toExoError(thrown);
  const own = error instanceof HttpError ? error : null;
  const status = own?.status ?? STATUS[error.code] ?? (error.retryable ? 503 : 500);
  const retryAfter = RETRY_AFTER_SECONDS[status];
  return {
    status,
    body: {
      error: {
        message: error.message,
        type: TYPE[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error'),
        param: own?.param ?? PARAM[error.code] ?? null,
        code: own?.openaiCode ?? OPENAI_CODE[error.code] ?? error.code,
      },
      detail: error.message,
    },
    headers: {
      ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      ...(status === 401 ? { 'www-authenticate': 'Bearer realm="exo"' } : {}),
      // The rest of a body that was refused is not read, so the connection cannot go on.
      ...(status === 413 ? { connection: 'close' } : {}),
    },
  };
}
