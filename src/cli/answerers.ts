/** The two that may answer `exo run`: a node that runs already, and one started in this process. */
import type { EngineModels } from '../inference/index.js';
import { type NodeSettings, readConfig } from '../node/config/index.js';
import { exoHome } from '../node/home/index.js';
import type { RawOptions } from '../node/options/index.js';
import {
  closest,
  createLogger,
  ExoError,
  formatAddress,
  printable,
  silentLogger,
  toExoError,
  withDeadline,
} from '../shared/index.js';
import type { ChatExoJson } from './api-shapes.js';
import { askNode, type Question } from './chat-stream.js';
import { watchDownloads, watchOwnDownloads } from './download-watch.js';
import { HintedError } from './errors.js';
import { type CliHost, wantsColour } from './host.js';
import { untilNamedNodes } from './named-nodes.js';
import { Progress } from './progress.js';
import type { ApiTarget } from './target.js';

/** Between two looks how far files are that come. */
const FETCHING_LOOK_MS = 1_000;

/** What answers. */
export interface Answerer {
  /** For the line that says who answers. */
  readonly name: string;
  /** Calls `onText` for each piece of the answer. */
  ask(signal: AbortSignal, onText: (text: string) => void): Promise<Answer>;
  close(): Promise<void>;
  /** Right before an immediate end. */
  abandon(): void;
}

/** What was counted. */
export interface Answer {
  /** That answered. */
  readonly model: string;
  readonly finishReason: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Where it was computed, where that is known. */
  readonly where?: ChatExoJson;
}

/** The running node at `target`. Options that the user did not give stay the node's own. */
export function remoteAnswerer(host: CliHost, target: ApiTarget, raw: RawOptions): Answerer {
  // Checks the values with the names of their options.
  const { inference, question, api } = readConfig(raw, {});
  const given = (name: string) => raw[name] !== undefined;
  const ask: Question = {
    model: question.model ?? '',
    prompt: question.prompt,
    systemPrompt: inference.systemPrompt,
    ...(given('default-temp') ? { temperature: inference.defaultTemperature } : {}),
    ...(given('max-generate-tokens') ? { maxTokens: inference.maxGenerateTokens } : {}),
  };
  const name = target.run?.id ?? formatAddress(target);
  return {
    name,
    ask: (signal, onText) =>
      withProgress(host, `${name} is answering`, signal, onText, async (until, piece, update) => {
        const endWatch = watchDownloads(host, target, update);
        const answer = (signal: AbortSignal) =>
          askNode(target, ask, signal, (text) => {
            endWatch();
            piece(text);
          });
        const timeoutMs = api.responseTimeoutMs;
        const deadline = { clock: host.clock, timeoutMs, owner: until, tooLate: () => tooLong(timeoutMs) };
        const isBounded = given('chatgpt-api-response-timeout');
        return await (isBounded ? withDeadline(deadline, answer) : answer(until)).finally(endWatch);
      }),
    close: async () => undefined,
    abandon: () => undefined,
  };
}

/** A node of its own for one question; it says only what goes wrong. */
export async function localAnswerer(host: CliHost, raw: RawOptions, signal: AbortSignal): Promise<Answerer> {
  const settings = readConfig(raw, host.env);
  await refuseUnknownModel(host, settings, signal);
  const logger = await createLogger({
    level: host.env['DEBUG'] ? settings.logLevel : 'error',
    format: host.stderr.isTTY === true ? 'pretty' : 'json',
    colour: wantsColour(host.stderr, host.env),
  });
  if (host.stderr.isTTY === true) {
    for (const { level, message } of settings.notes) if (level !== 'debug') host.stderr.write(`${message}\n`);
  }
  const { startNode } = await import('./running-node.js');
  const running = await startNode(host, { settings, api: false, logger, quit: () => undefined });
  try {
    if (settings.waitForPeers > 0) {
      const progress = new Progress(host, `waiting for ${settings.waitForPeers} peers`);
      await running.node.mesh.waitForPeers(settings.waitForPeers, signal).finally(() => progress.end());
    }
    const { placement } = settings.inference;
    const findsPeers = settings.discovery.modules.length > 0;
    await untilNamedNodes(host, running.node.mesh, { placement, findsPeers }, signal);
  } catch (error) {
    await running.stop();
    throw error;
  }
  return {
    name: running.id,
    ask: (until, onText) =>
      withProgress(host, 'the model is being made ready', until, onText, async (stop, piece, update) => {
        const { downloads } = running;
        // Of several nodes each fetches its own layers: the board has them all.
        const endWatch = downloads === undefined ? undefined : watchOwnDownloads(host, downloads, update);
        try {
          const generation = await running.node.chat.start({
            model: settings.question.model ?? '',
            messages: [{ role: 'user', content: settings.question.prompt }],
            signal: stop,
          });
          for await (const { text } of generation.tokens) {
            endWatch?.();
            piece(text);
          }
          const { finishReason, completionTokens } = await generation.result;
          const { model, promptTokens, plan } = generation;
          const ring = plan?.ring?.map(({ nodeId, shard: { startLayer, endLayer } }) => {
            return { node: nodeId, layers: [startLayer, endLayer] as const };
          });
          const where = { ring: ring ?? null, predicted_tokens_per_s: plan?.prediction?.tokensPerS ?? null };
          return { model, finishReason, completionTokens, promptTokens, where };
        } finally {
          endWatch?.();
        }
      }),
    close: () => running.stop(),
    abandon: () => running.abandon(),
  };
}

/** Before anything is started for it: a node takes a moment, and leaves files and log lines. */
async function refuseUnknownModel(host: CliHost, settings: NodeSettings, signal: AbortSignal): Promise<void> {
  const { inference, question } = settings;
  const [{ meantModel, resolveModel }, { nodeModels }] = await Promise.all([
    import('../inference/index.js'),
    import('../node/index.js'),
  ]);
  const models = await nodeModels(settings, { ...host, home: exoHome(host.env), log: silentLogger });
  const name = question.model ?? undefined;
  try {
    const meant = meantModel(name, models, inference.defaultModel);
    // What is not here is known by its small files, which the node would fetch, too.
    await untilLearnt(host, models, meant, signal);
    resolveModel(name, models, inference.defaultModel);
  } catch (error) {
    const { code, message } = toExoError(error);
    if (code !== 'model-unknown') throw error;
    const known = models.list().map(({ id }) => id);
    const near = closest(name ?? '', known);
    if (name === 'dummy') {
      const line = 'exo run dummy --inference-engine dummy';
      throw new HintedError(code, message, `dummy is the model of an engine for tests: ${line}`);
    }
    const example =
      inference.engine === 'dummy'
        ? 'exo run dummy; real models need another engine: leave --inference-engine out'
        : `exo run ${known[0] ?? 'org/repo'}; exo model pull fetches others`;
    const hint = near === undefined ? `for example: ${example}` : `did you mean: exo run ${near}?`;
    throw new HintedError(code, message, hint);
  }
}

/** A tokenizer of 10 MB takes a while over a slow link: who waits for it sees how far it is. */
async function untilLearnt(
  host: CliHost,
  models: EngineModels,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const progress = new Progress(host, `looking for ${printable(id, 60)}`);
  const timer = host.clock.every(FETCHING_LOOK_MS, () => {
    const words = models.fetching?.(id);
    if (words !== undefined) progress.update(`${printable(id, 60)}: ${words}`);
  });
  try {
    await models.learn(id, signal, true);
  } finally {
    timer.cancel();
    progress.end();
  }
}

/** Progress until the first piece of text. */
async function withProgress(
  host: CliHost,
  text: string,
  signal: AbortSignal,
  onText: (text: string) => void,
  work: (
    signal: AbortSignal,
    onText: (text: string) => void,
    update: (text: string) => void,
  ) => Promise<Answer>,
): Promise<Answer> {
  const progress = new Progress(host, text);
  try {
    const say = (piece: string) => {
      progress.end();
      onText(piece);
    };
    return await work(signal, say, (now) => progress.update(now));
  } finally {
    progress.end();
  }
}

const tooLong = (timeoutMs: number) =>
  new ExoError(
    'generation-timeout',
    `no complete answer within ${timeoutMs / 1000} s; allow more with --chatgpt-api-response-timeout`,
  );
