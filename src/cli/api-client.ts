/**
 * HTTP to a running node, over Node's own client (it loads faster than fetch). Failures come back as `ExoError`: what
 * the node said, or that nobody answers.
 */
import http from 'node:http';
import {
  type Clock,
  type ErrorCode,
  ExoError,
  formatAddress,
  isErrorCode,
  LIMITS,
  printable,
  withDeadline,
} from '../shared/index.js';
import { HintedError } from './errors.js';
import type { ApiTarget } from './target.js';

/** One request. */
export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  /** Until the headers of the answer, and for JSON the whole of it. @default 5000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A node on the same machine answers in milliseconds; this is for one far away. */
const TIMEOUT_MS = 5_000;

/** The JSON answer. Rejects with the node's own code, `api-refused` or `api-unreachable`. */
export async function callApi<T>(clock: Clock, target: ApiTarget, call: ApiCall): Promise<T> {
  const where = formatAddress(target);
  const timeoutMs = call.timeoutMs ?? TIMEOUT_MS;
  const tooLate = () =>
    new HintedError(
      'api-unreachable',
      `the node at ${where} did not answer within ${timeoutMs / 1000} s`,
      'it is busy, or something else has its port; ask again, or look at its log',
    );
  const { signal: owner } = call;
  const deadline = { clock, timeoutMs, tooLate, ...(owner === undefined ? {} : { owner }) };
  return await withDeadline(deadline, async (signal) => {
    const response = await open(target, call, signal);
    const text = await readAll(response, target);
    return parseAnswer(text, where) as T;
  });
}

/** The answer once its headers are there, with a status below 400. The caller reads it; `signal` cuts it. */
export async function open(
  target: ApiTarget,
  call: ApiCall,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  const where = formatAddress(target);
  const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = http.request({
      host: target.host,
      port: target.port,
      method: call.method,
      path: call.path,
      agent: false,
      headers: {
        accept: 'application/json, text/event-stream',
        ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
        ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }),
      },
    });
    const onAbort = () => {
      reject(signal.reason);
      request.destroy();
    };
    request.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(error, target)));
    request.on('response', (incoming) => resolve(incoming));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    request.once('close', () => signal.removeEventListener('abort', onAbort));
    request.end(body);
  });
  signal.addEventListener('abort', () => response.destroy(signal.reason as Error), { once: true });
  if ((response.statusCode ?? 0) < 400) return response;
  throw refused(response.statusCode ?? 0, await readAll(response, target), call, where);
}

async function readAll(response: http.IncomingMessage, target: ApiTarget): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > LIMITS.apiAnswerBytesMax)
        throw new ExoError('api-refused', `the answer of ${formatAddress(target)} does not end`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof ExoError ? error : unreachable(error as NodeJS.ErrnoException, target);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseAnswer(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ExoError('api-unreachable', `what answers at ${where} is not an exo node`);
  }
}

function unreachable(error: NodeJS.ErrnoException, target: ApiTarget): ExoError {
  if (error instanceof ExoError) return error;
  if (error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN') {
    return new HintedError(
      'api-unreachable',
      `the name ${printable(target.host)} could not be looked up (${error.code})`,
      'check the name, or use an IP address: --api 192.168.1.20:52415',
    );
  }
  const where = formatAddress(target);
  const why =
    error.code === 'ECONNREFUSED'
      ? `no node answers at ${where}`
      : error.code === 'ECONNRESET' || error.code?.startsWith('HPE_')
        ? `what answers at ${where} is not an exo node, or it ended just now`
        : `no connection to ${where} (${printable(error.message)})`;
  return new ExoError('api-unreachable', why, { cause: error });
}

/** OpenAI's own names of errors, back in ours. */
const OPENAI_CODES: Readonly<Record<string, ErrorCode>> = {
  model_not_found: 'model-unknown',
  context_length_exceeded: 'prompt-too-long',
};

function refused(status: number, text: string, call: ApiCall, where: string): ExoError {
  let code: unknown;
  let message: unknown;
  try {
    const body = JSON.parse(text) as { error?: { code?: unknown; message?: unknown }; detail?: unknown };
    code = body.error?.code;
    message = body.error?.message ?? body.detail;
  } catch {
    // Not a node of ours; the status says what there is to say.
  }
  if (typeof message === 'string') return apiError(code, message);
  return new ExoError(
    'api-refused',
    `${where} answered ${status} to ${call.method} ${call.path}; is it an exo node of this version?`,
  );
}

/** An error that a node told, under its own code where that is one of ours. */
export function apiError(code: unknown, message: string): ExoError {
  const known = typeof code === 'string' ? (OPENAI_CODES[code] ?? code) : '';
  return new ExoError(isErrorCode(known) ? known : 'api-refused', message);
}
