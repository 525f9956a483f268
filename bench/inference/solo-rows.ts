/** One engine alone, with weights of one type: beside libllama, beside the memory, loading, several requests, the event loop. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Quantisation } from '../../src/inference/engines/ggml/index.js';
import { Program } from '../contender.js';
import { atLeast, median, type Row } from '../table.js';
import { type Bench, SETTLE_MS, under } from './bench.js';
import { writeGguf } from './gguf.js';

const DECODE_RATIO_MIN = 1;
const PREFILL_RATIO_MIN = 0.9;
const BANDWIDTH_RATIO_MIN = 0.5;
const BATCH_RATIO_MIN = 1.6;
const LOAD_MS_MAX = 1_000;
const LOAD_MB_MAX = 100;
const LOOP_DELAY_MS_MAX = 10;
const REQUESTS = 4;

interface Loaded {
  readonly loadMs: number;
  readonly weightBytes: number;
  readonly anonymousBytes: number;
}

interface Round {
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly tokensPerS: number;
  readonly loopDelayP99Ms: number;
}

/** Rows of one type of weights. */
export async function soloRows(bench: Bench, quantisation: Quantisation): Promise<Row[]> {
  const { directory, shape, threads, rounds, prompt, decode } = bench;
  const type = quantisation === 'none' ? 'bf16' : quantisation;
  const gguf = path.join(directory, `${type}.gguf`);
  await writeGguf(bench.ggml, gguf, directory, quantisation);
  const setup = { directory, layers: shape.layers, options: { device: 'cpu', threads, quantisation } };
  const ours = new Program('inference/engine-program.ts', { args: [JSON.stringify(setup)] });
  const llama = new Program('inference/llama-program.ts', { args: [gguf, String(threads)] });
  const memory = new Program('inference/bandwidth-program.ts', { args: [String(threads)] });
  try {
    const loaded = (await ours.line()) as Loaded;
    await llama.line();
    await memory.line();
    const seen = {
      ours: [] as Round[],
      llama: [] as Round[],
      memory: [] as number[],
      watched: [] as Round[],
      four: [] as Round[],
      theirFour: [] as Round[],
    };
    for (let round = -1; round < rounds; round += 1) {
      const ask = async <T>(program: Program, question: object) => {
        await delay(SETTLE_MS);
        return (await program.ask(question)) as T;
      };
      const { bytesPerS } = await ask<{ bytesPerS: number }>(memory, {});
      const one = await ask<Round>(ours, { prompt, decode });
      const theirs = await ask<Round>(llama, { prompt, decode });
      const four = await ask<Round>(ours, { requests: REQUESTS, prompt: 32, decode });
      const theirFour = await ask<Round>(llama, { requests: REQUESTS, prompt: 32, decode });
      const watched = await ask<Round>(ours, { prompt, decode, watchesLoop: true });
      // The first warms up: pages that are not mapped yet, caches that are not made yet.
      if (round < 0) continue;
      seen.memory.push(bytesPerS);
      seen.ours.push(one);
      seen.watched.push(watched);
      seen.llama.push(theirs);
      seen.four.push(four);
      seen.theirFour.push(theirFour);
    }
    const of = (rows: readonly Round[], key: keyof Round) => rows.map((row) => row[key]);
    const perS = (ms: readonly number[], tokens = 1) => ms.map((each) => (tokens * 1000) / each);
    const decodeMs = of(seen.ours, 'decodeMs');
    const name = (what: string) => `${type}: ${what}`;
    const result = [
      atLeast(
        name('decode'),
        'tokens/s',
        perS(decodeMs),
        'libllama',
        perS(of(seen.llama, 'decodeMs')),
        DECODE_RATIO_MIN,
      ),
      atLeast(
        name(`prompt of ${prompt}`),
        'tokens/s',
        perS(of(seen.ours, 'prefillMs'), prompt),
        'libllama',
        perS(of(seen.llama, 'prefillMs'), prompt),
        PREFILL_RATIO_MIN,
      ),
      atLeast(
        name('decode, weights read'),
        'GB/s',
        decodeMs.map((ms) => loaded.weightBytes / ms / 1e6),
        'memory',
        seen.memory.map((bytesPerS) => bytesPerS / 1e9),
        quantisation === 'q4_0' ? 0 : BANDWIDTH_RATIO_MIN,
      ),
      atLeast(
        name(`${REQUESTS} requests at once`),
        'tokens/s',
        of(seen.four, 'tokensPerS'),
        'one request',
        perS(decodeMs),
        BATCH_RATIO_MIN,
      ),
      // What batching gains with these kernels, without a node around them.
      atLeast(
        name(`libllama, ${REQUESTS} at once`),
        'tokens/s',
        of(seen.theirFour, 'tokensPerS'),
        'its one',
        perS(of(seen.llama, 'decodeMs')),
        0,
      ),
      under(
        name('event loop delay p99'),
        'ms',
        median(of(seen.watched, 'loopDelayP99Ms')),
        LOOP_DELAY_MS_MAX,
      ),
    ];
    if (quantisation !== 'none') return result;
    return [
      ...result,
      under(name('load'), 'ms', loaded.loadMs, LOAD_MS_MAX),
      under(name('anonymous memory after the load'), 'MB', loaded.anonymousBytes / 1e6, LOAD_MB_MAX),
    ];
  } finally {
    await Promise.all([ours, llama, memory].map((program) => program.stop()));
  }
}
