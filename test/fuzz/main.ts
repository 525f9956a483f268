/**
 * `npm run fuzz`: every target for ten minutes, two at a time.
 *
 *   npm run fuzz                                   all targets
 *   npm run fuzz -- --only message --only frame    these
 *   npm run fuzz -- --seconds 30 --seed 7
 *   npm run fuzz -- --keep                         also writes what is worth keeping to test/fuzz/corpus
 *
 * A bug is shrunk and saved to test/fuzz/found, where `npm test` runs it from then on. The exit code is 1 when there was one.
 */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { readArguments } from '../../tools/arguments.mjs';
import type { FuzzResult } from './fuzzer.js';
import { replaceCorpus, saveFound } from './store.js';
import { TARGETS } from './targets/index.js';
import { describeFailure, watch } from './watch.js';

const { values } = readArguments(import.meta.url, {
  options: {
    only: { type: 'string', multiple: true },
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string' },
    jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    keep: { type: 'boolean', default: false },
  },
});
const names = Object.keys(TARGETS);
const unknown = (values.only ?? []).find((name) => !names.includes(name));
const seconds = Number(values.seconds);
const seed = Number(values.seed ?? Math.floor(performance.timeOrigin) % 2 ** 31);
const jobs = Number(values.jobs);
if (unknown !== undefined || !(seconds > 0) || !Number.isInteger(seed) || !(jobs >= 1)) {
  console.error(
    unknown === undefined
      ? '--seconds and --jobs take a number above 0, --seed a whole number'
      : `--only ${unknown}: no such target; the targets are ${names.join(', ')}`,
  );
  process.exit(2);
}

const wanted = names.filter((name) => values.only === undefined || values.only.includes(name));
const results = new Map<string, FuzzResult>();
const failures: string[] = [];
const waiting = [...wanted];
console.log(`${wanted.length} targets, ${seconds} s each, seed ${seed}`);

async function work(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const target = name;
    const result = await watch({
      module: new URL('./targets/index.ts', import.meta.url).href,
      target,
      ms: seconds * 1_000,
      seed,
      keep: values.keep,
      onProgress: ({ runs, tookMs, corpus, added }) => {
        if (process.stdout.isTTY) {
          process.stdout.write(
            `\r\u001b[K${target}: ${Math.round(tookMs / 1_000)} s, ${runs} runs, ${corpus} inputs, ${added} new`,
          );
        }
      },
    });
    if (process.stdout.isTTY) process.stdout.write('\r\u001b[K');
    results.set(target, result);
    if (result.failure !== undefined) {
      const file = path.relative(process.cwd(), saveFound(target, result.failure.input));
      failures.push(describeFailure(target, result.failure, file));
      console.log(`${target}: a bug, ${result.failure.what}`);
    } else {
      const kept = values.keep ? `, ${replaceCorpus(target, result.kept)} kept` : '';
      console.log(`${target}: ${result.runs} runs${kept}`);
    }
  }
}
await Promise.all(Array.from({ length: jobs }, work));

const pad = (text: string | number, width: number) => String(text).padStart(width);
console.log(
  `\n${'target'.padEnd(14)}${['runs', 'runs/s', 'inputs', 'new', 'code', 'bugs'].map((word) => pad(word, 10)).join('')}`,
);
for (const [name, { runs, tookMs, corpus, added, coveredChars, failure }] of results) {
  const cells = [
    runs,
    Math.round((runs * 1_000) / Math.max(1, tookMs)),
    corpus,
    added,
    coveredChars,
    failure === undefined ? 0 : 1,
  ];
  console.log(name.padEnd(14) + cells.map((cell) => pad(cell, 10)).join(''));
}
for (const failure of failures) console.log(`\n${failure}`);
console.log(`\n${results.size} targets, ${failures.length} bugs; seed ${seed}`);
process.exit(failures.length === 0 ? 0 : 1);
