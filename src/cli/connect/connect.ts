/**
 * `exo connect`: two machines joined by one command. Looks first, changes last; every change has its way back, which is
 * taken when a later step fails or the command is stopped. Run again it finds everything as it is and changes nothing.
 */
import { exoHome } from '../../node/home/index.js';
import { ExoError, toExoError } from '../../shared/index.js';
import { askNode } from '../chat-stream.js';
import type { Values } from '../command-spec.js';
import { EXIT, HintedError } from '../errors.js';
import type { CliHost } from '../host.js';
import { stopSignal } from '../stop-signal.js';
import { type ConnectOptions, readConnectOptions } from './connect-options.js';
import { printConnected } from './connect-report.js';
import { Connecting } from './connecting.js';
import { Steps } from './steps.js';

/** Exit code 0 when both list both; 130 after a Ctrl-C that is not too late; throws what went wrong, with what is left of it. */
export async function connect(host: CliHost, destination: string, values: Values): Promise<number> {
  const options = readConnectOptions(destination, values, process.cwd());
  const stop = stopSignal(host, {
    onFirst: () => host.stderr.write(`\n${work.decided ? TOO_LATE : UNDOING}\n`),
  });
  const steps = new Steps(host, { quiet: options.json });
  const work = new Connecting({ options, home: exoHome(host.env), signal: stop.signal }, { host, steps });
  try {
    const connected = await work.run();
    const answer = await chat(options, work, stop.signal);
    await work.keep(connected.far.id);
    printConnected(host, options, connected, steps.done, answer);
    return EXIT.ok;
  } catch (error) {
    if (work.decided) throw error;
    const remains = await work.undo();
    if (!stop.signal.aborted) throw withRemains(error, remains);
    for (const each of remains) host.stderr.write(`still there: ${each}\n`);
    return EXIT.cancelled;
  } finally {
    await work.close();
    stop.release();
  }
}

const UNDOING = 'undoing what was begun …';
const TOO_LATE = 'too late to undo it here: exo disconnect does';

/** `--chat`: the question goes to the near node; both hold a part of the model. */
async function chat(
  options: ConnectOptions,
  work: Connecting,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { chat: prompt, model } = options;
  if (prompt === undefined) return undefined;
  return work.step('chat', async () => {
    let text = '';
    const end = await askNode(work.nearApi, { model, prompt }, signal, (piece) => {
      text += piece;
    });
    return { value: text, what: `${end.completionTokens} tokens through both` };
  });
}

/** The failure, and what could not be undone. */
function withRemains(thrown: unknown, remains: readonly string[]): ExoError {
  const error = toExoError(thrown);
  const rest =
    remains.length === 0
      ? 'What was begun has been undone.'
      : `Undone, but for:\n${remains.map((each) => `  ${each}`).join('\n')}`;
  const message = `${error.message}\n${rest}`;
  return error instanceof HintedError
    ? new HintedError(error.code, message, error.hint)
    : new ExoError(error.code, message, { cause: error });
}
