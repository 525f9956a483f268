/**
 * A node in a process of its own, whose engine is timed: what a token takes beyond the computing of its steps is what wire and
 * queues cost. The first node of a ring is asked; the others only hold layers.
 *
 *   ring-program.js '{"id", "directory", "layers", "options", "meet"?: PORT}'
 */
import type { AddressInfo, Server } from 'node:net';
import { GgmlEngine, type GgmlOptions } from '../../src/inference/engines/ggml/index.js';
import {
  FixedModels,
  type ForwardRequest,
  type ForwardResult,
  type PlacedRange,
  type Tokenizer,
} from '../../src/inference/index.js';
import { createNode } from '../../src/node/index.js';
import { UNKNOWN_CAPABILITIES } from '../../src/protocol/index.js';
import { silentLogger, systemClock, systemRandom } from '../../src/shared/index.js';
import { AddressList } from '../../test/support/memory-mesh.js';
import { freePorts } from '../../test/support/ports.js';
import { bareTokens, serveBareRing } from './bare-ring.js';
import { answerQuestions, middle, someTokens, timed } from './questions.js';

interface Setup {
  readonly id: string;
  readonly directory: string;
  readonly layers: number;
  readonly options: GgmlOptions;
  readonly meet?: number;
}

const { id, directory, layers, options, meet } = JSON.parse(process.argv[2]!) as Setup;
const MODEL = 'bench';
const HOST = '127.0.0.1';
/** Every character is a token, and nothing ends an answer. */
const TOKENIZER: Tokenizer = {
  eosTokenIds: new Set([-1]),
  encode: async (text) => someTokens(text.length),
  decode: (tokens) => '.'.repeat(tokens.length),
  applyChatTemplate: async (messages) => messages.map(({ content }) => content).join('\n'),
};

class TimedEngine extends GgmlEngine {
  /** With the choice of a token where the last layer is. */
  forwardMs: number[] = [];
  /** Gives what the first step of this many tokens gave, and computes nothing: what is left is the way of a token. */
  isIdle = false;
  readonly #given = new Map<string, ForwardResult>();

  override async forward(request: ForwardRequest): Promise<ForwardResult> {
    const { shard, input } = request;
    const tokens = input.kind === 'tokens' ? input.tokens.length : input.hidden.shape[1]!;
    const key = `${shard.startLayer}-${shard.endLayer} ${tokens}`;
    const given = this.#given.get(key);
    const from = performance.now();
    const output = this.isIdle && given !== undefined ? given : await super.forward(request);
    this.forwardMs.push(performance.now() - from);
    this.#given.set(key, output);
    return output;
  }
}

const engine = new TimedEngine(options, {
  clock: systemClock,
  logger: silentLogger,
  files: { directoryOf: async () => directory },
  models: new FixedModels('ggml', [{ id: MODEL, name: MODEL, layers, ready: true }]),
  openTokenizer: async () => TOKENIZER,
});
const [port] = (await freePorts(1)) as [number];
const node = createNode(
  {
    nodeId: id,
    instance: systemRandom.bytes(8).toString('hex'),
    epoch: Math.floor(systemClock.wall()),
    version: 'bench',
    nodeHost: HOST,
    nodePort: port,
    discovery: { modules: ['manual'], discoveryTimeoutMs: 30_000, listenPort: 5678, broadcastPort: 5678 },
    engine: 'ggml',
    responseTimeoutMs: 600_000,
    maxGenerateTokens: 100_000,
    defaultTemperature: 0,
  },
  {
    logger: silentLogger,
    inferenceEngine: engine,
    discover: (_, components) => new AddressList([]).connect(components),
    capabilities: {
      instant: { ...UNKNOWN_CAPABILITIES, memory: 1024 },
      refined: Promise.resolve({ ...UNKNOWN_CAPABILITIES, memory: 1024 }),
    },
  },
);
await node.start();
if (meet !== undefined) await node.meet({ host: HOST, port: meet }, () => undefined);
console.log(JSON.stringify({ port }));

/** Answers of `decode` tokens side by side, on this node alone or over the ranges. */
async function answers(requests: number, prompt: number, decode: number, ranges: readonly PlacedRange[]) {
  const times: number[][] = [];
  const placement = { kind: 'manual', ranges } as const;
  engine.forwardMs = [];
  const tookMs = await timed(() =>
    Promise.all(
      Array.from({ length: requests }, async (_, index) => {
        const seen: number[] = [];
        times[index] = seen;
        const generation = await node.chat.start({
          model: MODEL,
          prompt: 'x'.repeat(prompt),
          maxTokens: decode,
          temperature: 0,
          placement,
        });
        for await (const _ of generation.tokens) seen.push(performance.now());
      }),
    ),
  );
  // While all of them decode: the prompts of the others are in the engine before, and some are done before the rest.
  const fromMs = Math.max(...times.map((seen) => seen[0]!));
  const toMs = Math.min(...times.map((seen) => seen.at(-1)!));
  const within = times.flat().filter((ms) => ms > fromMs && ms <= toMs).length;
  return {
    tookMs,
    tokenMs: middle(times.flatMap((seen) => seen.slice(1).map((ms, at) => ms - seen[at]!))),
    tokensPerS: (within * 1000) / (toMs - fromMs),
    forwardMs: middle(engine.forwardMs),
  };
}

interface Question {
  readonly requests?: number;
  readonly prompt?: number;
  readonly decode?: number;
  readonly ranges?: readonly PlacedRange[];
  /** Of the second half of a ring without a mesh; 0: this is to be it, and tells its port. */
  readonly barePort?: number;
  /** From now on the engine computes nothing, or it does again. */
  readonly isIdle?: boolean;
}

/** The layers that this node has of a ring. */
function ownShard(ranges: readonly PlacedRange[]) {
  const { startLayer, endLayer } = ranges.find(({ nodeId }) => nodeId === id)!;
  return { modelId: MODEL, startLayer, endLayer, nLayers: layers };
}

let bare: Server | undefined;
await answerQuestions(async (question: Question) => {
  const { requests = 1, prompt = 16, decode, ranges = [], barePort, isIdle } = question;
  engine.isIdle = isIdle ?? engine.isIdle;
  if (barePort === 0) {
    bare ??= await serveBareRing(engine, ownShard(ranges));
    return { port: (bare.address() as AddressInfo).port };
  }
  if (barePort !== undefined)
    return bareTokens(engine, ownShard(ranges), { port: barePort, prompt, steps: decode! });
  if (decode !== undefined) return answers(requests, prompt, decode, ranges);
  const { forwardMs } = engine;
  engine.forwardMs = [];
  return { forwardMs: middle(forwardMs) };
});
bare?.close();
await node.stop();
