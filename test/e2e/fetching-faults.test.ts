/** Two nodes that fetch one model while one of them is killed again and again and the hub errs: right bytes, each fetched once. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { canComputeGgml } from '../../src/inference/index.js';
import { eventually } from '../support/eventually.js';
import { folderOf, owner, startFetching } from '../support/fetching-nodes.js';
import { shardedModel } from '../support/model-files.js';
import { Cleanup, type RunningNode, runExo } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';
import '../support/leaks.js';

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';
const MODEL = 'mesh/watched';

/** The same node with the same EXO_HOME, after it was killed. */
function again(
  cleanup: Cleanup,
  id: string,
  node: RunningNode,
  env: NodeJS.ProcessEnv,
): Promise<RunningNode> {
  const args = node.child.process.spawnargs;
  const own = args.slice(args.indexOf('--disable-tui') + 1);
  const { nodePort, apiPort, home } = node;
  return runExo(cleanup, {
    id,
    nodePort,
    apiPort,
    args: own,
    child: { env: { ...env, EXO_HOME: home } },
  }).then((running) => ({ ...running, home }));
}

test('R6 two nodes fetch one model, one is killed again and again, the hub errs: right bytes, the percentage never back', {
  skip,
}, async (t) => {
  const cleanup = new Cleanup();
  const kills = repeats(3, 10);
  try {
    const { hub, nodes, env } = await startFetching(cleanup, ['a', 'b']);
    let a = nodes.get('a')!;
    const b = nodes.get('b')!;
    const files = shardedModel(8, 2, 500_000);
    hub.put(MODEL, files);
    const total = Object.values(files).reduce((sum, bytes) => sum + bytes.length, 0);
    const sent = () => hub.sent.reduce((sum, { from, to }) => sum + to - from, 0);
    hub.failApi({ kind: 'status', status: 503 });
    for (const name of Object.keys(files).filter((each) => each.endsWith('.safetensors'))) {
      hub.fail(
        name,
        { kind: 'status', status: 500 },
        { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
        { kind: 'cut', afterBytes: 100_000 },
      );
    }
    // So much the hub gives before each kill, whoever asks; the rest waits.
    let allowed = 0;
    hub.onPiece = async () => {
      while (sent() >= allowed) await new Promise((resolve) => setTimeout(resolve, 20));
    };
    // Whoever asks leaves at once or is killed; a download that somebody holds would end with him.
    const begin = (node: RunningNode) =>
      owner(node, 'POST', '/v1/download', { model: MODEL }).catch(() => undefined);
    let share = 0;
    const watch = async (): Promise<boolean> => {
      const reports = (await (await fetch(`${a.api}/v1/download/progress`)).json()) as Record<
        string,
        { repo_id: string; downloaded_bytes: number; total_bytes: number }
      >;
      const own = reports['a'];
      if (own === undefined) return false;
      const now = own.downloaded_bytes / own.total_bytes;
      assert.ok(now <= 1 && now >= share, `${share} of it was shown, then ${now}`);
      share = now;
      return true;
    };
    const held: Array<Promise<Response | undefined>> = [begin(b)];
    for (let kill = 0; kill < kills; kill += 1) {
      held.push(begin(a));
      allowed = ((kill + 1) * total) / (kills + 1);
      await eventually({ timeoutMs: 60_000, what: `something comes before kill ${kill}` }, async () => {
        await watch();
        return sent() >= allowed;
      });
      a.child.kill('SIGKILL');
      await a.child.closed;
      a = await again(cleanup, 'a', a, env);
    }
    allowed = Number.POSITIVE_INFINITY;
    for (const node of [a, b]) {
      const done = await (await owner(node, 'POST', '/v1/download', { model: MODEL })).text();
      assert.match(done, /"done"/, done.slice(-500));
    }
    for (const node of [a, b]) {
      for (const [name, bytes] of Object.entries(files)) {
        assert.ok(readFileSync(path.join(folderOf(node, MODEL), name)).equals(Buffer.from(bytes)), name);
      }
    }
    // What was on its way to a node when it was killed has to come again, and nothing else.
    const lost = sent() - total;
    assert.ok(lost <= kills * 4 * 1024 * 1024, `${lost} bytes came twice`);
    promise(
      t,
      'R6',
      `two nodes, ${kills} × kill -9 of one, 500, 429, 503 and cuts: right bytes; percentage never back; ${(lost / 1e6).toFixed(1)} MB of ${(total / 1e6).toFixed(1)} on their way at the kills came again`,
    );
    await Promise.allSettled(held);
  } finally {
    await cleanup.dispose();
  }
});
