/** What came of the faults: who was faster, whether ours said `up` while it was not, and the table in docs/TUNNELS.md. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { formatCells, median } from '../table.js';
import type { Fault } from './faults.js';
import type { Said } from './stage.js';

/** One fault, once. */
export interface Outcome {
  /** Milliseconds until it worked again; undefined: not in time. */
  readonly tookMs: number | undefined;
  /** Ours only: milliseconds from the fault until the tunnel no longer said `up`. */
  readonly noticedMs: number | undefined;
  /** Ours only: wall times at which it said `up` while the health client got nothing. */
  readonly falseClaims: readonly number[];
}

/** One row. */
export interface Result {
  readonly fault: Fault;
  readonly exo: readonly Outcome[];
  readonly plain: readonly Outcome[];
  readonly tuned: readonly Outcome[];
}

/** The client asks ten times a second, and two clocks are read: closer than this is the same moment. */
const SAME_MOMENT_MS = 300;
const KILL_RATIO_MAX = 1.1;
const DOCUMENT = fileURLToPath(new URL('../../docs/TUNNELS.md', import.meta.url));
const BEGIN = '<!-- bench:tunnels begin -->';
const END = '<!-- bench:tunnels end -->';

/** From the fault until the first word that it is not up. */
export function noticedAfterMs(said: readonly Said[], faultAtMs: number): number | undefined {
  const first = said.find(({ atMs, from }) => atMs >= faultAtMs && from === 'up');
  return first === undefined ? undefined : first.atMs - faultAtMs;
}

/** When it became `up` although no health check came through until later. */
export function falseClaims(said: readonly Said[], faultAtMs: number, worksAtMs: number): number[] {
  return said
    .filter(({ to, atMs }) => to === 'up' && atMs > faultAtMs && atMs < worksAtMs - SAME_MOMENT_MS)
    .map(({ atMs }) => atMs);
}

/** Prints the table and, where asked, writes it into the document. Returns whether every row is as it must be. */
export function writeTable(
  results: readonly Result[],
  options: {
    readonly lateMs: number;
    readonly rounds: number;
    readonly kills: number;
    readonly write: boolean;
  },
): boolean {
  const time = (outcomes: readonly Outcome[]) => timeText(outcomes, options.lateMs);
  const middle = (outcomes: readonly Outcome[]) =>
    median(outcomes.map(({ tookMs }) => tookMs ?? Number.POSITIVE_INFINITY));
  let good = true;
  const rows = results.map(({ fault, exo, plain, tuned }) => {
    const ours = middle(exo);
    const lied = exo.some(({ falseClaims: claims }) => claims.length > 0);
    // To a killed ssh keepalives make no difference: there both are one autossh, measured twice as often.
    const fast =
      fault.name === 'kill'
        ? ours <= middle([...plain, ...tuned]) * KILL_RATIO_MAX
        : ours < Math.min(middle(plain), middle(tuned));
    const met = !lied && fast;
    good &&= met;
    return { cells: [fault.title, time(exo), noticedText(exo), time(plain), time(tuned)], met };
  });
  const head = ['fault', 'exo', 'exo says so after', 'autossh as usually typed', 'autossh with keepalives'];
  console.log(
    formatCells([[...head, ''], ...rows.map(({ cells, met }) => [...cells, met ? 'met' : 'MISSED'])]),
  );
  if (options.write) {
    writeIntoDocument([markdown([head, ...rows.map(({ cells }) => cells)]), conditions(options)].join('\n'));
  }
  return good;
}

function timeText(outcomes: readonly Outcome[], lateMs: number): string {
  const times = outcomes.map(({ tookMs }) => tookMs ?? Number.POSITIVE_INFINITY);
  const [middle, worst] = [median(times), Math.max(...times)];
  const text = (ms: number) => (Number.isFinite(ms) ? seconds(ms) : `over ${lateMs / 1_000} s`);
  return text(middle) === text(worst) ? text(middle) : `${text(middle)} (worst ${text(worst)})`;
}

function noticedText(outcomes: readonly Outcome[]): string {
  const times = outcomes.flatMap(({ noticedMs }) => noticedMs ?? []);
  return times.length === 0 ? '-' : seconds(median(times));
}

function seconds(ms: number): string {
  return ms < 9_950 ? `${(ms / 1_000).toFixed(ms < 995 ? 2 : 1)} s` : `${Math.round(ms / 1_000)} s`;
}

function markdown(lines: readonly (readonly string[])[]): string {
  const [head, ...rest] = lines.map((cells) => `| ${cells.join(' | ')} |`);
  return [head, `|${'---|'.repeat(lines[0]!.length)}`, ...rest, ''].join('\n');
}

function conditions({ rounds, kills }: { readonly rounds: number; readonly kills: number }): string {
  const version = (command: string) => {
    const { stdout, stderr } = spawnSync(command, ['-V'], { encoding: 'utf8' });
    return `${stdout}${stderr}`.trim().split(/[\n,]/)[0];
  };
  return `Medians of ${rounds} rounds (of ${kills} kills), ${new Date().toISOString().slice(0, 10)}, ${os.cpus()[0]?.model}, ${os.cpus().length} cores, Linux ${os.release().split('.', 2).join('.')}, ${version('ssh')}, ${version('autossh')}, Node ${process.version}.`;
}

function writeIntoDocument(table: string): void {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`docs/TUNNELS.md has no ${BEGIN} … ${END}`);
  writeFileSync(DOCUMENT, `${text.slice(0, from + BEGIN.length)}\n\n${table}\n\n${text.slice(to)}`);
}
