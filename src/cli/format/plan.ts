/** `exo plan`: who would compute which layers of a model, how fast, and who would not and why. Pure. */
import { printable } from '../../shared/index.js';
import type { AnswerNoteJson, PlanJson, PlanRangeJson, TopologyJson } from '../api-shapes.js';
import type { Colours } from '../host.js';
import { columns } from './columns.js';
import { rate, roundTrip } from './units.js';

/** The lines of `exo plan`. */
export function formatPlan(plan: PlanJson, c: Colours): string[] {
  const { model, reason, ring, predicted, outsiders } = plan;
  const figures = predicted === null ? [] : [figuresText(predicted)];
  const rows = (ring ?? []).map(({ node_id: id, start_layer: start, end_layer: end }) => [
    printable(id, 60),
    `layers ${start}-${end}`,
  ]);
  return [
    `${c.bold(printable(model, 128))}  ${printable(reason, 400)}`,
    ...(ring === null ? ['each node sees to its layers itself'] : columns(rows)),
    ...figures,
    ...pathLines(plan),
    ...outsiderLines(outsiders),
  ];
}

/** What is predicted, and what of it is waiting that comes once. */
function figuresText(predicted: NonNullable<PlanJson['predicted']>): string {
  const { fetch_ms: fetchMs, load_ms: loadMs = 0 } = predicted;
  const once = [
    ...(fetchMs > 0
      ? [`${seconds(fetchMs)} of it to fetch files${unmeasured(predicted.fetch_assumed)}`]
      : []),
    ...(loadMs > 0 ? [`${seconds(loadMs)} of it to load weights${unmeasured(predicted.load_assumed)}`] : []),
  ];
  const rates = `${predicted.tokens_per_s.toFixed(1)} tokens/s and ${seconds(predicted.first_token_ms)} to the first token are predicted`;
  return [rates, ...once].join(', ');
}

function unmeasured(isAssumed: boolean | undefined): string {
  return isAssumed === true ? ' (how fast they come was not measured)' : '';
}

/** The way of a token, and what is known of it. */
function pathLines({ paths = [] }: PlanJson): string[] {
  if (paths.length === 0) return [];
  const rows = paths.map(({ from, to, rtt_ms: rttMs, bytes_per_s: bytesPerS, measured }) => [
    `${printable(from, 60)} -> ${printable(to, 60)}`,
    roundTrip(rttMs),
    `${rate(bytesPerS)}, ${measured ? 'measured' : 'assumed'}`,
  ]);
  return ['', 'paths:', ...columns(rows)];
}

/** Nodes that take no layers, and why. */
export function outsiderLines(outsiders: TopologyJson['outsiders'] = []): string[] {
  if (outsiders.length === 0) return [];
  const rows = outsiders.map(({ node_id: id, reason }) => [printable(id, 60), printable(reason, 300)]);
  return ['', 'take no layers:', ...columns(rows)];
}

/** `a (layers 0-11), b (layers 12-23): 41.2 tokens/s, 38.0 predicted` */
export function answerText({ model, ring, predicted, measured }: AnswerNoteJson): string {
  const where = ring === null ? 'each node by itself' : ring.map(placeText).join(', ');
  const rates = [
    ...(measured === null ? [] : [`${measured.tokens_per_s.toFixed(1)} tokens/s`]),
    ...(predicted === null
      ? []
      : [`${predicted.tokens_per_s.toFixed(1)}${measured === null ? ' tokens/s' : ''} predicted`]),
  ];
  return `${printable(model, 60)} on ${where}${rates.length === 0 ? '' : `: ${rates.join(', ')}`}`;
}

function placeText({ node_id: id, start_layer: start, end_layer: end }: PlanRangeJson): string {
  return `${printable(id, 60)} (layers ${start}-${end})`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 0)} s`;
}
