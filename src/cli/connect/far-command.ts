/** `exo __far`: what `exo connect` starts over ssh. Reads requests from standard input, answers on standard output. */
import { toExoError } from '../../shared/index.js';
import { EXIT } from '../errors.js';
import type { CliHost } from '../host.js';
import { stopSignal } from '../stop-signal.js';
import { answerLine, readRequest } from './far-protocol.js';
import { FarSession } from './far-session.js';

/** Ends with its input, after undoing what was not to stay. Exit code 0. */
export async function far(host: CliHost): Promise<number> {
  host.outliveReader();
  const stop = stopSignal(host);
  const session = new FarSession(host, stop.signal);
  let last: Promise<void> = Promise.resolve();
  try {
    // Input is read on while a request is worked on: its end calls the work off.
    for await (const line of untilStopped(host.inputLines(), stop.signal)) {
      if (line.trim() === '') continue;
      last = last.then(() => answer(host, session, line, stop.signal));
    }
  } finally {
    stop.stop('the end of the ssh session');
    await last;
    await session.end();
    stop.release();
  }
  return EXIT.ok;
}

async function answer(host: CliHost, session: FarSession, line: string, signal: AbortSignal): Promise<void> {
  // What was asked for after the other side left is not wanted any more.
  if (signal.aborted) return;
  let text: string;
  try {
    const { op, body } = readRequest(line);
    text = answerLine({ ok: await session.handle(op, body) });
  } catch (error) {
    text = answerLine({ error: toExoError(error) });
  }
  if (!signal.aborted) host.stdout.write(text);
}

/** The lines, until they end or the signal comes. */
async function* untilStopped(lines: AsyncIterable<string>, signal: AbortSignal): AsyncGenerator<string> {
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const iterator = lines[Symbol.asyncIterator]();
  for (;;) {
    const next = await Promise.race([iterator.next(), stopped]);
    if (next === undefined || next.done === true) return;
    yield next.value;
  }
}
