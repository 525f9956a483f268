/**
 * The demo model split over nodes, each a process with its own engine process: the same text whoever is asked and however it is
 * split, greedy and seeded, and also where a node or an engine is killed in mid-answer.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { canComputeGgml } from '../../src/inference/index.js';
import { fullMesh } from '../support/mesh.js';
import { argvOf, descendants } from '../support/process-tree.js';
import { Cleanup, type RunningNode } from '../support/processes.js';
import { promise } from '../support/promise.js';

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';
const QUESTION = 'How do nodes find each other?';
const GREEDY = { temperature: 0 };
const SEEDED = { temperature: 1, seed: 7, max_tokens: 48 };
/** Pieces of text before something is killed. */
const KILL_AFTER = 4;

/** The text of a streamed answer; `onPiece` is told how many pieces have come. */
async function ask(api: string, sampling: object, onPiece?: (count: number) => void): Promise<string> {
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'demo',
      messages: [{ role: 'user', content: QUESTION }],
      stream: true,
      ...sampling,
    }),
    signal: AbortSignal.timeout(60_000),
  });
  assert.equal(response.status, 200, response.ok ? '' : await response.text());
  let text = '';
  let rest = '';
  let pieces = 0;
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const events = (rest + chunk).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      // A comment: the stream lives, and nothing has come for ten seconds.
      if (event.startsWith(':')) continue;
      const data = event.replace(/^data: /, '');
      if (data === '[DONE]') return text;
      const { choices, error } = JSON.parse(data) as {
        choices?: ReadonlyArray<{ delta: { content?: string } }>;
        error?: { message: string };
      };
      assert.equal(error, undefined, error?.message);
      const piece = choices?.[0]?.delta.content ?? '';
      if (piece === '') continue;
      text += piece;
      pieces += 1;
      onPiece?.(pieces);
    }
  }
  throw new Error(`the stream ended without [DONE] after: ${text}`);
}

const meshOf = (cleanup: Cleanup, ids: readonly string[]) =>
  fullMesh(
    cleanup,
    ids.map((id) => ({ id, kind: 'new' as const, args: ['--inference-engine', 'ggml', '--split'] })),
  );

/** What one node alone answers. */
async function solo(): Promise<{ greedy: string; seeded: string }> {
  const cleanup = new Cleanup();
  try {
    const api = (await meshOf(cleanup, ['a'])).get('a')!.api;
    return { greedy: await ask(api, GREEDY), seeded: await ask(api, SEEDED) };
  } finally {
    await cleanup.dispose();
  }
}

test('I4 a model split over two and three nodes answers as one node does, greedy and seeded, whoever is asked', {
  skip,
}, async (t) => {
  const alone = await solo();
  assert.match(alone.greedy, /discovery/);
  for (const ids of [
    ['a', 'b'],
    ['a', 'b', 'c'],
  ]) {
    const cleanup = new Cleanup();
    try {
      for (const { api } of (await meshOf(cleanup, ids)).values()) {
        assert.equal(await ask(api, GREEDY), alone.greedy);
        assert.equal(await ask(api, SEEDED), alone.seeded);
      }
    } finally {
      await cleanup.dispose();
    }
  }
  promise(
    t,
    'I4',
    'the demo model on two and on three nodes, asked of each, greedy and seeded: the text of one node',
  );
});

/** The process that computes for a node. */
function engineOf({ child }: RunningNode): number {
  const pid = descendants(child.pid!).find((seen) =>
    argvOf(seen.pid).some((arg) => arg.includes('ggml')),
  )?.pid;
  assert.ok(pid !== undefined, 'a node has an engine process');
  return pid;
}

for (const [what, kill] of [
  ['a node', (node: RunningNode) => node.child.kill('SIGKILL')],
  ['an engine process', (node: RunningNode) => process.kill(engineOf(node), 'SIGKILL')],
] as const) {
  test(`${what} is killed in mid-answer: the same stream goes on to the same text`, { skip }, async (t) => {
    const cleanup = new Cleanup();
    try {
      const nodes = await meshOf(cleanup, ['a', 'b', 'c']);
      const entry = nodes.get('a')!;
      const calm = { greedy: await ask(entry.api, GREEDY), seeded: await ask(entry.api, SEEDED) };
      for (const [name, sampling, victim] of [
        ['greedy', GREEDY, 'b'],
        ['seeded', SEEDED, 'c'],
      ] as const) {
        let killedAtMs = 0;
        let wentOnAfterMs: number | undefined;
        const text = await ask(entry.api, sampling, (count) => {
          if (count === KILL_AFTER) {
            kill(nodes.get(victim)!);
            killedAtMs = performance.now();
          } else if (killedAtMs > 0) {
            const gapMs = performance.now() - killedAtMs;
            // Pieces that were on their way come at once; the first late one is what went on.
            if (wentOnAfterMs === undefined && gapMs > 50) wentOnAfterMs = gapMs;
          }
        });
        assert.ok(killedAtMs > 0);
        assert.equal(text, calm[name]);
        t.diagnostic(
          `${name}: goes on ${wentOnAfterMs?.toFixed(0) ?? 'within 50'} ms after ${what} was killed`,
        );
      }
    } finally {
      await cleanup.dispose();
    }
  });
}
