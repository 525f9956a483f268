#!/usr/bin/env node
/**
 * The command `exo`: hands the process to the program and ends it. The only file that calls `process.exit`.
 */
import { systemClock, systemRandom } from '../shared/index.js';
import type { CliHost } from './host.js';
import { runProgram } from './program.js';

/** As a shell reports a process that died of SIGPIPE. */
const BROKEN_PIPE_CODE = 141;

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
  exitNow: (code) => process.exit(code),
};

// A reader that has seen enough (`exo peers | head -1`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? BROKEN_PIPE_CODE : 1);
});
// Nobody reads what is said about it; the work goes on.
process.stderr.on('error', () => undefined);

process.exit(await runProgram(host));
