#!/usr/bin/env node
/**
 * The command `exo`: hands the process to the program and ends it. The only file that calls `process.exit`.
 */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { systemClock, systemRandom } from '../shared/index.js';
import { EXIT } from './errors.js';
import type { CliHost } from './host.js';
import { runProgram } from './program.js';

let hasTerminalGone = false;
let outlivesReader = false;

/**
 * Once the terminal is gone, SIGKILL: at its exit Node sets the terminal back as it was, and where that fails it
 * crashes (SIGABRT or SIGSEGV, a core file). Everything has been stopped and written by then.
 */
function end(code: number): never {
  if (hasTerminalGone) process.kill(process.pid, 'SIGKILL');
  process.exit(code);
}

const host: CliHost = {
  argv: process.argv.slice(2),
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  random: systemRandom,
  async readInput() {
    process.stdin.setEncoding('utf8');
    let text = '';
    for await (const chunk of process.stdin) text += chunk;
    return text;
  },
  inputLines: () => createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY }),
  async ask(question) {
    if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
      // Ctrl-D and Ctrl-C answer nothing; the latter is told as a signal, too.
      return await new Promise<string>((resolve) => {
        terminal.once('close', () => resolve(''));
        terminal.once('SIGINT', () => {
          terminal.close();
          process.kill(process.pid, 'SIGINT');
        });
        terminal.question(question, resolve);
      });
    } finally {
      terminal.close();
    }
  },
  async askSecret(question) {
    if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
    // A terminal in raw mode shows nothing by itself, and what readline would show goes nowhere.
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true });
    try {
      return await new Promise<string>((resolve) => {
        terminal.once('close', () => resolve(''));
        terminal.once('SIGINT', () => {
          terminal.close();
          process.kill(process.pid, 'SIGINT');
        });
        terminal.question('', resolve);
        // Only now, when nothing is echoed any more.
        process.stderr.write(question);
      });
    } finally {
      terminal.close();
      process.stderr.write('\n');
    }
  },
  outliveReader() {
    outlivesReader = true;
  },
  onSignal(signals, listener) {
    for (const signal of signals) process.on(signal, listener);
    return () => {
      for (const signal of signals) process.off(signal, listener);
    };
  },
  onParentGone(listener) {
    if (!process.connected) return () => undefined;
    process.on('disconnect', listener);
    process.channel?.unref();
    return () => process.off('disconnect', listener);
  },
  onUncaught(listener) {
    process.on('uncaughtException', listener);
    process.on('unhandledRejection', listener);
  },
  terminalGone() {
    hasTerminalGone = true;
  },
  exitNow: end,
};

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // What stops in order goes on stopping; there is nobody to read.
  if (hasTerminalGone || outlivesReader) return;
  // A reader that has seen enough (`exo peers | head -1`) is no error.
  if (error.code === 'EPIPE') end(EXIT.ok);
  process.stderr.write(`error: the answer could not be written (${error.message})\n`);
  end(EXIT.failed);
});
// Nobody reads what is said about it; the work goes on.
process.stderr.on('error', () => undefined);

const code = await runProgram(host);
// A write that failed is told only a turn later, to the listener above.
if (!hasTerminalGone) await new Promise((resolve) => process.stdout.write('', resolve));
end(code);
