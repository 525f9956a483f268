/**
 * `npm run bench:inference`: the ggml engine beside libllama of the same package, beside the memory's own speed, and over a ring of two
 * processes on this machine. A model in the shape of Qwen2.5-0.5B is made and deleted again. Rounds are interleaved, medians count,
 * and what counts are ratios of one run.
 *
 *   npm run bench:inference                                  all sections
 *   npm run bench:inference -- --only ring --only q8         those whose name contains one of the words
 *   npm run bench:inference -- --small                       a small model and few rounds, to see that it works
 *   npm run bench:inference -- --threads 4 --rounds 9        of all contenders
 *   npm run bench:inference -- --json FILE                   writes the rows, too
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openGgml } from '../../src/inference/engines/ggml/library/index.js';
import { readArguments } from '../../tools/arguments.mjs';
import { formatRows, type Row } from '../table.js';
import type { Bench } from './bench.js';
import { SHAPES, writeModel } from './model.js';
import { ringRows } from './ring-rows.js';
import { soloRows } from './solo-rows.js';

const { values: flags } = readArguments(import.meta.url, {
  options: {
    json: { type: 'string' },
    small: { type: 'boolean' },
    only: { type: 'string', multiple: true },
    threads: { type: 'string' },
    rounds: { type: 'string' },
  },
});
const size = flags.small ? 'small' : 'full';
const shape = SHAPES[size];
const directory = await mkdtemp(path.join(os.tmpdir(), 'exo-bench-'));
const bench: Bench = {
  directory,
  shape,
  ggml: openGgml(),
  threads: Number(flags.threads ?? os.availableParallelism()),
  rounds: Number(flags.rounds ?? (flags.small ? 2 : 7)),
  prompt: flags.small ? 64 : 256,
  decode: flags.small ? 8 : 32,
};
const sections: readonly { readonly name: string; readonly run: (bench: Bench) => Promise<Row[]> }[] = [
  { name: 'q8_0', run: (b) => soloRows(b, 'q8_0') },
  { name: 'bf16', run: (b) => soloRows(b, 'none') },
  { name: 'q4_0', run: (b) => soloRows(b, 'q4_0') },
  { name: 'ring', run: ringRows },
];
const rows: Row[] = [];
try {
  const from = performance.now();
  await writeModel(directory, shape);
  console.log(
    `${os.cpus()[0]?.model}, ${bench.threads} threads, ${os.type()} ${os.release()}; model (${size}) made in ${Math.round(performance.now() - from)} ms`,
  );
  for (const { name, run } of sections) {
    if (flags.only?.every((word) => !name.includes(word))) continue;
    const made = await run(bench);
    console.log(`\n${formatRows(made)}`);
    rows.push(...made);
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
const missed = rows.filter((row) => !row.met);
console.log(`\n${rows.length - missed.length} of ${rows.length} goals met`);
if (flags.json !== undefined) {
  const machine = { cpu: os.cpus()[0]?.model, threads: bench.threads, size };
  await writeFile(flags.json, `${JSON.stringify({ machine, rows }, null, 2)}\n`);
}
