/** What may not have happened, whatever the nemesis did: judged from the reports of the agents and the logs of the nodes. */
import type { RequestReport } from './agent.js';
import type { Machine } from './field.js';
import { RESPONSE_TIMEOUT_S } from './field.js';

/** Beyond the API's own deadline: the way there and back on a machine that does much else. */
const SLACK_MS = 5_000;
/** A request that begins this close to a kill may not have reached the node before. */
const EDGE_MS = 500;

/** How many requests ended how. */
export interface Tally {
  readonly requests: number;
  readonly answered: number;
  /** Typed error → how often. */
  readonly errors: ReadonlyMap<string, number>;
  readonly broken: number;
  /** Longest time to an end, less the time that the node was stopped. */
  readonly longestMs: number;
}

/** Counts everything, and finds what must not be. */
export function judgeRequests(machines: readonly Machine[]): {
  readonly tally: Tally;
  readonly faults: string[];
} {
  const faults: string[] = [];
  const errors = new Map<string, number>();
  let requests = 0;
  let answered = 0;
  let broken = 0;
  let longestMs = 0;
  for (const machine of machines) {
    for (const request of machine.requests) {
      requests += 1;
      const tookMs = request.endedAtMs - request.startedAtMs - stoppedMs(machine, request);
      const fault = faultOf(machine, request, tookMs);
      if (fault !== undefined) faults.push(`${machine.id} ${describe(request)}: ${fault}`);
      longestMs = Math.max(longestMs, tookMs);
      if (request.outcome === 'answered') answered += 1;
      if (request.outcome === 'broken') broken += 1;
      if (request.outcome === 'error') errors.set(request.detail, (errors.get(request.detail) ?? 0) + 1);
    }
  }
  return { tally: { requests, answered, errors, broken, longestMs }, faults };
}

function faultOf(machine: Machine, request: RequestReport, tookMs: number): string | undefined {
  const { outcome, detail } = request;
  if (outcome === 'wrong' || outcome === 'endless') return `${outcome} ${detail}`;
  if (outcome === 'broken' && !wasKilled(machine, request)) return `broken without a kill: ${detail}`;
  const deadlineMs = RESPONSE_TIMEOUT_S * 1_000 + SLACK_MS;
  return tookMs > deadlineMs ? `took ${tookMs} ms to end (${outcome} ${detail})` : undefined;
}

/** Milliseconds of a request in which the process of its node was stopped. */
function stoppedMs(machine: Machine, { startedAtMs, endedAtMs }: RequestReport): number {
  return machine.away
    .filter(({ killed }) => !killed)
    .map(({ fromMs, toMs }) => Math.min(toMs, endedAtMs) - Math.max(fromMs, startedAtMs))
    .reduce((sum, ms) => sum + Math.max(0, ms), 0);
}

function wasKilled(machine: Machine, { startedAtMs, endedAtMs }: RequestReport): boolean {
  return machine.away.some(
    ({ killed, fromMs, toMs }) => killed && startedAtMs <= toMs + EDGE_MS && endedAtMs >= fromMs - EDGE_MS,
  );
}

const describe = ({ kind, startedAtMs, endedAtMs }: RequestReport) =>
  `${kind} of ${new Date(startedAtMs).toISOString()}, ${endedAtMs - startedAtMs} ms`;

/** What a log may never hold. */
const FORBIDDEN = /unhandled|uncaught|ERR_ASSERTION|out of memory|MaxListenersExceeded|internal error/i;

/** Lines of all logs that may not be there, and nodes that ended by themselves. */
export function judgeLogs(machines: readonly Machine[]): string[] {
  const faults: string[] = [];
  for (const machine of machines) {
    for (const life of machine.lives) {
      const lines = `${life.stderr}\n${life.stdout}`.split('\n').filter((line) => FORBIDDEN.test(line));
      for (const line of lines) faults.push(`${machine.id}: ${line.slice(0, 400)}`);
      if (life.exit !== undefined && life.exit !== 'SIGKILL')
        faults.push(`${machine.id} ended by itself (${life.exit}): ${life.stderr.slice(-1_000)}`);
    }
  }
  return faults;
}

/** How much each node has logged so far: where to look for what a round made it say. */
export const logPositions = (machines: readonly Machine[]): Array<readonly [number, number]> =>
  machines.map(({ lives, node }) => [lives.length, node.stderr.length] as const);

/** Peers that were called dead since then, one line each. Log of the same life only: a kill is no gentle fault. */
export function deathsSince(
  machines: readonly Machine[],
  since: ReadonlyArray<readonly [number, number]>,
): string[] {
  return machines.flatMap((machine, at) => {
    const [lives, position] = since[at]!;
    const from = machine.lives.length === lives ? position : 0;
    return machine.node.stderr
      .slice(from)
      .split('\n')
      .filter((line) => /"msg":"peer-(dead|down)"/.test(line))
      .map((line) => `${machine.id} says ${line}`);
  });
}
