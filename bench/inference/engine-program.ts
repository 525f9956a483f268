/**
 * The engine alone, as a node uses it: steps go over the pipe to its process, logits come back, the token is chosen in
 * JavaScript. Measures prompts, steps of one and of several requests, loading, memory, and how late this event loop is.
 *
 *   engine-program.js '{"directory", "layers", "options"}'
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { GgmlEngine, type GgmlOptions } from '../../src/inference/engines/ggml/index.js';
import { FixedModels } from '../../src/inference/index.js';
import { silentLogger, systemClock } from '../../src/shared/index.js';
import { answerQuestions, middle, someTokens, timed } from './questions.js';

interface Setup {
  readonly directory: string;
  readonly layers: number;
  readonly options: GgmlOptions;
}

const { directory, layers, options } = JSON.parse(process.argv[2]!) as Setup;
const MODEL = 'bench';
const never = new AbortController().signal;
const shard = { modelId: MODEL, startLayer: 0, endLayer: layers - 1, nLayers: layers };
const engine = new GgmlEngine(options, {
  clock: systemClock,
  logger: silentLogger,
  files: { directoryOf: async () => directory },
  models: new FixedModels('ggml', [{ id: MODEL, name: MODEL, layers, ready: true }]),
});
let serial = 0;

/** One request from its prompt on. */
class Request {
  readonly #id = `r${serial++}`;
  #position = 0;

  /** The greedy token after these. */
  async step(tokens: readonly number[]): Promise<number> {
    const output = await engine.forward({
      requestId: this.#id,
      shard,
      input: { kind: 'tokens', tokens },
      position: this.#position,
      signal: never,
      isGreedy: true,
    });
    this.#position += tokens.length;
    if (output.kind !== 'token') throw new Error('no token');
    return output.token;
  }

  release(): void {
    engine.release(this.#id);
  }
}

interface Question {
  /** @default 1 */
  readonly requests?: number;
  readonly prompt: number;
  readonly decode: number;
  /** Looks a thousand times a second how late the event loop is, which takes from the processor that computes. */
  readonly watchesLoop?: boolean;
}

/** Tokens per second of several requests side by side, after prompts of `prompt` tokens each. */
async function decode({ requests = 1, prompt, decode: steps, watchesLoop = false }: Question) {
  const all = Array.from({ length: requests }, () => new Request());
  const prefills: number[] = [];
  const next: number[] = [];
  for (const [index, request] of all.entries()) {
    prefills.push(
      await timed(async () => {
        next[index] = await request.step(someTokens(prompt, index));
      }),
    );
  }
  const times: number[] = [];
  const late = monitorEventLoopDelay({ resolution: 1 });
  if (watchesLoop) late.enable();
  const tookMs = await timed(() =>
    Promise.all(
      all.map(async (request, index) => {
        for (let step = 0; step < steps; step += 1) {
          times.push(
            await timed(async () => {
              next[index] = await request.step([next[index]!]);
            }),
          );
        }
      }),
    ),
  );
  late.disable();
  for (const request of all) request.release();
  return {
    prefillMs: middle(prefills),
    decodeMs: middle(times),
    tokensPerS: (requests * steps * 1000) / tookMs,
    loopDelayP99Ms: late.percentile(99) / 1e6,
  };
}

/** Memory of the engine's process that is not a file's, in bytes; NaN where the system does not tell. */
function anonymousBytes(): number {
  try {
    const kib = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${engine.pid}/status`, 'utf8'))?.[1];
    return Number(kib) * 1024;
  } catch {
    return Number.NaN;
  }
}

await engine.start();
const before = anonymousBytes();
const loadMs = await timed(() => engine.load(shard, never));
const { layers: costs } = await engine.profile(MODEL, never).catch(() => ({ layers: [] }));
const weightBytes = costs.reduce((sum, cost) => sum + cost.weightBytes, 0);
console.log(JSON.stringify({ loadMs, weightBytes, anonymousBytes: anonymousBytes(), idleBytes: before }));
await answerQuestions(async (question: Question) => ({
  ...(await decode(question)),
  anonymousBytes: anonymousBytes(),
}));
await engine.stop();
