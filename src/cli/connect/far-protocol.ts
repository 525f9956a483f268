/**
 * What `exo connect` and the `exo __far` that it starts over ssh say to each other: one JSON line per request, one per
 * answer, in order, over standard input and output. What a value names is checked here, on both sides. Pure.
 */
import * as z from 'zod';
import { ExoError, isErrorCode, LIMITS, printable } from '../../shared/index.js';
import { apiError } from '../api-client.js';

/** Both sides must speak the same; raised with every change that the other side would not understand. */
export const FAR_SCHEMA = 2;
/** In front of every answer: what a login script prints besides is no answer. */
const ANSWER_MARK = 'exo-far ';

const id = z.string().min(1).max(LIMITS.nodeIdCharsMax);
const port = z.number().int().min(1).max(65_535);
const fingerprint = z.string().min(1).max(128);
const path = z.string().min(1).max(4_096);

/** A node as the other side sees it. */
const nodeAnswer = z.object({
  id,
  instance: z.string().max(64),
  nodeHost: z.string().max(300),
  nodePort: port,
  apiPort: port,
  peersFile: path.nullable(),
  /** This session started it. */
  started: z.boolean(),
  log: path.nullable(),
});
export type FarNode = z.infer<typeof nodeAnswer>;

/** Requests by name: what they carry and what is answered. */
const OPERATIONS = {
  /** Who is there. */
  hello: {
    request: z.object({}),
    answer: z.object({
      schema: z.number(),
      version: z.string().max(64),
      node: z.string().max(64),
      home: path,
      running: z.array(id).max(256),
    }),
  },
  /** The running node (`node`, where several run), or one that is started for it. */
  node: { request: z.object({ node: id.optional() }), answer: nodeAnswer },
  /** Names the near node in the peers file there, at a free port for `-R`. */
  enter: {
    request: z.object({ node: id, peer: id, prefer: port, avoid: z.array(port).max(64) }),
    answer: z.object({
      /** Null: the file names that peer already, in a way of its own. */
      port: port.nullable(),
      /** The entry as it was before; null where there was none. */
      before: z.record(z.string(), z.unknown()).nullable(),
      changed: z.boolean(),
      note: z.string().max(1_000).nullable(),
    }),
  },
  /** The nodes are to trust each other: the key of the near one, and for it that of the far one. */
  trust: {
    request: z.object({ node: id, peer: id, fingerprint }),
    answer: z.object({ fingerprint, added: z.boolean() }),
  },
  /** Waits until the topology there lists all of these. */
  wait: {
    request: z.object({ node: id, ids: z.array(id).max(64), timeoutMs: z.number().min(1).max(600_000) }),
    answer: z.object({ missing: z.array(id) }),
  },
  /** What this session did is to stay. */
  commit: { request: z.object({}), answer: z.object({}) },
  /** Undoes what an earlier session did. */
  leave: {
    request: z.object({
      node: id,
      peer: id,
      peersFile: path.nullable(),
      before: z.record(z.string(), z.unknown()).nullable(),
      /** The node there has learnt the key of the near one from `exo connect`: it forgets it. */
      distrust: z.boolean(),
      /** Stop the node if `exo connect` started it and no other peer needs it. */
      stop: z.boolean(),
    }),
    answer: z.object({
      removed: z.boolean(),
      stopped: id.nullable(),
      /** Why a node that was started for this was not stopped. */
      kept: z.string().max(1_000).nullable(),
    }),
  },
} as const;

/** The name of a request. */
export type FarOperation = keyof typeof OPERATIONS;
/** What a request carries. */
export type FarRequest<Name extends FarOperation> = z.infer<(typeof OPERATIONS)[Name]['request']>;
/** What it is answered with. */
export type FarAnswer<Name extends FarOperation> = z.infer<(typeof OPERATIONS)[Name]['answer']>;

/** A request as a line. */
export function requestLine<Name extends FarOperation>(name: Name, body: FarRequest<Name>): string {
  return `${JSON.stringify({ op: name, body })}\n`;
}

/** Reads a request. Throws `request-unsupported` for what this version does not know. */
export function readRequest(line: string): { readonly op: FarOperation; readonly body: unknown } {
  const parsed = line.length > LIMITS.farLineCharsMax ? undefined : parseJson(line);
  const { op, body } = (parsed ?? {}) as { op?: unknown; body?: unknown };
  if (typeof op !== 'string' || !Object.hasOwn(OPERATIONS, op)) {
    throw new ExoError(
      'request-unsupported',
      `exo here does not know the request "${typeof op === 'string' ? printable(op, 40) : ''}"`,
    );
  }
  const name = op as FarOperation;
  const result = OPERATIONS[name].request.safeParse(body);
  if (result.success) return { op: name, body: result.data };
  throw new ExoError('request-unsupported', `a request "${op}" that cannot be read`);
}

/** An answer as a line. */
export function answerLine(answer: { readonly ok: unknown } | { readonly error: ExoError }): string {
  const body =
    'ok' in answer ? answer : { error: { code: answer.error.code, message: answer.error.message } };
  return `${ANSWER_MARK}${JSON.stringify(body)}\n`;
}

/** The answer in a line; undefined where the line is none. Throws the error that was answered. */
export function readAnswer<Name extends FarOperation>(name: Name, line: string): FarAnswer<Name> | undefined {
  if (!line.startsWith(ANSWER_MARK) || line.length > LIMITS.farLineCharsMax) return undefined;
  const parsed = parseJson(line.slice(ANSWER_MARK.length)) as
    | { ok?: unknown; error?: { code?: unknown; message?: unknown } | null }
    | null
    | undefined;
  if (parsed?.error !== undefined) {
    const { code, message } = parsed.error ?? {};
    const said = typeof message === 'string' ? message : `exo there failed at "${name}" and did not say why`;
    throw apiError(isErrorCode(code) ? code : 'tunnel-failed', printable(said, LIMITS.farMessageCharsMax));
  }
  const result = OPERATIONS[name].answer.safeParse(parsed?.ok);
  if (result.success) return result.data as FarAnswer<Name>;
  throw new ExoError(
    'request-failed',
    `exo there answered "${name}" in a form that this version cannot read`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
