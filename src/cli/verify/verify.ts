/**
 * `exo verify`: asks a running node the same questions twice, computed by one node and split over several, and compares ids and log
 * probabilities. Exit code 0 only where both are the same within the bound, and where there was something to compare.
 */
import { parseLayerRanges } from '../../node/config/index.js';
import { closest, ExoError, LIMITS, printable } from '../../shared/index.js';
import { callApi } from '../api-client.js';
import type { StatusJson } from '../api-shapes.js';
import { CLI_SCHEMA_VERSION, type ClientOptions, printJson } from '../commands/view.js';
import { EXIT, HintedError } from '../errors.js';
import { columns } from '../format/columns.js';
import { whereText } from '../format/where.js';
import { type CliHost, colours } from '../host.js';
import { Progress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';
import { type ApiTarget, resolveTarget } from '../target.js';
import { askPlaced, type PlacedAnswer, type VerifyPlacement } from './ask.js';
import { BOUNDED_TYPES, BOUNDS } from './bounds.js';
import { type Comparison, compare } from './compare.js';
import { VERIFY_PROMPTS } from './prompts.js';

/** Options of `exo verify`. */
export interface VerifyOptions extends ClientOptions {
  readonly tokens: string;
  readonly weights: string;
  readonly timeout: string;
  /** As `--layers` of a node; absent: as the node splits. */
  readonly layers?: string;
}

/** One question, both ways. */
interface Checked {
  readonly prompt: string;
  readonly solo: PlacedAnswer;
  readonly split: PlacedAnswer;
  readonly comparison: Comparison;
}

const PROMPT_CHARS_SHOWN = 30;
const PEERS_SHOWN = 3;

/** Exit code 0: equal; 1: different, or nothing was compared. */
export async function verify(host: CliHost, model: string, options: VerifyOptions): Promise<number> {
  const tokens = number(options.tokens, '--tokens', LIMITS.verifyTokensMax);
  const timeoutMs = number(options.timeout, '--timeout', LIMITS.verifyTimeoutSecondsMax) * 1000;
  const bound = boundOf(options.weights);
  const placement = options.layers === undefined ? 'split' : layersOf(options.layers);
  const target = resolveTarget(options.api, host.env);
  const stop = stopSignal(host);
  const progress = new Progress(host, 'asking');
  const checked: Checked[] = [];
  try {
    await requireOthers(host, target, stop.signal);
    for (const [index, prompt] of VERIFY_PROMPTS.entries()) {
      progress.update(`question ${index + 1} of ${VERIFY_PROMPTS.length}`);
      const ask = (how: VerifyPlacement) =>
        askPlaced(host.clock, target, { model, prompt, tokens, placement: how, timeoutMs }, stop.signal);
      const solo = await ask('solo');
      const split = await ask(placement);
      requireSplit(solo, split);
      checked.push({ prompt, solo, split, comparison: compare(solo, split, bound) });
    }
  } catch (error) {
    if (stop.signal.aborted) return EXIT.cancelled;
    throw error;
  } finally {
    progress.end();
    stop.release();
  }
  report(host, target, options, bound, checked);
  return checked.every(({ comparison }) => comparison.isEqual) ? EXIT.ok : EXIT.failed;
}

/** Before anything is asked: one node has nobody to split a model with. */
async function requireOthers(host: CliHost, target: ApiTarget, signal: AbortSignal): Promise<void> {
  const { self, peers } = await callApi<StatusJson>(host.clock, target, {
    method: 'GET',
    path: '/v1/status',
    signal,
  });
  if (peers.some(({ state }) => state === 'alive')) return;
  const gone = peers.map(({ id, state }) => `${printable(id, 60)} is ${state}`);
  throw new HintedError(
    'ring-incomplete',
    `nothing to compare: ${printable(self.id, 60)} is alone in its mesh, and an answer is compared with one that is split over several nodes${gone.length === 0 ? '' : ` (${gone.slice(0, PEERS_SHOWN).join(', ')})`}`,
    'start a second node: exo on another machine, or here with other ports; exo connect user@host does it over ssh',
  );
}

/** Two answers of one node prove nothing. */
function requireSplit(solo: PlacedAnswer, split: PlacedAnswer): void {
  if (solo.ring === null || split.ring === null) {
    throw new ExoError(
      'request-unsupported',
      'nothing was compared: with an old peer in the mesh nobody chooses which nodes compute; verify without it',
    );
  }
  if (split.ring.length > 1 && solo.ring.length === 1) return;
  throw new ExoError(
    'ring-incomplete',
    `nothing was compared: the answers were computed by ${whereText(solo.ring)} and by ${whereText(split.ring)}${split.why === '' ? '' : ` (${split.why})`}; "exo topology" shows which nodes are there`,
  );
}

function report(
  host: CliHost,
  target: ApiTarget,
  options: VerifyOptions,
  bound: number,
  checked: readonly Checked[],
): void {
  const isEqual = checked.every(({ comparison }) => comparison.isEqual);
  const [first] = checked;
  if (options.json === true) {
    printJson(host, {
      schema_version: CLI_SCHEMA_VERSION,
      model: first!.solo.model,
      node: target.run?.id ?? null,
      bound,
      equal: isEqual,
      questions: checked.map(({ prompt, solo, split, comparison }) => ({
        prompt,
        solo: solo.ring,
        split: split.ring,
        equal: comparison.isEqual,
        tokens: comparison.tokens,
        same_tokens: comparison.same,
        difference: comparison.difference,
        difference_at: comparison.differenceAt,
        fork: comparison.fork ?? null,
      })),
    });
    return;
  }
  const c = colours(host.stdout, host.env);
  const rows = checked.map(({ prompt, comparison }) => [
    printable(prompt, PROMPT_CHARS_SHOWN),
    `${comparison.same} of ${comparison.tokens}`,
    comparison.difference.toExponential(1),
    comparison.tokens === 0 ? '' : `token ${comparison.differenceAt + 1}`,
    verdictOf(comparison),
  ]);
  const table = columns(rows, {
    head: ['question', 'same tokens', 'difference', 'at', ''],
    paint: (text, row, column) => (column === 4 && !checked[row]!.comparison.isEqual ? c.red(text) : text),
  });
  const lines = [
    `${printable(first!.solo.model, 100)}, computed by ${whereText(first!.solo.ring ?? [])}`,
    `and by ${whereText(first!.split.ring ?? [])}`,
    ...table,
    isEqual
      ? `the same: log probabilities differ by at most ${bound}`
      : `NOT the same: more than ${bound} apart (--weights ${options.weights}), or other tokens`,
  ];
  host.stdout.write(`${lines.join('\n')}\n`);
}

function verdictOf({ isEqual, fork, difference }: Comparison): string {
  if (fork === undefined) return isEqual ? 'same' : `${difference.toExponential(1)} apart`;
  const where = `"${fork.one}" and "${fork.other}" at token ${fork.at + 1}, the two best ${fork.gap.toExponential(1)} apart`;
  return isEqual ? `a tie: ${where}` : where;
}

function boundOf(text: string): number {
  const type = BOUNDED_TYPES.find((each) => each === text.toLowerCase());
  if (type !== undefined) return BOUNDS[type];
  const near = closest(text, BOUNDED_TYPES);
  throw new ExoError(
    'option-invalid',
    `--weights: "${printable(text, 40)}" is not a type of weights; ${near === undefined ? '' : `did you mean ${near}? `}choose from ${BOUNDED_TYPES.join(', ')}`,
  );
}

function layersOf(text: string): VerifyPlacement {
  try {
    return parseLayerRanges(text).map(({ nodeId, startLayer, endLayer }) => {
      return { node: nodeId, layers: [startLayer, endLayer] as const };
    });
  } catch (error) {
    throw new ExoError('option-invalid', `--layers: ${(error as Error).message}`);
  }
}

function number(text: string, option: string, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= max) return value;
  throw new ExoError(
    'option-invalid',
    `${option}: "${printable(text, 40)}" is not a whole number from 1 to ${max}`,
  );
}
