/**
 * An account of this machine for the time of a test: what a person who logs in for the first time has, with an empty
 * home and no rights. Needs root.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { allProcesses, look } from './process-tree.js';
import type { Cleanup } from './processes.js';

const PREFIX = 'exot';
const accounts = new Set<string>();
let count = 0;

process.on('exit', () => {
  for (const name of accounts) removeAccount(name);
});

/** One account. */
export interface Account {
  readonly name: string;
  readonly home: string;
  readonly uid: number;
  readonly gid: number;
}

/** Why no account can be made, as a reason for a skipped test; undefined when it can. */
export function accountUnavailable(): string | undefined {
  if (process.platform !== 'linux') return 'accounts are made with useradd (Linux)';
  if (process.getuid?.() !== 0) return 'making an account needs root';
  if (spawnSync('useradd', ['--help'], { stdio: 'ignore' }).status !== 0) return 'useradd is not installed';
  return undefined;
}

/** Makes an account that goes with the test, processes, home and all. */
export function temporaryAccount(cleanup: Cleanup): Account {
  removeOrphans();
  const name = `${PREFIX}${process.pid}x${++count}`;
  const folder = cleanup.folder();
  chmodSync(folder, 0o755);
  const home = path.join(folder, 'home');
  // A password that nothing hashes to: sshd takes an account without one for locked.
  run('useradd', ['--password', '*', '--shell', '/bin/sh', '--no-create-home', '--home-dir', home, name]);
  accounts.add(name);
  cleanup.add(() => removeAccount(name));
  const [, , uid, gid] = entryOf(name)!.split(':');
  mkdirSync(home, { mode: 0o700 });
  run('chown', [`${uid}:${gid}`, home]);
  return { name, home, uid: Number(uid), gid: Number(gid) };
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

function passwd(): string[] {
  return readFileSync('/etc/passwd', 'utf8').split('\n');
}

function entryOf(name: string): string | undefined {
  return passwd().find((line) => line.startsWith(`${name}:`));
}

function removeAccount(name: string): void {
  accounts.delete(name);
  const uid = Number(entryOf(name)?.split(':')[2] ?? 0);
  if (uid === 0) return;
  for (const { pid } of allProcesses()) {
    try {
      if (uidOf(pid) === uid) process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself in between.
    }
  }
  spawnSync('userdel', ['--force', name], { stdio: 'ignore' });
}

function uidOf(pid: number): number {
  return Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? -1);
}

/** Removes accounts of test processes that were killed outright. */
function removeOrphans(): void {
  for (const line of passwd()) {
    const [name, owner] = new RegExp(`^(${PREFIX}(\\d+)x\\d+):`).exec(line)?.slice(1) ?? [];
    if (name !== undefined && look(Number(owner)) === undefined) removeAccount(name);
  }
}
