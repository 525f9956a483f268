/**
 * Mixed load on three nodes that share a real model: eight clients, short and long prompts, greedy and seeded, some that leave in
 * mid-answer, and engine processes that are killed every few seconds. Every answer is compared with the one that was given in peace.
 *
 * Two minutes in `npm test`, thirty in a campaign; EXO_LOAD_MINUTES sets the time, EXO_TEST_SEED replays the choices.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { canComputeGgml } from '../../src/inference/index.js';
import { type Random, randomInt, seededRandom } from '../../src/shared/index.js';
import { type Level, levelOf } from '../nemesis/levels.js';
import { askStream, type ChatQuestion, type StreamedAnswer } from '../support/chat-client.js';
import { eventually, inTime } from '../support/eventually.js';
import { FaultyMesh } from '../support/faulty-mesh.js';
import '../support/leaks.js';
import { Cleanup } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { RANDOM_MODEL, writeRandomModel } from '../support/real-model.js';
import { repeats } from '../support/repeats.js';
import { TEST_SEED } from '../support/seed.js';

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';
const minutes = Number(process.env['EXO_LOAD_MINUTES'] ?? repeats(2, 30));
const seed = TEST_SEED;
const IDS = ['a', 'b', 'c'];
const CLIENTS = 8;
/** One answer of so many is left by its client. */
const ABORTS_ONE_OF = 5;
/** Between two questions of a client: the machine is to do other work as well. */
const PAUSE_MS = [200, 1_800] as const;
const KILL_EVERY_MS = [4_000, 12_000] as const;
/** Far beyond what any of these answers takes, also with a break in it. */
const ENDLESS_MS = 60_000;
const MIB = 1024 * 1024;
/** Of a node's heap between two looks; the engine's caches have a size of their own. */
const GROWTH_BYTES_MAX = 48 * MIB;
const HANDLES_SLACK = 4;
const SETTLE_MS = 20_000;

const NO_END = { logit_bias: { 1: -100 } };
const SAMPLINGS = [
  { temperature: 0 },
  { temperature: 0.8, top_k: 40, seed: 3 },
  { temperature: 1, top_p: 0.9, seed: 4, frequency_penalty: 0.5 },
];
const WORDS = [1, 20, 700];
const TOKENS = [8, 48, 160];

/** Each length of prompt with each length of answer, so that a wrong answer is seen beside the right one. */
const QUESTIONS = WORDS.flatMap((words, row) =>
  TOKENS.map((tokens, column) => ({
    model: RANDOM_MODEL,
    prompt: Array.from({ length: words }, (_, at) => ['mesh', 'ring', 'layer'][at % 3]).join(' '),
    body: { ...SAMPLINGS[(row + column) % SAMPLINGS.length], ...NO_END, max_tokens: tokens },
    timeoutMs: inTime(ENDLESS_MS),
  })),
);

interface Tally {
  right: number;
  left: number;
  kills: number;
  longestMs: number;
  readonly wrong: string[];
}

const pick = <T>(random: Random, list: readonly T[]): T => list[randomInt(random, 0, list.length - 1)]!;
const texts = ({ pieces }: StreamedAnswer) => pieces.map(({ text }) => text).join('|');

/** Asks one question after the other until the time is over. */
async function client(
  mesh: FaultyMesh,
  calm: ReadonlyMap<ChatQuestion, StreamedAnswer>,
  tally: Tally,
  random: Random,
  untilMs: number,
): Promise<void> {
  while (performance.now() < untilMs) {
    const question = pick(random, QUESTIONS);
    const leaves = randomInt(random, 1, ABORTS_ONE_OF) === 1;
    const leaving = new AbortController();
    const leaveAfter = randomInt(random, 1, 20);
    const startedMs = performance.now();
    const node = pick(random, IDS);
    try {
      const answer = await askStream(mesh.api(node), {
        ...question,
        ...(leaves ? { signal: leaving.signal } : {}),
        onPiece: (count) => {
          if (leaves && count === leaveAfter) leaving.abort();
        },
      });
      const wanted = calm.get(question)!;
      if (answer.error !== undefined)
        tally.wrong.push(`${node}: ${answer.error.code} ${answer.error.message}`);
      else if (texts(answer) !== texts(wanted) || !answer.isDone) {
        tally.wrong.push(
          `${node}: ${JSON.stringify(question.body)}\n${texts(answer)}\ninstead of\n${texts(wanted)}`,
        );
      } else tally.right += 1;
    } catch (error) {
      if (leaving.signal.aborted) tally.left += 1;
      else tally.wrong.push(`${node}: ${(error as Error).name} ${(error as Error).message}`);
    }
    tally.longestMs = Math.max(tally.longestMs, performance.now() - startedMs);
    await delay(randomInt(random, ...PAUSE_MS));
  }
}

/** Kills one engine process after the other; never the last word of a run, so that the end is calm. */
async function nemesis(mesh: FaultyMesh, tally: Tally, random: Random, untilMs: number): Promise<void> {
  for (;;) {
    const waitMs = randomInt(random, ...KILL_EVERY_MS);
    if (performance.now() + waitMs > untilMs) return;
    await delay(waitMs);
    if (mesh.killEngine(pick(random, IDS))) tally.kills += 1;
  }
}

/** What nodes and engines hold once the load is off, and every engine has its shard. */
async function quiet(
  mesh: FaultyMesh,
  calm: ReadonlyMap<ChatQuestion, StreamedAnswer>,
  most?: Levels,
): Promise<Levels> {
  const [question] = calm.keys();
  for (const id of IDS) {
    const answer = await askStream(mesh.api(id), question!);
    assert.equal(texts(answer), texts(calm.get(question!)!));
  }
  const look = () => new Map(IDS.map((id) => [id, levelOf(mesh.pid(id))!]));
  await eventually({ timeoutMs: SETTLE_MS, what: 'handles are level', everyMs: 200 }, () =>
    [...look()].every(([id, { handles }]) => handles <= (most?.get(id)?.handles ?? 1e9) + HANDLES_SLACK),
  ).catch(() => undefined);
  return look();
}
type Levels = ReadonlyMap<string, Level>;

test(`R8 ${minutes} minutes of mixed load: no wrong answer, every request ends, memory and handles are level`, {
  skip,
}, async (t) => {
  t.diagnostic(`EXO_TEST_SEED=${seed}`);
  const cleanup = new Cleanup();
  try {
    const place = cleanup.folder();
    await writeRandomModel(place, { seed: 13 });
    const mesh = await FaultyMesh.prepare(cleanup, {
      ids: IDS,
      args: ['--split', '--threads', '1'],
      env: { EXO_MODELS_READ_ONLY_DIRS: place },
    });
    await mesh.start(...IDS);
    await mesh.whole(...IDS);
    const calm = new Map<ChatQuestion, StreamedAnswer>();
    for (const question of QUESTIONS) {
      const answer = await askStream(mesh.api('a'), question);
      assert.equal(answer.error, undefined, answer.error?.message);
      calm.set(question, answer);
    }
    const tally: Tally = { right: 0, left: 0, kills: 0, longestMs: 0, wrong: [] };
    const load = async (ms: number) => {
      const untilMs = performance.now() + ms;
      // Each has choices of its own: whose turn it is does not change them.
      const clients = Array.from({ length: CLIENTS }, (_, at) =>
        client(mesh, calm, tally, seededRandom(seed + at + 1), untilMs),
      );
      await Promise.all([...clients, nemesis(mesh, tally, seededRandom(seed), untilMs)]);
    };
    // The first part warms heaps and caches up; what is held after it is what the end is compared with.
    await load((minutes * 60_000) / 4);
    const before = await quiet(mesh, calm);
    await load((minutes * 60_000 * 3) / 4);
    const after = await quiet(mesh, calm, before);

    const { right, left, kills, longestMs, wrong } = tally;
    const grown = IDS.map((id) => after.get(id)!.residentBytes - before.get(id)!.residentBytes);
    t.diagnostic(
      `${right} right, ${left} left by their client, ${wrong.length} wrong, ${kills} engines killed, longest ${longestMs.toFixed(0)} ms`,
    );
    assert.deepEqual(
      wrong.slice(0, 3),
      [],
      `${wrong.length} wrong, seed ${seed}\n${wrong.slice(0, 3).join('\n')}\n${mesh.outputs}`,
    );
    assert.ok(right > CLIENTS && left > 0 && kills > 0);
    for (const [at, id] of IDS.entries()) {
      const [then, now] = [before.get(id)!, after.get(id)!];
      t.diagnostic(
        `${id}: ${(now.residentBytes / MIB).toFixed(0)} MiB (${(grown[at]! / MIB).toFixed(1)} more), ${now.handles} handles (${then.handles} before)`,
      );
      assert.ok(grown[at]! <= GROWTH_BYTES_MAX, `${id} grew by ${grown[at]! / MIB} MiB`);
      assert.ok(
        now.handles <= then.handles + HANDLES_SLACK,
        `${id} has ${now.handles} handles after ${then.handles}`,
      );
      assert.equal(now.children, then.children, `${id} has other children than before`);
    }
    promise(
      t,
      'R8',
      `${minutes} min, ${CLIENTS} clients, ${kills} engines killed: ${right} right, ${left} left by their client, 0 wrong, 0 without an end (longest ${(longestMs / 1000).toFixed(1)} s); memory ${grown.map((bytes) => `${bytes < 0 ? '' : '+'}${(bytes / MIB).toFixed(0)}`).join(', ')} MiB; handles level`,
    );
  } finally {
    await cleanup.dispose();
  }
});
