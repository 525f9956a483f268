/** `exo status`: the node, its ring and its peers on one screen. Pure. */
import { formatAddress, printable } from '../../shared/index.js';
import type { StatusJson } from '../api-shapes.js';
import type { Colours } from '../host.js';
import { columns } from './columns.js';
import { peerLines, reasonLines, warningLines } from './peers.js';
import { answerText, outsiderLines } from './plan.js';
import { tunnelSummary } from './tunnels.js';
import { bytes, count, duration, memory, share, teraflops } from './units.js';

/** Where the API was reached. */
export interface StatusSource {
  readonly api: string;
  /** Process of the node, where it runs here. */
  readonly pid?: number;
}

/** The lines of `exo status`. */
export function formatStatus(status: StatusJson, source: StatusSource, c: Colours): string[] {
  const { self, peers } = status;
  const caps = self.capabilities;
  const alive = peers.filter(({ state }) => state === 'alive').length;
  const facts = [
    ['node', formatAddress({ host: self.node_host, port: self.node_port })],
    ['api', `http://${source.api}${source.pid === undefined ? '' : ` (pid ${source.pid})`}`],
    ...self.discovery.map(({ module, state }) => [`discovery ${module}`, state]),
    ['machine', machineText(caps)],
    ...engineFacts(status),
    ...(status.tunnels.length === 0 ? [] : [['tunnels', tunnelsText(status)]]),
    ['ring', ringText(status)],
    ...lastAnswer(status),
    ...shedFacts(status),
    ...downloadFacts(status),
    ...modelFacts(status),
  ];
  const refused = status.refusals.length;
  return [
    `${c.bold(printable(self.id, 128))}  up ${duration(status.uptime_ms)}, exo ${printable(status.version, 32)}, ${alive} of ${count(peers.length, 'peer')} alive`,
    ...columns(facts),
    '',
    ...(peers.length === 0
      ? ['no peers yet; on another machine start: exo, or name it by --discovery-module manual or direct']
      : [...peerLines(peers, c, c.dim), ...reasonLines(peers)]),
    ...outsiderLines(status.topology.outsiders),
    ...tunnelSummary(status.tunnels, c),
    ...(refused === 0 ? [] : ['', `${refused} refused: exo peers --all says why`]),
    ...warningLines(status.warnings, c),
  ];
}

/** Of a machine whose speed nobody knows nothing is said of it. */
function machineText({ model, chip, memory: megabytes, flops }: StatusJson['self']['capabilities']): string {
  const speed = flops.fp16 > 0 ? `, ${teraflops(flops.fp16)}` : '';
  return `${model}, ${chip}, memory ${memory(megabytes)}${speed}`;
}

/** What can be asked for, and below it what cannot, with the reason. */
function modelFacts({ models }: StatusJson): string[][] {
  const isUsable = ({ unusable }: StatusJson['models'][number]) => unusable == null;
  const names = models.filter(isUsable).map(({ id, ready }) => {
    return ready ? printable(id, 200) : `${printable(id, 200)} (not here yet)`;
  });
  return [
    ['models', names.join(', ')],
    ...models
      .filter((model) => !isUsable(model))
      .map(({ id, unusable }) => ['unusable', `${printable(id, 200)}: ${printable(unusable ?? '', 400)}`]),
  ];
}

/** What computes here, and what keeps it from that. */
function engineFacts({ engine }: StatusJson): string[][] {
  if (engine === null || engine === undefined) return [];
  return [['engine', engine.state === null ? engine.name : `${engine.name}: ${engine.state}`]];
}

/** What was predicted of it stands beside what came of it. */
function lastAnswer({ plans = [] }: StatusJson): string[][] {
  const last = plans.at(-1);
  return last === undefined ? [] : [['last answer', answerText(last)]];
}

function tunnelsText({ tunnels }: StatusJson): string {
  const up = tunnels.filter(({ state }) => state === 'up').length;
  return `${up} of ${tunnels.length} up (${tunnels.map(({ name }) => name).join(', ')})`;
}

/** A node that protects itself must not look broken: what it turned away, and how often. */
function shedFacts({ sheds = [] }: StatusJson): string[][] {
  const turnedAway = sheds.filter(({ count }) => count > 0);
  if (turnedAway.length === 0) return [];
  return [['turned away', turnedAway.map(({ reason, count }) => `${count} ${reason}`).join(', ')]];
}

/** What nodes fetch, so that who waits for an answer sees for what. */
function downloadFacts({ downloads = [] }: StatusJson): string[][] {
  return downloads.map((each) => {
    const layers = each.layers === null ? '' : ` layers ${each.layers[0]}-${each.layers[1]}`;
    const left = each.eta_seconds === null ? '' : `, ${duration(each.eta_seconds * 1000)} left`;
    const how = `${each.percentage} % of ${bytes(each.total_bytes)}, ${bytes(each.bytes_per_second)}/s${left}`;
    return [
      'fetching',
      `${printable(each.repository, 100)}${layers} on ${printable(each.node_id, 60)}: ${how}`,
    ];
  });
}

function ringText({ topology }: StatusJson): string {
  const parts = topology.partitions.map(({ node_id: id, start, end }) => `${id} ${share(start, end)}`);
  return parts.length === 0 ? '-' : parts.join(' → ');
}
