/**
 * `exo tunnel open`: ssh's flags as a tunnel of the running node; waits until it is proven, or says what is in the way. One
 * that cannot work as it is described is taken back, so that the corrected command can follow.
 */
import { ExoError, LIMITS, printable, sleep, toExoError } from '../../shared/index.js';
import type { TunnelDetailJson, TunnelJson, TunnelRequestJson } from '../api-shapes.js';
import type { Values } from '../command-spec.js';
import { type ClientOptions, printJson } from '../commands/view.js';
import { EXIT, HintedError } from '../errors.js';
import { roundTrip } from '../format/units.js';
import type { CliHost } from '../host.js';
import { Progress } from '../progress.js';
import { type StopSignal, stopSignal } from '../stop-signal.js';
import { type ApiTarget, resolveTarget } from '../target.js';
import { TunnelClient } from './client.js';
import { diagnose, quote } from './diagnosis.js';
import { tunnelRequest } from './request.js';

/** Often enough that a person sees no difference. */
const LOOK_EVERY_MS = 150;
/** Waits for something; everything else is settled. */
const ON_ITS_WAY: ReadonlySet<string> = new Set(['starting', 'gate', 'backoff', 'degraded']);

/** Exit code 0 when the tunnel is up (or is not waited for), 1 when it is not, 130 after Ctrl-C. */
export async function open(
  host: CliHost,
  destination: string,
  values: Values & ClientOptions,
): Promise<number> {
  const waitMs = seconds(values['wait']);
  const request = tunnelRequest(destination, values, process.cwd());
  const client = new TunnelClient(host.clock, findNode(host, values, request));
  const opened = await client.open(request);
  const stop = stopSignal(host);
  try {
    const detail =
      waitMs === 0
        ? await client.get(opened.name)
        : await waitFor(host, client, opened.name, host.clock.now() + waitMs, stop);
    return await conclude(host, client, detail, waitMs, values.json === true);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    host.stderr.write(
      `${printable(opened.name, 128)} goes on without this command; exo tunnel close ${quote(opened.name)} ends it\n`,
    );
    return EXIT.cancelled;
  } finally {
    stop.release();
  }
}

/** Rejects with a way out that fits: a tunnel needs a node to live in. */
function findNode(host: CliHost, options: ClientOptions, request: TunnelRequestJson): ApiTarget {
  try {
    return resolveTarget(options.api, host.env);
  } catch (thrown) {
    const error = toExoError(thrown);
    if (error.code !== 'api-unreachable') throw error;
    const { name: _, ...tunnel } = request;
    throw new HintedError(
      'api-unreachable',
      `${error.message}, and a tunnel lives in a node`,
      `start one in another terminal with: exo; or put it under a peer in peers.json, where a node opens it by itself: "tunnel": ${JSON.stringify(tunnel)}`,
    );
  }
}

async function waitFor(
  host: CliHost,
  client: TunnelClient,
  name: string,
  endMs: number,
  stop: StopSignal,
): Promise<TunnelDetailJson> {
  const progress = new Progress(host, `${printable(name, 60)}: ssh connects`);
  try {
    for (;;) {
      const detail = await client.get(name, stop.signal);
      const { tunnel } = detail;
      if (!ON_ITS_WAY.has(tunnel.state) || host.clock.now() >= endMs) return detail;
      progress.update(printable(`${tunnel.name}: ${tunnel.state}, ${tunnel.reason}`, 300));
      await sleep(host.clock, LOOK_EVERY_MS, stop.signal);
    }
  } finally {
    progress.end();
  }
}

async function conclude(
  host: CliHost,
  client: TunnelClient,
  detail: TunnelDetailJson,
  waitMs: number,
  asJson: boolean,
): Promise<number> {
  const { tunnel } = detail;
  const isUp = tunnel.state === 'up';
  if (isUp || (waitMs === 0 && ON_ITS_WAY.has(tunnel.state))) {
    if (asJson) printJson(host, detail);
    else host.stdout.write(`${upLines(tunnel).join('\n')}\n`);
    return EXIT.ok;
  }
  const { next } = diagnose(detail, host.clock.wall());
  const hint = next.length === 0 ? `exo tunnel status ${quote(tunnel.name)}` : next[0]!;
  if (tunnel.state === 'failed') {
    await client.close(tunnel.name);
    throw new HintedError('tunnel-failed', `${tunnel.name}: ${tunnel.reason}`, hint);
  }
  if (tunnel.state === 'stopped') throw new ExoError('tunnel-failed', `${tunnel.name} was closed meanwhile`);
  throw new HintedError(
    'tunnel-failed',
    `${tunnel.name} is not up after ${waitMs / 1000} s (${tunnel.state}): ${tunnel.reason}`,
    `${hint}; the node goes on trying: exo tunnel status ${quote(tunnel.name)}, and exo tunnel close ${quote(tunnel.name)} gives it up`,
  );
}

function upLines(tunnel: TunnelJson): string[] {
  const state = tunnel.state === 'up' ? 'is up' : `is being opened (${tunnel.state})`;
  return [
    `${printable(tunnel.name, 128)} ${state}`,
    ...tunnel.forwards.map(({ kind, listen, target, rtt_ms: rttMs }) => {
      const way = kind === 'L' ? `here ${listen} → there ${target}` : `there ${listen} → here ${target}`;
      return `  ${printable(way, 400)}${rttMs === null ? '' : `  ${roundTrip(rttMs)}`}`;
    }),
    ...tunnel.notes.map((note) => `  note: ${printable(note, 400)}`),
  ];
}

function seconds(value: unknown): number {
  const text = String(value);
  const number = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (number <= LIMITS.tunnelWaitSecondsMax) return number * 1000;
  throw new ExoError(
    'option-invalid',
    `--wait: "${printable(text, 40)}" is not a number of seconds from 0 to ${LIMITS.tunnelWaitSecondsMax}`,
  );
}
