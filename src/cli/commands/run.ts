/**
 * `exo run` and `exo --run-model`: one question, one answer. A running node answers it; where none runs, or options of
 * a node were given, a node is started in this process for as long as it takes.
 */
import type { RawOptions } from '../../node/options/index.js';
import { ExoError, printableLines } from '../../shared/index.js';
import type { Answer, Answerer } from '../answerers.js';
import { EXIT } from '../errors.js';
import { whereText } from '../format/where.js';
import type { CliHost } from '../host.js';
import { stopSignal } from '../stop-signal.js';
import { type ApiTarget, ambiguous, namedTarget, runningNodes, runTarget } from '../target.js';
import { CLI_SCHEMA_VERSION, type ClientOptions, printJson } from './view.js';

/** Options that are about the question, or mean nothing to a node that runs already. */
const OF_THE_QUESTION: ReadonlySet<string> = new Set([
  'run-model',
  'prompt',
  'max-generate-tokens',
  'default-temp',
  'system-prompt',
  'chatgpt-api-response-timeout',
  'disable-tui',
]);

/** Exit code 0 after the whole answer, 130 after Ctrl-C. */
export async function run(
  host: CliHost,
  model: string,
  raw: RawOptions,
  options: ClientOptions,
): Promise<number> {
  const prompt = raw['prompt'] === '-' ? (await host.readInput()).trimEnd() : raw['prompt'];
  const question = { ...raw, 'run-model': model === '' ? undefined : model, prompt };
  const target = chooseTarget(host, raw, options);
  const stop = stopSignal(host, { onForced: () => answerer?.abandon() });
  let answerer: Answerer | undefined;
  let text = '';
  try {
    const { localAnswerer, remoteAnswerer } = await import('../answerers.js');
    answerer =
      target === undefined
        ? await localAnswerer(host, question, stop.signal)
        : remoteAnswerer(host, target, question);
    const startMs = host.clock.now();
    const answer = await answerer.ask(stop.signal, (piece) => {
      text += piece;
      if (options.json === true) return;
      // A model may have been taught to command the terminal that its answer is read on; a file gets what was answered.
      host.stdout.write(host.stdout.isTTY === true ? printableLines(piece) : piece);
    });
    finish(host, answerer.name, text, answer, host.clock.now() - startMs, options.json === true);
    return EXIT.ok;
  } catch (error) {
    if (text !== '' && options.json !== true) host.stdout.write('\n');
    if (stop.signal.aborted) return EXIT.cancelled;
    throw error;
  } finally {
    await answerer?.close();
    stop.release();
  }
}

/** Undefined: start a node here. */
function chooseTarget(host: CliHost, raw: RawOptions, options: ClientOptions): ApiTarget | undefined {
  const ofNode = Object.keys(raw).filter((name) => raw[name] !== undefined && !OF_THE_QUESTION.has(name));
  if (options.api !== undefined && ofNode.length > 0) {
    throw new ExoError(
      'option-conflict',
      `--api asks a running node, but --${ofNode[0]} is for starting one; leave out one of the two`,
    );
  }
  if (ofNode.length > 0) return undefined;
  const named = namedTarget(options.api, host.env);
  if (named !== undefined) return named;
  const nodes = runningNodes(host.env);
  if (nodes.length > 1) throw ambiguous(nodes);
  return nodes[0] === undefined ? undefined : runTarget(nodes[0]);
}

function finish(
  host: CliHost,
  node: string,
  text: string,
  answer: Answer,
  tookMs: number,
  asJson: boolean,
): void {
  const { model, finishReason, promptTokens, completionTokens } = answer;
  if (asJson) {
    printJson(host, {
      schema_version: CLI_SCHEMA_VERSION,
      model,
      node,
      content: text,
      finish_reason: finishReason,
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      took_ms: Math.round(tookMs),
      ring: answer.where?.ring ?? null,
      predicted_tokens_per_s: answer.where?.predicted_tokens_per_s ?? null,
    });
    return;
  }
  host.stdout.write('\n');
  if (host.stderr.isTTY !== true) return;
  const rate = tookMs > 0 ? `, ${((completionTokens / tookMs) * 1000).toFixed(1)} tokens/s` : '';
  const cut = finishReason === 'length' ? ' (cut at --max-generate-tokens)' : '';
  host.stderr.write(`${completionTokens} tokens of ${model} by ${node}${rate}${cut}\n`);
  const { ring, predicted_tokens_per_s: predicted } = answer.where ?? { ring: null };
  if (ring == null) return;
  const expected = predicted == null ? '' : ` (${predicted.toFixed(1)} tokens/s were predicted)`;
  host.stderr.write(`computed by ${whereText(ring)}${expected}\n`);
}
