/**
 * A node of a closed mesh under attack, and what must hold whatever was tried: it knows nobody new, an honest node joins at once and
 * gets an answer, memory is level and the log is short. One row a test says what the intruder got.
 */
import assert from 'node:assert/strict';
import type { Logger } from '../../src/shared/index.js';
import { eventually } from '../support/eventually.js';
import { Cleanup } from '../support/processes.js';
import { type TrustingNode, trustingNode } from '../support/trusting-node.js';

/** The secret of the mesh. */
export const KEY = 'correct horse battery staple';
/** Lines at info and above that an attack may cause, of whatever length. */
const LOG_LINES_MAX = 60;
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;
const WITHIN_MS = 20_000;

/** Counts what an operator would see. */
export class LineCount implements Logger {
  readonly lines: string[] = [];
  debug(): void {}
  info(event: string, fields?: object): void {
    this.lines.push(`${event} ${JSON.stringify(fields ?? {})}`);
  }
  warn(event: string, fields?: object): void {
    this.info(event, fields);
  }
  error(event: string, fields?: object): void {
    this.lines.push(`error ${event} ${JSON.stringify(fields ?? {})}`);
  }
  child(): Logger {
    return this;
  }
}

/** The attacked node. */
export interface Fortress {
  readonly cleanup: Cleanup;
  readonly target: TrustingNode;
  readonly log: LineCount;
  /** Ids that it knows by key before anything happens. */
  readonly port: number;
}

interface Row {
  readonly name: string;
  diagnostic(message: string): void;
}

/** Runs an attack against a node with a mesh key (or without: `token: undefined`), checks that nothing came of it, and prints the row. */
export async function attack(
  t: Row,
  work: (fortress: Fortress) => Promise<string>,
  { token = KEY as string | null, growthBytesMax = GROWTH_BYTES_MAX } = {},
): Promise<void> {
  const cleanup = new Cleanup();
  try {
    const log = new LineCount();
    const target = await trustingNode(cleanup, {
      id: 'target',
      logger: log,
      ...(token === null ? {} : { token }),
    });
    const before = process.memoryUsage().rss;
    const got = await work({ cleanup, target, log, port: target.port });
    const grownBytes = process.memoryUsage().rss - before;
    const lines = log.lines.length;
    assert.ok(lines <= LOG_LINES_MAX, `${lines} lines: ${log.lines.slice(0, 12).join('\n')}`);
    assert.deepEqual(
      log.lines.filter((line) => line.startsWith('error')),
      [],
    );
    assert.ok(grownBytes <= growthBytesMax, `memory grew by ${grownBytes} bytes`);
    await assertHealthy(cleanup, target, token);
    t.diagnostic(
      `| ${t.name} | ${got} | ${lines} log lines, ${Math.max(0, Math.round(grownBytes / 2 ** 20))} MiB |`,
    );
  } finally {
    await cleanup.dispose();
  }
}

/** An honest node meets it at once and is answered by the ring of both. */
async function assertHealthy(cleanup: Cleanup, target: TrustingNode, token: string | null): Promise<void> {
  const honest = await trustingNode(cleanup, { id: 'honest', ...(token === null ? {} : { token }) });
  honest.dial('target', target.port);
  await eventually(
    {
      timeoutMs: WITHIN_MS,
      what: 'an honest node meets the attacked one',
      onLate: () => JSON.stringify([target.node.mesh.peers(), honest.node.mesh.peers()]),
    },
    () => stateOf(target, 'honest') === 'alive' && stateOf(honest, 'target') === 'alive',
  );
  const partitions = () => target.node.mesh.topology().partitions.map(({ nodeId }) => nodeId);
  await eventually(
    {
      timeoutMs: WITHIN_MS,
      what: 'both are the ring',
      onLate: () =>
        JSON.stringify([
          target.node.mesh.topology().partitions,
          target.node.mesh.peers(),
          [...target.node.mesh.topology().nodes],
        ]),
    },
    () => partitions().includes('honest'),
  );
  const generation = await honest.node.chat.start({
    model: 'dummy',
    messages: [{ role: 'user', content: 'hello' }],
    signal: AbortSignal.timeout(WITHIN_MS),
  });
  let text = '';
  for await (const token of generation.tokens) text += token.text;
  assert.equal(text, 'dummy'.repeat(10));
}

/** Nothing was learnt of anybody: no peer, no pin, no key, no entry of the topology, no warning that somebody else wrote. */
export function assertUntouched({ target }: Fortress): void {
  const { mesh } = target.node;
  assert.deepEqual(mesh.peers(), []);
  assert.deepEqual([...mesh.topology().nodes.keys()], ['target']);
  assert.deepEqual(target.opened.store.list(), []);
  assert.equal(target.opened.keys.all.length, 1);
  assert.equal(target.node.counters.ringRequests(), 0);
}

/** How a node sees a peer. */
export function stateOf({ node }: TrustingNode, id: string): string | undefined {
  return node.mesh.peers().find((peer) => peer.id === id)?.state;
}
