/** A RemoteShell without a network: the line is read by a real shell of this machine, with a home of its own. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import type { RemoteShell } from '../../../src/cli/connect/remote-shell.js';
import { runToEnd } from '../../../src/cli/connect/run-child.js';
import { systemClock } from '../../../src/shared/index.js';

/** Shells that an account may have, those of them that are installed here. */
export const SHELLS = ['sh', 'dash', 'bash', 'zsh', 'fish', 'tcsh', 'ksh'].filter(
  (shell) => spawnSync(shell, ['-c', 'exit 0']).status === 0,
);

/** What sshd does with a command line: hands it to the login shell. */
export function localShell(home: string, shell = 'sh', env: NodeJS.ProcessEnv = {}): RemoteShell {
  const usual = { HOME: home, PATH: process.env['PATH'], SHELL: `/usr/bin/${shell}`, USER: 'someone' };
  const start = (line: string): ChildProcessWithoutNullStreams =>
    spawn(shell, ['-c', line], { cwd: home, env: { ...usual, ...env }, stdio: 'pipe' });
  return { start, run: (line, options) => runToEnd(systemClock, start(line), options) };
}
