/**
 * The engine of simulated nodes: eight layers of exact arithmetic over hidden states of 8 KiB. An answer is a function of its
 * prompt, so that a lost, doubled, mixed-up or damaged step shows as a wrong token or is refused. Like a real engine it
 * keeps something per request and takes virtual time. Not a mock: the ring computes with it what it says.
 */
import {
  createEngine,
  DUMMY_MODELS,
  type EngineProfile,
  type ForwardRequest,
  type ForwardResult,
  type InferenceEngine,
  type SampledToken,
  type Tokenizer,
} from '../../src/inference/index.js';
import type { Tensor } from '../../src/protocol/index.js';
import { type Clock, ExoError, type Random, sleep } from '../../src/shared/index.js';

const LAYERS = 8;
/** Floats of one hidden state: 8 KiB. */
const WIDTH = 2_048;
/** States are whole numbers below this: exact as 32-bit floats. */
const STATES = 2 ** 20;
const EOS = STATES;
const TOKENS_MAX = 12;
const COMPUTE_MS_MAX = 4;

/** The tokens that a prompt must be answered with. */
export function expectedAnswer(prompt: string): number[] {
  const answer: number[] = [];
  let token = promptToken(prompt);
  for (let position = 0; token !== EOS; position += 1) {
    let state = entryState(token, position);
    for (let layer = 0; layer < LAYERS; layer += 1) state = throughLayer(state, layer);
    token = tokenOf(state, position);
    answer.push(token);
  }
  return answer;
}

/** Computes shards of the model `dummy` on one node. */
export class ExactEngine implements InferenceEngine {
  readonly name = 'dummy';
  readonly models = DUMMY_MODELS;
  readonly #seen = new Map<string, number>();
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Requests of which something is kept. */
  get held(): number {
    return this.#seen.size;
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async load(): Promise<void> {}

  profile(modelId: string, signal: AbortSignal): Promise<EngineProfile> {
    return createEngine('dummy').profile(modelId, signal);
  }

  async tokenizer(): Promise<Tokenizer> {
    return TOKENIZER;
  }

  async forward({ requestId, shard, input, position, signal }: ForwardRequest): Promise<ForwardResult> {
    await sleep(this.#clock, 1 + this.#random.next() * COMPUTE_MS_MAX, signal).catch((cause) => {
      throw new ExoError('request-cancelled', 'the request was cancelled', { cause });
    });
    if (position !== (this.#seen.get(requestId) ?? 0)) {
      throw new ExoError('engine-failed', `a step at ${position} does not continue what was seen`);
    }
    let states =
      input.kind === 'tokens'
        ? input.tokens.map((token, place) => entryState(token, position + place))
        : statesIn(input.hidden);
    const end = position + states.length;
    this.#seen.set(requestId, end);
    for (let layer = shard.startLayer; layer <= shard.endLayer; layer += 1)
      states = states.map((state) => throughLayer(state, layer));
    if (shard.endLayer < LAYERS - 1) return { kind: 'hidden', hidden: hiddenOf(states) };
    return { kind: 'logits', logits: tensorOf([1], new Float32Array([tokenOf(states.at(-1)!, end - 1)])) };
  }

  sample(logits: Tensor): SampledToken {
    return { token: floatsOf(logits)[0]! };
  }

  release(requestId: string): void {
    this.#seen.delete(requestId);
  }
}

const TOKENIZER: Tokenizer = {
  eosTokenIds: new Set([EOS]),
  encode: async (text) => [promptToken(text)],
  decode: (tokens) => tokens.map((token) => ` ${token}`).join(''),
  applyChatTemplate: async (messages) => messages.map(({ content }) => content).join('\n'),
};

function promptToken(prompt: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < prompt.length; index += 1) {
    hash = Math.imul(hash ^ prompt.charCodeAt(index), 0x01000193);
  }
  return scatter(hash);
}

function entryState(token: number, position: number): number {
  return scatter(token * 31 + position * 7_919 + 1);
}

function throughLayer(state: number, layer: number): number {
  return scatter(state * 8 + layer + 3);
}

function tokenOf(state: number, position: number): number {
  return position + 1 >= TOKENS_MAX || (position > 1 && state % 8 === 0) ? EOS : state;
}

function scatter(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) & (STATES - 1);
}

function hiddenOf(states: readonly number[]): Tensor {
  const floats = new Float32Array(states.length * WIDTH);
  for (const [place, state] of states.entries()) {
    floats.set(tail(state), place * WIDTH + 1);
    floats[place * WIDTH] = state;
  }
  return tensorOf([1, states.length, WIDTH], floats);
}

/** What follows the state itself: bytes that only this state can have, so that damage is seen. */
function tail(state: number): Float32Array {
  const from = state % WIDTH;
  return NOISE.subarray(from, from + WIDTH - 1);
}

const NOISE = Float32Array.from({ length: 2 * WIDTH }, (_, index) => scatter(index));

function statesIn(hidden: Tensor): number[] {
  const floats = floatsOf(hidden);
  return Array.from({ length: floats.length / WIDTH }, (_, place) => {
    const row = floats.subarray(place * WIDTH, (place + 1) * WIDTH);
    if (bytesOf(row.subarray(1)).compare(bytesOf(tail(row[0]!))) !== 0) {
      throw new ExoError('engine-failed', 'a hidden state was damaged on its way');
    }
    return row[0]!;
  });
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function tensorOf(shape: number[], floats: Float32Array): Tensor {
  return { shape, dtype: 'float32', data: Buffer.from(floats.buffer) };
}

/** The bytes may begin anywhere in the buffer of a connection; floats need a multiple of four. */
function floatsOf({ data }: Tensor): Float32Array {
  if (data.byteOffset % 4 === 0) return new Float32Array(data.buffer, data.byteOffset, data.length / 4);
  return new Float32Array(Uint8Array.from(data).buffer);
}
