/** A ring of two processes on this machine beside one of them alone: one request, four requests, and what a hop costs. */
import { setTimeout as delay } from 'node:timers/promises';
import { fillsMachine } from '../../src/inference/engines/ggml/child/machine.js';
import { Program } from '../contender.js';
import { atLeast, atMost, median, type Row } from '../table.js';
import { type Bench, SETTLE_MS, under } from './bench.js';

const RING_RATIO_MIN = 0.9;
const BATCH_RATIO_MIN = 1.6;
const HOP_MS_MAX = 0.3;
/** Waking the next process between two steps has its price here, whatever is on the wire. */
const BARE_HOP_RATIO_MAX = 2;
const BARE_RING_RATIO_MIN = 0.95;
const REQUESTS = 4;
/** Members of the ring, and so hops of a token. */
const HOPS = 2;
const PROMPT = 32;
/** Times the tokens of the other sections: a median of few tokens moves more than the goals are apart. */
const DECODES = 3;
/** Tokens of engines that compute nothing. */
const IDLE_DECODE = 1_000;

/** Its first member; also of the one without a mesh. */
interface Answers {
  readonly tokenMs: number;
  readonly tokensPerS: number;
  readonly forwardMs: number;
}

/** What a token takes beyond its steps, for each hop. */
function hopMs(first: Answers, second: SecondSteps): number {
  return (first.tokenMs - first.forwardMs - (second.forwardMs ?? 0)) / HOPS;
}

/** What the second member computed; the choice of the tokens is in it. */
interface SecondSteps {
  readonly forwardMs: number | null;
}

/** Rows of the ring, in Q8_0: both engines on all cores, in turn, and each with half of them, at the same time. */
export async function ringRows(bench: Bench): Promise<Row[]> {
  const shared = await measured(bench, bench.threads, true);
  // As many as two engines can have at the same time.
  let half = bench.threads >> 1;
  while (fillsMachine(half)) half -= 1;
  return [
    ...answerRows(shared, 'ring of two'),
    under('wire and queue, per token and hop', 'ms', median(shared('idle hop')), HOP_MS_MAX),
    under('the same, while the engines compute', 'ms', median(shared('hop')), HOP_MS_MAX),
    atMost(
      'the same, while the engines compute',
      'ms',
      shared('hop'),
      'bare sockets, no mesh',
      shared('bare hop'),
      BARE_HOP_RATIO_MAX,
    ),
    atLeast(
      'q8_0: ring of two, one request',
      'tokens/s',
      shared('ring 1'),
      'bare sockets',
      shared('bare ring'),
      BARE_RING_RATIO_MIN,
    ),
    ...(half < 1
      ? []
      : answerRows(await measured(bench, half, false), 'ring of two, half of the cores each')),
  ];
}

/** @param of one value of each round, by `WHERE REQUESTS` */
function answerRows(of: (key: string) => readonly number[], ring: string): Row[] {
  const four = `${REQUESTS} requests at once`;
  const alone = ring.replace('ring of two', 'node alone').replace(' each', '');
  return [
    atLeast(`q8_0: ${ring}, one request`, 'tokens/s', of('ring 1'), 'solo', of('solo 1'), RING_RATIO_MIN),
    atLeast(
      `q8_0: ${alone}, ${four}`,
      'tokens/s',
      of(`solo ${REQUESTS}`),
      'one',
      of('solo 1'),
      BATCH_RATIO_MIN,
    ),
    atLeast(
      `q8_0: ${ring}, ${four}`,
      'tokens/s',
      of(`ring ${REQUESTS}`),
      'one',
      of('ring 1'),
      BATCH_RATIO_MIN,
    ),
  ];
}

/** One value of each round, by what was measured; bare sockets and engines that compute nothing only `withBare`. */
async function measured(
  bench: Bench,
  threads: number,
  withBare: boolean,
): Promise<(key: string) => readonly number[]> {
  const { directory, shape } = bench;
  const decode = DECODES * bench.decode;
  const options = { device: 'cpu', threads, quantisation: 'q8_0' };
  const start = (id: string, meet?: number) =>
    new Program('inference/ring-program.ts', {
      args: [
        JSON.stringify({
          id,
          directory,
          layers: shape.layers,
          options,
          ...(meet === undefined ? {} : { meet }),
        }),
      ],
    });
  const programs: Program[] = [];
  try {
    const first = start('a');
    programs.push(first);
    const { port } = (await first.line()) as { port: number };
    const second = start('b', port);
    programs.push(second);
    await second.line();
    const last = shape.layers - 1;
    // The head costs as much as several layers.
    const cut = Math.ceil(shape.layers * 0.6);
    const alone = [{ nodeId: 'a', startLayer: 0, endLayer: last }];
    const both = [
      { nodeId: 'a', startLayer: 0, endLayer: cut - 1 },
      { nodeId: 'b', startLayer: cut, endLayer: last },
    ];
    const ask = async (question: object) => {
      await delay(SETTLE_MS);
      await second.ask({});
      const answers = (await first.ask({ prompt: PROMPT, decode, ...question })) as Answers;
      return { ...answers, hopMs: hopMs(answers, (await second.ask({})) as SecondSteps) };
    };
    const round = async (note: (key: string, value: number) => void) => {
      // What is compared is measured one after the other.
      note('solo 1', (await ask({ ranges: alone })).tokensPerS);
      const ring = await ask({ ranges: both });
      note('ring 1', ring.tokensPerS);
      if (withBare) {
        note('hop', ring.hopMs);
        const { port: barePort } = (await second.ask({ barePort: 0, ranges: both })) as { port: number };
        const bare = await ask({ barePort, ranges: both });
        note('bare ring', bare.tokensPerS);
        note('bare hop', bare.hopMs);
      }
      note(`solo ${REQUESTS}`, (await ask({ requests: REQUESTS, ranges: alone })).tokensPerS);
      note(`ring ${REQUESTS}`, (await ask({ requests: REQUESTS, ranges: both })).tokensPerS);
      if (!withBare) return;
      for (const program of programs) await program.ask({ isIdle: true });
      note('idle hop', (await ask({ decode: IDLE_DECODE, ranges: both })).hopMs);
      for (const program of programs) await program.ask({ isIdle: false });
    };
    const seen: Record<string, number[]> = {};
    await round(() => undefined);
    for (let count = 0; count < bench.rounds; count += 1) {
      await round((key, value) => {
        seen[key] = [...(seen[key] ?? []), value];
      });
    }
    return (key) => {
      const values = seen[key];
      if (values === undefined) throw new Error(`"${key}" was not measured`);
      return values;
    };
  } finally {
    for (const program of programs.reverse()) await program.stop();
  }
}
