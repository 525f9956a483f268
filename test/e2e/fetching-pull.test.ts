/** `exo model pull` where a node runs in the same EXO_HOME: the node fetches, from its peers first, and the download is the command's. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { canComputeGgml } from '../../src/inference/index.js';
import { eventually } from '../support/eventually.js';
import { folderOf, owner, sentTwice, startFetching } from '../support/fetching-nodes.js';
import { shardedModel } from '../support/model-files.js';
import { type Child, Cleanup, type RunningNode, startExo } from '../support/processes.js';
import '../support/leaks.js';

/** A piece of the hub on each of its connections. */
const ON_ITS_WAY_BYTES = 64 * 1024;

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';
const REPOSITORY = 'mesh/watched';

function pull(cleanup: Cleanup, node: RunningNode, env: NodeJS.ProcessEnv, ...more: string[]): Child {
  const child = startExo(cleanup, ['model', 'pull', REPOSITORY, ...more], {
    env: { ...env, EXO_HOME: node.home },
  });
  cleanup.add(() => child.kill('SIGKILL'));
  return child;
}

test('pull asks the node of its EXO_HOME, which takes from peers what they have; Ctrl-C ends it there; without a node as ever', {
  skip,
}, async () => {
  const cleanup = new Cleanup();
  try {
    const { hub, nodes, env } = await startFetching(cleanup, ['a', 'b']);
    const [a, b] = [nodes.get('a')!, nodes.get('b')!];
    const files = shardedModel(8, 4, 300_000);
    hub.put(REPOSITORY, files);
    const begun = pull(cleanup, a, env);
    hub.onPiece = () => new Promise((resolve) => setTimeout(resolve, 40));
    const progress = async () => (await fetch(`${a.api}/v1/download/progress`)).text();
    const running = async () => Object.keys(JSON.parse(await progress()) as object).length;
    await eventually({ timeoutMs: 30_000, what: 'a fetches' }, async () => (await running()) > 0);
    await begun.sees(/mesh\/watched: \d+ % of/, 20_000);
    // Nothing more comes, and what has come is written: a node that was busy for a moment would have more on its way.
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    hub.onPiece = () => held;
    let last = '';
    await eventually({ timeoutMs: 20_000, everyMs: 400, what: 'a has written what came' }, async () => {
      const now = await progress();
      const rests = now === last;
      last = now;
      return rests;
    });
    begun.kill('SIGINT');
    assert.equal(await begun.closed, 130, begun.output);
    assert.match(begun.stderr, /called off; what was fetched is kept/);
    await eventually(
      { timeoutMs: 10_000, what: 'the download of a has ended, too' },
      () => hub.unfinished.size === 0,
    );
    hub.onPiece = () => undefined;
    goOn();
    const layers = pull(cleanup, a, env, '--layers', '0-3', '--json');
    assert.equal(await layers.closed, 0, layers.output);
    const shown = JSON.parse(layers.stdout) as { node: string; directory: string; commit: string };
    assert.deepEqual(
      [shown.node, shown.directory, shown.commit],
      ['a', folderOf(a, REPOSITORY), hub.commitOf(REPOSITORY)],
    );
    const whole = pull(cleanup, a, env);
    assert.equal(await whole.closed, 0, whole.output);
    assert.match(whole.stdout, /fetched now by node a/);
    // What was on its way when it was called off was never here.
    for (const [file, bytes] of Object.entries(sentTwice(hub, files))) {
      assert.ok(bytes <= ON_ITS_WAY_BYTES, `${bytes} bytes of ${file} came twice`);
    }
    // The other one needs no hub for it, also not by a command.
    await hub.stop();
    const other = pull(cleanup, b, env);
    assert.equal(await other.closed, 0, other.output);
    for (const [name, bytes] of Object.entries(files)) {
      assert.ok(readFileSync(path.join(folderOf(b, REPOSITORY), name)).equals(Buffer.from(bytes)), name);
    }
    // Who may not fetch here: nobody without the token.
    const stranger = await fetch(`${a.api}/v1/download`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: REPOSITORY }),
    });
    assert.equal(stranger.status, 401);
    const elsewhere = await owner(b, 'POST', '/v1/download', { model: REPOSITORY, directory: '/elsewhere' });
    assert.equal(elsewhere.status, 409, await elsewhere.text());
  } finally {
    await cleanup.dispose();
  }
});
