/** What goes wrong between this program and a hub of models, as errors that say whether to try again, when, and what to do. */
import { type ErrorCode, ExoError, printable } from '../../shared/index.js';

/** An error of a hub. */
export class HubError extends ExoError {
  /** The hub asks not to be asked again before so long. */
  readonly retryAfterMs: number | undefined;
  /** There is no way to it: no network, no such name, nobody at its port. */
  readonly isCutOff: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly retryable: boolean;
      readonly isCutOff?: boolean;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    },
  ) {
    super(code, message, options);
    this.retryAfterMs = options.retryAfterMs;
    this.isCutOff = options.isCutOff ?? false;
  }
}

/** What was asked for. */
export interface Asked {
  /** Host of the hub. */
  readonly hub: string;
  /** `org/repo`; undefined where no repository was asked for. */
  readonly repository?: string;
  /** A file or revision of it. */
  readonly part?: string;
  readonly hasToken: boolean;
}

/** The error of an answer that is no success. `wallMs` is the time now, for a Retry-After that names a date. */
export function answerError(status: number, headers: Headers, asked: Asked, wallMs: number): HubError {
  const what = asked.repository === undefined ? asked.hub : `${printable(asked.repository)} at ${asked.hub}`;
  const kind = headers.get('x-error-code') ?? '';
  if (status === 429 || status >= 500 || status === 408) {
    const why = status === 429 ? 'asks for fewer requests' : `answers ${status}`;
    return new HubError('hub-unreachable', `${asked.hub} ${why}; try again later`, {
      retryable: true,
      retryAfterMs: retryAfterMs(headers.get('retry-after'), wallMs),
    });
  }
  if (
    kind === 'GatedRepo' ||
    status === 403 ||
    (status === 401 && kind !== 'RepoNotFound' && asked.hasToken)
  ) {
    return refused(
      asked.hasToken
        ? `${what} is not given to the owner of this token; accept its terms on its page there, or use another token (HF_TOKEN)`
        : `${what} is given only to people who accepted its terms; do so on its page there, then set HF_TOKEN or write the token to $HF_HOME/token`,
    );
  }
  if (kind === 'RevisionNotFound' || kind === 'EntryNotFound') {
    return unknown(`${what} has no ${printable(asked.part ?? 'such revision')}`);
  }
  if (status === 404 || status === 401) {
    const hidden = asked.hasToken ? '' : ', or it is private and needs a token (HF_TOKEN)';
    const missing =
      asked.part === undefined || kind === 'RepoNotFound'
        ? 'is not there'
        : `or its ${printable(asked.part)} is not there`;
    return unknown(`${what} ${missing}${hidden}; check the name, exo model search finds models`);
  }
  return new HubError('hub-invalid', `${asked.hub} answers ${status} for ${what}; is HF_ENDPOINT right?`, {
    retryable: false,
  });
}

/** What the system says where there is no way to a machine, or nobody listens there. */
const CUT_OFF: ReadonlySet<string> = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ECONNREFUSED',
  'ETIMEDOUT',
  // Of fetch: a port that it asks nobody at, as browsers do not.
  'bad port',
  // Nothing of an address was heard for ten seconds.
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** The error of a hub that does not answer. */
export function silenceError(hub: string, why: string, cause?: unknown): HubError {
  return new HubError(
    'hub-unreachable',
    `${hub} cannot be reached (${why}); check the network, name a mirror with HF_ENDPOINT, or use what is here with --offline`,
    { retryable: true, isCutOff: CUT_OFF.has(why), cause },
  );
}

/** The error of an answer that makes no sense. */
export function nonsenseError(hub: string, why: string, retryable = false): HubError {
  return new HubError('hub-invalid', `${hub} ${why}; is HF_ENDPOINT right?`, { retryable });
}

/** What fetch says, in the words of the system where it has some. */
export function wordsOf(error: unknown): string {
  const cause = (error as { cause?: unknown }).cause;
  const inner = cause instanceof Error ? cause : error;
  const { code, message } = inner as NodeJS.ErrnoException;
  return printable(code ?? message ?? String(inner), 120);
}

/** Seconds or a date, as HTTP has it; undefined where it is neither. */
export function retryAfterMs(text: string | null, wallMs: number): number | undefined {
  if (text === null) return undefined;
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - wallMs);
}

function refused(message: string): HubError {
  return new HubError('hub-refused', message, { retryable: false });
}

function unknown(message: string): HubError {
  return new HubError('model-unknown', message, { retryable: false });
}
