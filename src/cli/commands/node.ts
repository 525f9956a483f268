/** `exo` and `exo node`: runs a node in the foreground until a signal or /quit. */
import { type NodeSettings, readConfig } from '../../node/config/index.js';
import { exoHome } from '../../node/home/index.js';
import type { RawOptions } from '../../node/options/index.js';
import { createLogger, formatAddress, type Logger, toExoError } from '../../shared/index.js';
import { lookEarly } from '../early-look.js';
import { EXIT } from '../errors.js';
import { count } from '../format/units.js';
import { type CliHost, colours, wantsColour } from '../host.js';
import { Progress } from '../progress.js';
import type { RunningNode } from '../running-node.js';
import { sourceStack } from '../source-stack.js';
import { type StopSignal, stopSignal } from '../stop-signal.js';
import { dialHost } from '../target.js';

/** Exit code 0 after an orderly end. */
export async function node(host: CliHost, raw: RawOptions): Promise<number> {
  const settings = readConfig(raw, host.env);
  const logger = await createLogger({
    level: settings.logLevel,
    format: host.stderr.isTTY === true ? 'pretty' : 'json',
    colour: wantsColour(host.stderr, host.env),
  });
  for (const { level, message } of settings.notes) logger[level]('config-note', { message });
  let running: RunningNode | undefined;
  let failed = false;
  const stop = stopSignal(host, {
    onForced: () => running?.abandon(),
    onFirst: (reason) => logger.info('stopping', { reason }),
    onHangupIgnored: () => logger.info('hangup-ignored'),
  });
  host.onUncaught((error) => {
    logger.error('fault', { error: toExoError(error), stack: sourceStack(error) });
    running?.abandon();
    host.exitNow(EXIT.failed);
  });
  try {
    // Loaded once the options are known to be good: what is wrong with them is said sooner.
    await lookEarly(settings, exoHome(host.env));
    const { startNode } = await import('../running-node.js');
    running = await startNode(host, {
      settings,
      api: true,
      logger,
      quit: () => stop.stop('a request to /quit'),
    });
    if (!stop.signal.aborted) await waitForPeers(host, settings, running, stop);
    if (!stop.signal.aborted) {
      announce(host, settings, running, logger);
      await aborted(stop.signal);
    }
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    await running?.stop().catch((error: unknown) => {
      if (!failed) throw error;
    });
    stop.release();
  }
  return EXIT.ok;
}

/** `--wait-for-peers`: the API answers meanwhile, and a signal ends the wait. */
async function waitForPeers(
  host: CliHost,
  settings: NodeSettings,
  running: RunningNode,
  stop: StopSignal,
): Promise<void> {
  const wanted = settings.waitForPeers;
  if (wanted === 0) return;
  const { mesh } = running.node;
  const text = () =>
    `waiting for ${count(wanted, 'peer')}, ${mesh.peers().filter(({ state }) => state === 'alive').length} there`;
  const progress = new Progress(host, text());
  const unsubscribe = mesh.onChange(() => progress.update(text()));
  try {
    await mesh.waitForPeers(wanted, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    unsubscribe();
    progress.end();
  }
}

/** A person reads where everything is and what to try; a program reads one event. */
function announce(host: CliHost, settings: NodeSettings, running: RunningNode, logger: Logger): void {
  const { host: apiHost, port } = running.apiAddress!;
  const api = formatAddress({ host: dialHost(apiHost), port });
  logger.info('ready', { id: running.id, node: formatAddress(running.nodeAddress), api: `http://${api}` });
  if (host.stderr.isTTY !== true) return;
  const c = colours(host.stderr, host.env);
  const model = running.node.chat.defaultModel;
  const lines = [
    '',
    `${c.bold(`exo node ${running.id}`)} is running`,
    `  peers      ${formatAddress(running.nodeAddress)}, found by ${settings.discovery.modules.join(', ')}`,
    `  HTTP API   http://${api}/v1  (OpenAI’s; the page is http://${api}/)`,
    `  try        exo status`,
    `             exo run ${model} --prompt "Who are you?"`,
    `  stop       Ctrl-C, or exo stop`,
    '',
  ];
  host.stderr.write(`${lines.join('\n')}\n`);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
