/**
 * Proves forwards: dials the local end of each `-L`, or the far end of each `-R` over the session itself, and asks for a
 * health check through it. The only place of the room that opens streams through tunnels. Called by the runner.
 */
import type { Duplex } from 'node:stream';
import { type Clock, type ExoError, LIMITS, toExoError, withDeadline } from '../shared/index.js';
import type { TunnelProbe } from './components.js';
import { isEvery } from './description/listening.js';
import type { Endpoint, TunnelSpec } from './description/tunnel-spec.js';
import type { SessionFacts, TunnelSession } from './driver.js';
import type { LocalSockets } from './local-sockets.js';
import { forwardsOf } from './supervisor/judgement.js';
import { showsStalls } from './supervisor/nagle.js';
import type { ProbeResult } from './supervisor/supervisor-events.js';

/** The session that is probed. */
export interface Probed {
  readonly spec: TunnelSpec;
  readonly session: TunnelSession;
  readonly facts: SessionFacts;
}

/** What is needed for it. */
export interface ProbeTools {
  readonly probe: TunnelProbe;
  readonly clock: Clock;
  readonly sockets: LocalSockets;
}

/** Every forward once. Resolves within `timeoutMs` per forward and batch of `LIMITS.tunnelProbesInFlight`; rejects only when aborted. */
export async function probeForwards(
  probed: Probed,
  tools: ProbeTools,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult[]> {
  const forwards = forwardsOf(probed.spec);
  const results: ProbeResult[] = [];
  let next = 0;
  const work = async () => {
    for (let index = next++; index < forwards.length; index = next++) {
      results[index] = await probeOne(probed, index, tools, timeoutMs, signal);
      signal.throwIfAborted();
    }
  };
  await Promise.all(Array.from({ length: Math.min(forwards.length, LIMITS.tunnelProbesInFlight) }, work));
  return results;
}

/** A burst of messages through one forward. Whether they show stalls; undefined: could not be told. Rejects only when aborted. */
export async function measureStalls(
  probed: Probed,
  index: number,
  tools: ProbeTools,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const rttsMs: number[] = [];
  try {
    const deadline = { clock: tools.clock, timeoutMs: LIMITS.tunnelBurstMs, owner: signal };
    await withDeadline(deadline, async (limited) => {
      const stream = await dial(probed, index, tools.sockets, limited);
      // Every probe adds its listeners and may leave one behind.
      stream.setMaxListeners(0);
      try {
        for (let count = 0; count < LIMITS.tunnelBurstProbes; count += 1) {
          rttsMs.push((await tools.probe(stream, limited, { padBytes: LIMITS.tunnelBurstBytes })).rttMs);
        }
      } finally {
        stream.destroy();
      }
    });
  } catch {
    // What has been measured until then may be enough.
    signal.throwIfAborted();
  }
  return showsStalls(rttsMs);
}

async function probeOne(
  probed: Probed,
  index: number,
  tools: ProbeTools,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  try {
    return await withDeadline({ clock: tools.clock, timeoutMs, owner: signal }, async (limited) => {
      const stream = await dial(probed, index, tools.sockets, limited);
      try {
        return { verdict: 'ok', rttMs: (await tools.probe(stream, limited)).rttMs, detail: '' };
      } finally {
        stream.destroy();
      }
    });
  } catch (error) {
    return failed(probed, index, toExoError(error), timeoutMs);
  }
}

/** By code: what a forward that did not answer as it should has said. */
function failed({ spec }: Probed, index: number, error: ExoError, timeoutMs: number): ProbeResult {
  const { kind, forward } = forwardsOf(spec)[index]!;
  const through = `-${kind} ${forward.text}`;
  switch (error.code) {
    case 'connection-closed':
      return { verdict: 'closed', rttMs: null, detail: error.message };
    case 'connect-failed':
      // The far machine found nobody at the listener of -R; a local listener that is gone means an ssh that is going.
      return { verdict: kind === 'R' ? 'closed' : 'silent', rttMs: null, detail: error.message };
    case 'request-unsupported':
      return { verdict: 'untested', rttMs: null, detail: error.message };
    case 'tunnel-failed':
      // The server does not let this account connect to the listener it gave us: nothing is known about it.
      return { verdict: kind === 'R' ? 'untested' : 'silent', rttMs: null, detail: error.message };
    case 'request-timeout':
    case 'request-cancelled': {
      const detail = `no answer through ${through} within ${(timeoutMs / 1000).toFixed(1)} s`;
      return { verdict: 'silent', rttMs: null, detail };
    }
    default:
      return { verdict: 'not-exo', rttMs: null, detail: error.message };
  }
}

async function dial(
  { spec, session, facts }: Probed,
  index: number,
  sockets: LocalSockets,
  signal: AbortSignal,
): Promise<Duplex> {
  const { kind, forward } = forwardsOf(spec)[index]!;
  const port = kind === 'L' ? facts.forwardPorts[index] : facts.reversePorts[index - spec.forward.length];
  const end = listeningEnd(forward.listen, port);
  return kind === 'R' ? session.connectFar(end, signal) : sockets.connect(end, signal);
}

/** The address that leads to a listener: with its real port, and a host where it listens on all of them. */
export function listeningEnd(listen: Endpoint, port: number | undefined): Endpoint {
  if (listen.kind === 'unix') return listen;
  const host = listen.host === '::' ? '::1' : isEvery(listen.host) ? '127.0.0.1' : listen.host;
  return { kind: 'tcp', host, port: port ?? listen.port };
}
