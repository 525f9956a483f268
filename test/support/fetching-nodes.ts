/** Real nodes that fetch a model: each with an EXO_HOME of its own, all with one hub on loopback that counts each byte. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DEMO_DIRECTORY } from '../../src/models/index.js';
import { REPOSITORY, startHub } from './fetching.js';
import { fullMesh } from './mesh.js';
import type { MockHub } from './mock-hub.js';
import type { Cleanup, RunningNode } from './processes.js';

/** The demo model, which the hub has under the name `REPOSITORY`. */
export const DEMO_FILES = Object.fromEntries(
  readdirSync(DEMO_DIRECTORY).map((name) => [name, readFileSync(path.join(DEMO_DIRECTORY, name))]),
);

const KEY = 'a mesh key of more than sixteen characters';

/** A hub and nodes that trust each other by a mesh key; without one, strangers. */
export async function startFetching(
  cleanup: Cleanup,
  ids: readonly string[],
  args: readonly string[] = [],
  key = KEY,
): Promise<{
  readonly hub: MockHub;
  readonly nodes: Map<string, RunningNode>;
  readonly env: NodeJS.ProcessEnv;
}> {
  const hub = await startHub(cleanup);
  hub.put(REPOSITORY, DEMO_FILES);
  // HF_HOME too: what somebody has fetched on this machine is no part of a test.
  const env = { EXO_AUTH_TOKEN: key, HF_ENDPOINT: hub.endpoint, HF_HOME: cleanup.folder(), HF_TOKEN: '' };
  const members = ids.map((id) => ({
    ...{ id, kind: 'new' as const, env },
    args: ['--inference-engine', 'ggml', ...args],
  }));
  return { hub, nodes: await fullMesh(cleanup, members), env };
}

/** A request with the token of the owner. */
export function owner(node: RunningNode, method: string, where: string, body?: object): Promise<Response> {
  const run = path.join(node.home, 'run');
  const file = readdirSync(run).find((name) => name.endsWith('.json'))!;
  const { api } = JSON.parse(readFileSync(path.join(run, file), 'utf8')) as { api: { token: string } };
  return fetch(`${node.api}${where}`, {
    method,
    headers: { authorization: `Bearer ${api.token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** Where a node keeps a model. */
export const folderOf = (node: RunningNode, repository = REPOSITORY) =>
  path.join(node.home, 'models', repository.replace('/', '--'));

/** Bytes of files that the hub sent more often than once. */
export function sentTwice(
  hub: MockHub,
  files: Readonly<Record<string, Buffer | string>>,
): Readonly<Record<string, number>> {
  const more = Object.entries(files).map(
    ([name, bytes]) => [name, hub.bytesSent(name) - Buffer.from(bytes).length] as const,
  );
  return Object.fromEntries(more.filter(([, bytes]) => bytes > 0));
}
