/** GET /metrics: the node in numbers, for Prometheus. What is counted elsewhere comes through `ApiGauges`. */
import type { Mesh, PeerState, PeerSummary } from '../node/index.js';
import type { LoopDelay } from './loop-delay.js';
import { type Metric, metricsText, type Sample } from './metrics-text.js';
import type { ApiContext, Route } from './route.js';

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const PEER_STATES: readonly PeerState[] = ['connecting', 'alive', 'suspect', 'dead', 'left'];

/** `/metrics`. */
export function metricsRoutes(api: ApiContext): Route[] {
  return [
    {
      method: 'GET',
      paths: ['/metrics'],
      access: 'local',
      handle: (request) =>
        request.body(metricsText(metrics(api)), 200, {
          'content-type': CONTENT_TYPE,
          'cache-control': 'no-store',
        }),
    },
  ];
}

function metrics(api: ApiContext): Metric[] {
  const { mesh, gauges, loopDelay, clock } = api;
  const self = mesh.self();
  const peers = mesh.peers();
  const tunnels = mesh.tunnels.list();
  return [
    gauge('exo_info', 'Always 1; who this is.', [
      { value: 1, labels: { id: self.id, version: self.version, instance: self.instance } },
    ]),
    gauge('exo_uptime_seconds', 'Since the start.', [
      { value: Math.max(0, clock.wall() - self.startedAtMs) / 1000 },
    ]),
    gauge(
      'exo_peers',
      'Peers by state.',
      byName(PEER_STATES, peers, ({ state }) => state, 'state'),
    ),
    ...peerMetrics(peers),
    ...optional('exo_connections', 'Open connections between nodes.', gauges.connections?.()),
    gauge('exo_http_connections', 'Open connections to the HTTP API.', [{ value: api.httpConnections() }]),
    counter(
      'exo_shed_total',
      'What was turned away, by reason.',
      api.sheds.list().map(({ reason, count }) => ({ value: count, labels: { reason } })),
    ),
    ...tunnelMetrics(tunnels),
    ...optional('exo_generations', 'Generations that run or wait here.', gauges.generations?.()),
    ...planMetrics(api),
    gauge('exo_warnings', 'What only a person can mend.', [{ value: mesh.warnings().length }]),
    ...memoryMetrics(),
    ...loopMetrics(loopDelay),
  ];
}

/** Nothing before there is an answer that was predicted and measured. */
function planMetrics({ chat }: ApiContext): Metric[] {
  const errors = chat.plans?.lastErrors;
  if (errors === undefined) return [];
  return [
    gauge('exo_plan_error_ratio', 'Of the last answer: predicted by measured, less 1.', [
      { value: errors.tokensPerSRatio, labels: { figure: 'tokens_per_second' } },
      { value: errors.firstTokenRatio, labels: { figure: 'first_token' } },
    ]),
  ];
}

function peerMetrics(peers: readonly PeerSummary[]): Metric[] {
  const of = (value: (peer: PeerSummary) => number | null): Sample[] =>
    peers.flatMap((peer) => {
      const each = value(peer);
      return each === null ? [] : [{ value: each, labels: { peer: peer.id } }];
    });
  return [
    counter(
      'exo_peer_received_bytes_total',
      'From a peer.',
      of(({ bytesIn }) => bytesIn),
    ),
    counter(
      'exo_peer_sent_bytes_total',
      'To a peer.',
      of(({ bytesOut }) => bytesOut),
    ),
    gauge(
      'exo_peer_rtt_seconds',
      'Round trip, smoothed.',
      of(({ rttMs }) => (rttMs === null ? null : rttMs / 1000)),
    ),
  ];
}

function tunnelMetrics(tunnels: ReturnType<Mesh['tunnels']['list']>): Metric[] {
  const states = ['starting', 'gate', 'up', 'degraded', 'backoff', 'failed', 'stopped'];
  return [
    gauge(
      'exo_tunnels',
      'ssh tunnels by state.',
      byName(states, tunnels, ({ state }) => state, 'state'),
    ),
    counter(
      'exo_tunnel_restarts_total',
      'Starts of ssh after the first.',
      tunnels.map(({ name, restarts }) => ({ value: restarts, labels: { tunnel: name } })),
    ),
  ];
}

function memoryMetrics(): Metric[] {
  const { rss, heapUsed, external } = process.memoryUsage();
  return [
    gauge('exo_memory_bytes', 'Of the process: all of it, the heap in use, buffers beside it.', [
      { value: rss, labels: { kind: 'resident' } },
      { value: heapUsed, labels: { kind: 'heap' } },
      { value: external, labels: { kind: 'external' } },
    ]),
  ];
}

function loopMetrics(delay: LoopDelay): Metric[] {
  return [
    gauge(
      'exo_event_loop_delay_seconds',
      'How late the event loop came to its work, in the last minute.',
      [0.5, 0.99, 1].map((quantile) => ({
        value: delay.quantileMs(quantile) / 1000,
        labels: { quantile: String(quantile) },
      })),
    ),
  ];
}

/** One sample for each name, also where nothing has it. */
function byName<T>(
  names: readonly string[],
  things: readonly T[],
  nameOf: (thing: T) => string,
  label: string,
): Sample[] {
  return names.map((name) => ({
    value: things.filter((thing) => nameOf(thing) === name).length,
    labels: { [label]: name },
  }));
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, help, type: 'gauge', samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, help, type: 'counter', samples };
}

function optional(name: string, help: string, value: number | undefined): Metric[] {
  return value === undefined ? [] : [gauge(name, help, [{ value }])];
}
