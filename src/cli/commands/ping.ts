/** `exo ping`: round trips from the running node to a peer, over the path that the mesh uses. */
import { ExoError, LIMITS, sleep, toExoError } from '../../shared/index.js';
import { callApi } from '../api-client.js';
import type { PingJson } from '../api-shapes.js';
import { EXIT } from '../errors.js';
import { formatSummary, formatTry, type PingTry, summarize } from '../format/ping.js';
import type { CliHost } from '../host.js';
import { stopSignal } from '../stop-signal.js';
import { type ApiTarget, resolveTarget } from '../target.js';
import { CLI_SCHEMA_VERSION, type ClientOptions, errorJson, printJson } from './view.js';

/** Options of `exo ping`. */
export interface PingOptions extends ClientOptions {
  readonly count: string;
  readonly timeout: string;
}

const INTERVAL_MS = 1_000;
/** The node has its own deadline; this is for a node that hangs. */
const EXTRA_MS = 2_000;
const TIMEOUT_SECONDS_MAX = LIMITS.pingTimeoutMsMax / 1_000;

/** Exit code 0 when at least one try was answered. */
export async function ping(host: CliHost, node: string, options: PingOptions): Promise<number> {
  const count = number(options.count, '--count', 1, LIMITS.pingCountMax);
  const timeoutMs = number(options.timeout, '--timeout', 1, TIMEOUT_SECONDS_MAX) * 1000;
  const target = resolveTarget(options.api, host.env);
  const stop = stopSignal(host);
  const tries: PingTry[] = [];
  try {
    for (let seq = 1; seq <= count && !stop.signal.aborted; seq += 1) {
      if (seq > 1) await sleep(host.clock, INTERVAL_MS, stop.signal);
      const attempt = await tryOnce(host, target, node, seq, timeoutMs, stop.signal);
      tries.push(attempt);
      if (options.json !== true) host.stdout.write(`${formatTry(attempt)}\n`);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    stop.release();
  }
  const summary = summarize(tries);
  if (options.json === true) printJson(host, toJson(node, tries));
  else host.stdout.write(`${formatSummary(node, summary)}\n`);
  return summary.received > 0 ? EXIT.ok : stop.signal.aborted ? EXIT.cancelled : EXIT.failed;
}

/** A peer that does not answer is a result; a name that fits nobody, or a node that is gone, ends the command. */
async function tryOnce(
  host: CliHost,
  target: ApiTarget,
  node: string,
  seq: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<PingTry> {
  try {
    const answer = await callApi<PingJson>(host.clock, target, {
      method: 'POST',
      path: '/v1/ping',
      body: { node, timeout_ms: timeoutMs },
      timeoutMs: timeoutMs + EXTRA_MS,
      signal,
    });
    return {
      seq,
      rttMs: answer.rtt_ms,
      id: answer.id,
      address: answer.address,
      direction: answer.direction,
    };
  } catch (error) {
    const { code } = toExoError(error);
    if (!['request-timeout', 'peer-unreachable', 'connection-closed', 'peer-lost'].includes(code))
      throw error;
    return { seq, error: errorJson(error) };
  }
}

function toJson(node: string, tries: readonly PingTry[]) {
  const { sent, received, minMs, avgMs, maxMs } = summarize(tries);
  return {
    schema_version: CLI_SCHEMA_VERSION,
    node,
    sent,
    received,
    min_ms: minMs,
    avg_ms: avgMs,
    max_ms: maxMs,
    replies: tries.map((attempt) =>
      'error' in attempt
        ? { seq: attempt.seq, error: attempt.error }
        : {
            seq: attempt.seq,
            id: attempt.id,
            rtt_ms: attempt.rttMs,
            address: attempt.address,
            direction: attempt.direction,
          },
    ),
  };
}

function number(text: string, option: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new ExoError('option-invalid', `${option}: "${text}" is not a whole number from ${min} to ${max}`);
}
