/** Nodes on hosts of the lab: `exo` as a person types it, and its API asked from the same host. */
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Host, Lab } from '../lab/lab.js';
import { eventually, Hopeless } from './eventually.js';
import { type ChatAnswer, edges, nodeIds, type Topology } from './http.js';
import { type Child, EXO_MAIN } from './processes.js';

/** A node on a host. */
export interface HostNode {
  readonly host: Host;
  readonly child: Child;
  /** Port of its HTTP API on its loopback. */
  readonly apiPort: number;
}

/** A folder with the command `exo` in it, for the PATH, and the files that a person would have beside it. */
export function exoOnThePath(lab: Lab, files: Record<string, string> = {}): string {
  const folder = lab.cleanup.folder();
  const exo = path.join(folder, 'exo');
  // A node that is not told another engine has the dummy: these tests are about networks.
  const engine = `case "$1" in ''|--*) set -- "$@" --inference-engine dummy ;; esac`;
  writeFileSync(exo, `#!/bin/sh\n${engine}\nexec '${process.execPath}' '${EXO_MAIN}' "$@"\n`);
  chmodSync(exo, 0o755);
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  return folder;
}

/**
 * Types a command line on a host, in `folder` (see `exoOnThePath`), with its own EXO_HOME.
 * @param line as in the seeds, `exo …`; a shell reads it
 */
export function typeExo(lab: Lab, host: Host, folder: string, line: string, apiPort = 52415): HostNode {
  const child = host.start('/bin/sh', ['-c', `exec ${line}`], {
    name: `${host.netns} $ ${line}`,
    cwd: folder,
    env: {
      PATH: `${folder}:${process.env['PATH'] ?? ''}`,
      EXO_HOME: lab.cleanup.folder(),
      EXO_API: '',
      DEBUG: '1',
      NO_COLOR: '1',
    },
  });
  return { host, child, apiPort };
}

/** `GET /topology` of a node. */
export const topologyOf = (node: HostNode): Promise<Topology> =>
  node.host.fetchJson<Topology>(`http://127.0.0.1:${node.apiPort}/topology`, { timeoutMs: 2_000 });

/** Milliseconds since the Unix epoch at which a node said that it runs; undefined before. */
export function startedAtMs(node: HostNode): number | undefined {
  const line = node.child.stderr.split('\n').find((text) => text.includes('"msg":"node-started"'));
  return line === undefined ? undefined : (JSON.parse(line) as { time: number }).time;
}

/** One process per host asks for the topology every 50 ms and prints it when it changes: polling must not load the machine. */
const WATCH = `
let last = '';
for (;;) {
  let text = 'null';
  try {
    text = await (await fetch(process.argv[1], { signal: AbortSignal.timeout(2000) })).text();
  } catch {}
  if (text !== last) console.log(JSON.stringify({ atMs: Date.now(), view: JSON.parse(text) }));
  last = text;
  await new Promise((resolve) => setTimeout(resolve, 50));
}`;
const watchers = new WeakMap<HostNode, Child>();

interface Seen {
  readonly atMs: number;
  readonly view: Topology | null;
}

/** The last change of what a node shows; undefined before the watcher runs. */
function lastSeen(node: HostNode): Seen | undefined {
  let watcher = watchers.get(node);
  if (watcher === undefined) {
    const url = `http://127.0.0.1:${node.apiPort}/topology`;
    watcher = node.host.start(process.execPath, ['--input-type=module', '-e', WATCH, '--', url], {
      name: 'watch',
    });
    watchers.set(node, watcher);
  }
  const lines = watcher.stdout.split('\n').slice(0, -1);
  const line = lines.at(-1);
  return line === undefined ? undefined : (JSON.parse(line) as Seen);
}

/** One chat request to the dummy model. */
export const chatOf = (node: HostNode): Promise<ChatAnswer> =>
  node.host.fetchJson<ChatAnswer>(`http://127.0.0.1:${node.apiPort}/v1/chat/completions`, {
    body: JSON.stringify({ model: 'dummy', messages: [{ role: 'user', content: 'hi' }] }),
    timeoutMs: 30_000,
  });

/** What all nodes must show. */
export interface Expected {
  /** Number of nodes in the view; with `ids` also which. */
  readonly ids?: readonly string[];
  readonly nodes: number;
  /** Number of edges. */
  readonly edges: number;
}

/**
 * Waits until every node shows what is expected.
 * @returns `tookMs` from the call on, and `atMs`, the wall clock when the last of them first showed it
 */
export async function untilAllShow(
  nodes: readonly HostNode[],
  expected: Expected,
  timeoutMs: number,
): Promise<{ readonly tookMs: number; readonly atMs: number }> {
  const seen = new Map<HostNode, string>();
  const onLate = () =>
    nodes.map((node) => `saw: ${seen.get(node) ?? 'no answer'}\n${node.child.output}`).join('\n');
  const { value, tookMs } = await eventually(
    { timeoutMs, what: `${nodes.length} nodes show ${JSON.stringify(expected)}`, onLate },
    () => {
      const times = nodes.map((node) => {
        if (node.child.exit !== undefined) throw new Hopeless(`a node ended (${node.child.exit})`);
        const last = lastSeen(node);
        if (last === undefined || last.view === null) return undefined;
        const ids = nodeIds(last.view);
        const shown = edges(last.view);
        seen.set(node, `${ids.join()} | ${shown.join()}`);
        const fits =
          ids.length === expected.nodes &&
          shown.length === expected.edges &&
          (expected.ids === undefined || ids.join() === [...expected.ids].sort().join());
        return fits ? last.atMs : undefined;
      });
      return times.includes(undefined) ? undefined : Math.max(...(times as number[]));
    },
  );
  return { tookMs, atMs: value };
}
