/**
 * `npm run bench`: every row beside its ceiling, rounds interleaved, medians, absolutes printed too.
 *
 *   npm run bench                            all sections
 *   npm run bench -- --only tunnels          those whose name contains the word
 *   npm run bench -- --quick                 three rounds, to see that it works; the figures mean little
 *   npm run bench -- --json FILE             writes the rows, too
 */
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { readArguments } from '../tools/arguments.mjs';
import { codecRows } from './codec.js';
import { Contender } from './contender.js';
import { convergenceRows } from './convergence.js';
import { idleRows } from './idle.js';
import { atLeast, atMost, formatRows, median, type Row } from './table.js';
import { tunnelRows } from './tunnels.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const { values: flags } = readArguments(import.meta.url, {
  options: { json: { type: 'string' }, quick: { type: 'boolean' }, only: { type: 'string' } },
});
const ROUNDS = flags.quick ? 3 : 9;
const SCALE = flags.quick ? 0.2 : 1;

const bareEcho = () =>
  new Contender('bare', { server: 'ceilings/echo-server.mjs', client: 'ceilings/echo-client.mjs' });
const exoEcho = () => new Contender('exo', { server: 'exo/server.ts', client: 'exo/echo-client.ts' });
const ws = () =>
  new Contender('ws', { server: 'neighbours/ws-server.mjs', client: 'neighbours/ws-client.mjs' });
const zeromq = () =>
  new Contender('zeromq', { server: 'neighbours/zeromq-server.mjs', client: 'neighbours/zeromq-client.mjs' });

/** Runs `ROUNDS` rounds of each contender in turn and returns the medians of `key` by name. */
async function interleaved(
  contenders: readonly Contender[],
  parameters: { readonly size: number; readonly count: number; readonly inFlight?: number },
  key: string,
): Promise<Record<string, number>> {
  const scaled = { ...parameters, count: Math.max(8, Math.round(parameters.count * SCALE)) };
  const rounds = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (const contender of contenders) await contender.round(scaled);
  for (let n = 0; n < ROUNDS; n++) {
    for (const contender of contenders)
      rounds.get(contender.name)!.push((await contender.round(scaled))[key]!);
  }
  return Object.fromEntries([...rounds].map(([name, values]) => [name, median(values)]));
}

async function withAll<T>(contenders: readonly Contender[], run: () => Promise<T>): Promise<T> {
  try {
    for (const contender of contenders) await contender.start();
    return await run();
  } finally {
    for (const contender of contenders) await contender.stop();
  }
}

async function roundTripRows(): Promise<Row[]> {
  const rows: Row[] = [];
  const all = [bareEcho(), exoEcho(), ws(), zeromq()];
  await withAll(all, async () => {
    for (const { label, size, count, bare, overZeromq } of [
      { label: '0 B', size: 0, count: 5_000, bare: 1.35, overZeromq: 1 },
      { label: '8 KiB', size: 8_192, count: 5_000, bare: 1.25, overZeromq: 1 },
      { label: '1 MiB', size: MIB, count: 200, bare: undefined, overZeromq: 2 },
      { label: '16 MiB', size: 16 * MIB, count: 12, bare: undefined, overZeromq: 1 },
    ]) {
      const p50 = await interleaved(all, { size, count }, 'p50');
      const name = `round trip ${label}`;
      rows.push(
        atMost(name, 'µs p50', p50['exo']!, 'bare echo', p50['bare']!, bare ?? Number.POSITIVE_INFINITY),
      );
      rows.push(atMost(name, 'µs p50', p50['exo']!, 'ws', p50['ws']!, 1));
      rows.push(atMost(name, 'µs p50', p50['exo']!, 'zeromq', p50['zeromq']!, overZeromq));
    }
  });
  return rows;
}

async function pipelineRows(): Promise<Row[]> {
  const bare = new Contender('bare', {
    server: 'ceilings/pipeline-server.mjs',
    client: 'ceilings/pipeline-client.mjs',
  });
  const exo = new Contender('exo', { server: 'exo/server.ts', client: 'exo/pipeline-client.ts' });
  const rows: Row[] = [];
  await withAll([bare, exo], async () => {
    for (const { label, size, count, min } of [
      { label: '0 B', size: 0, count: 60_000, min: 0.5 },
      { label: '8 KiB', size: 8_192, count: 20_000, min: 0.4 },
    ]) {
      const rate = await interleaved([bare, exo], { size, count, inFlight: 64 }, 'perSecond');
      rows.push(
        atLeast(`64 in flight, ${label}`, 'requests/s', rate['exo']!, 'bare loop', rate['bare']!, min),
      );
    }
  });
  return rows;
}

async function throughputRows(): Promise<Row[]> {
  const bare = new Contender('bare', {
    server: 'ceilings/sink-server.mjs',
    client: 'ceilings/sink-client.mjs',
  });
  const exo = new Contender('exo', { server: 'exo/server.ts', client: 'exo/tensor-client.ts' });
  const rows: Row[] = [];
  await withAll([bare, exo], async () => {
    for (const { label, size, count, inFlight, min } of [
      { label: 'tensors of 16 MiB', size: 16 * MIB, count: 32, inFlight: 2, min: 0.85 },
      // with its metadata a tensor of this size fills one frame
      { label: 'frames of 256 KiB', size: 255 * KIB, count: 2_048, inFlight: 16, min: 0.5 },
    ]) {
      const rate = await interleaved([bare, exo], { size, count, inFlight }, 'bytesPerSecond');
      rows.push(atLeast(label, 'MB/s', rate['exo']! / 1e6, 'bare one-way', rate['bare']! / 1e6, min));
    }
    const ours = (await exo.serverReport())['rss']! / (16 * MIB);
    const theirs = (await bare.serverReport())['rss']! / (16 * MIB);
    rows.push({
      name: 'resident memory of the receiver',
      unit: 'frames of 16 MiB',
      ours,
      ceiling: theirs,
      against: 'bare reader',
      ratio: ours / theirs,
      goal: '≤ 3 frames more',
      met: ours - theirs <= 3,
    });
  });
  return rows;
}

/** The same programs twice, in plain and over TLS: same listener, same session. */
async function encryptionRows(): Promise<Row[]> {
  const pair = (client: string) =>
    ['plain', 'secure'].map((name) => new Contender(name, { server: 'exo/server.ts', client, args: [name] }));
  const rows: Row[] = [];
  const echoes = pair('exo/echo-client.ts');
  await withAll(echoes, async () => {
    for (const { label, size, count, max } of [
      { label: '0 B', size: 0, count: 5_000, max: Number.POSITIVE_INFINITY },
      { label: '8 KiB', size: 8_192, count: 5_000, max: 2 },
      { label: '1 MiB', size: MIB, count: 100, max: Number.POSITIVE_INFINITY },
    ]) {
      const p50 = await interleaved(echoes, { size, count }, 'p50');
      rows.push(atMost(`${label} round trip, TLS`, 'µs p50', p50['secure']!, 'plain', p50['plain']!, max));
    }
  });
  const flows = pair('exo/tensor-client.ts');
  await withAll(flows, async () => {
    const rate = await interleaved(flows, { size: 16 * MIB, count: 16, inFlight: 2 }, 'bytesPerSecond');
    const [ours, plain] = [rate['secure']! / 1e6, rate['plain']! / 1e6];
    rows.push(atLeast('tensors of 16 MiB, TLS', 'MB/s', ours, 'plain', plain, 0));
  });
  const greetings = pair('exo/hello-client.ts');
  await withAll(greetings, async () => {
    const p50 = await interleaved(greetings, { size: 0, count: 200 }, 'p50');
    const [ours, plain] = [p50['secure']!, p50['plain']!];
    rows.push(atMost('dial and hello, TLS', 'ms p50', ours, 'plain', plain, Number.POSITIVE_INFINITY));
  });
  return rows;
}

const SECTIONS: ReadonlyArray<{ readonly name: string; readonly run: () => Promise<Row[]> }> = [
  { name: 'codec', run: () => codecRows(flags.quick === true) },
  { name: 'round trip', run: roundTripRows },
  { name: 'pipeline', run: pipelineRows },
  { name: 'throughput', run: throughputRows },
  { name: 'encryption', run: encryptionRows },
  { name: 'convergence', run: () => convergenceRows(flags.quick === true) },
  { name: 'idle', run: () => idleRows(flags.quick === true) },
  { name: 'tunnels', run: () => tunnelRows(flags.quick === true) },
];

const rows: Row[] = [];
for (const section of SECTIONS.filter(({ name }) => name.includes(flags.only ?? ''))) {
  process.stderr.write(`${section.name} …\n`);
  rows.push(...(await section.run()));
}
console.log(formatRows(rows));
const machine = {
  cpu: os.cpus()[0]?.model,
  cores: os.cpus().length,
  node: process.version,
  platform: process.platform,
};
if (flags.json !== undefined) {
  await writeFile(
    flags.json,
    `${JSON.stringify({ schemaVersion: 1, machine, rounds: ROUNDS, rows }, null, 2)}\n`,
  );
}
process.exitCode = rows.every((row) => row.met) ? 0 : 1;
