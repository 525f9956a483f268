/**
 * A node in the background: a process of its own that outlives the command (and the ssh session) that started it, with
 * manual discovery, on loopback, its log in `$EXO_HOME/node.log`. `exo stop` ends it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureHome, exoHome, isLive } from '../../node/home/index.js';
import { ExoError, LIMITS, sleep } from '../../shared/index.js';
import type { CliHost } from '../host.js';
import { type RunningNode, runningNodes } from '../target.js';
import { traceHome } from './home-trace.js';
import { describe, type LocalNode, quitNode } from './local-node.js';
import { createPeersFile, removeEmptyPeersFile } from './peers-file-store.js';
import { freePortFrom } from './ports.js';
import { forgetStarted, rememberStarted } from './started-nodes.js';

/** A node that was started, and the way back. */
export interface BackgroundNode {
  readonly node: LocalNode;
  readonly log: string;
  /** Ends it and removes what was made for it. */
  undo(): Promise<void>;
}

const NODE_PORT = 50_051;
const API_PORT = 52_415;
/** Loading takes under a second; a slow machine under load takes ten. */
const UP_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 50;
const TAIL_CHARS = 2_000;
const TAIL_LINES = 6;
const KILL_AFTER_MS = 5_000;
const MAIN = fileURLToPath(
  new URL(`../main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

/** Where such a node reads its peers. */
export function backgroundPeersFile(env: NodeJS.ProcessEnv): string {
  return path.join(exoHome(env), 'peers.json');
}

/** Starts a node and resolves when its API answers. Leaves nothing behind when it rejects. */
export async function startBackgroundNode(host: CliHost, signal: AbortSignal): Promise<BackgroundNode> {
  const home = exoHome(host.env);
  const restoreHome = traceHome(home);
  ensureHome(home);
  const peersFile = backgroundPeersFile(host.env);
  const madeFile = createPeersFile(peersFile);
  const log = path.join(home, 'node.log');
  let child: ChildProcess | undefined;
  let run: RunningNode | undefined;
  const undo = async () => {
    if (run !== undefined && isLive(run)) await quitNode(host, run).catch(() => undefined);
    if (child !== undefined) await end(host, child);
    if (run !== undefined) forgetStarted(home, run.instance);
    if (madeFile) removeEmptyPeersFile(peersFile);
    restoreHome();
  };
  try {
    const nodePort = await freePortFrom(NODE_PORT, new Set());
    const apiPort = await freePortFrom(API_PORT, new Set([nodePort]));
    child = launch(host, home, log, [
      'node',
      '--discovery-module',
      'manual',
      '--discovery-config-path',
      peersFile,
      '--node-port',
      String(nodePort),
      '--chatgpt-api-port',
      String(apiPort),
      '--disable-tui',
    ]);
    run = await untilUp(host, child, log, signal);
    rememberStarted(home, run.instance);
    const node = await describe(host, run);
    child.unref();
    return { node, log, undo };
  } catch (error) {
    await undo();
    throw error;
  }
}

function launch(host: CliHost, home: string, log: string, args: readonly string[]): ChildProcess {
  rotate(log);
  const out = openSync(log, 'a', 0o600);
  try {
    const env = { ...host.env };
    // This one is to be found by its run file.
    delete env['EXO_API'];
    return spawn(process.execPath, [...process.execArgv, MAIN, ...args], {
      // A session of its own: neither the terminal nor sshd takes it along.
      detached: true,
      cwd: home,
      env,
      stdio: ['ignore', out, out],
    });
  } finally {
    closeSync(out);
  }
}

async function untilUp(
  host: CliHost,
  child: ChildProcess,
  log: string,
  signal: AbortSignal,
): Promise<RunningNode> {
  let failure: string | undefined;
  child.once('error', (error) => {
    failure = error.message;
  });
  child.once('exit', (code, by) => {
    failure = `it ended (${by ?? `exit code ${code}`})`;
  });
  const endMs = host.clock.now() + UP_WITHIN_MS;
  for (;;) {
    const run = runningNodes(host.env).find(({ pid }) => pid === child.pid);
    if (run !== undefined) return run;
    if (host.clock.now() > endMs) failure = `it was not up after ${UP_WITHIN_MS / 1000} s`;
    if (failure !== undefined) {
      throw new ExoError('api-unreachable', `a node could not be started: ${failure}.${tail(log)}`);
    }
    await sleep(host.clock, LOOK_EVERY_MS, signal);
  }
}

/** SIGTERM, then SIGKILL; resolves when it is gone. */
async function end(host: CliHost, child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.ref();
  child.kill('SIGTERM');
  const timer = host.clock.after(KILL_AFTER_MS, () => child.kill('SIGKILL'));
  await gone;
  timer.cancel();
}

function rotate(log: string): void {
  mkdirSync(path.dirname(log), { recursive: true, mode: 0o700 });
  const size = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LIMITS.logBytesMax) renameSync(log, `${log}.1`);
}

function tail(log: string): string {
  try {
    const text = readFileSync(log, 'utf8').slice(-TAIL_CHARS).trimEnd();
    return text === '' ? '' : ` The end of its log:\n${text.split('\n').slice(-TAIL_LINES).join('\n')}`;
  } catch {
    return '';
  }
}
