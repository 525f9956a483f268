/** Which running nodes `exo connect` has started on this machine: only those may `exo disconnect` stop. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { listRunning } from '../../node/home/index.js';

const FILE = 'started.json';

/** Folder of what `exo connect` keeps. */
export function connectFolder(home: string): string {
  return path.join(home, 'connect');
}

/** Whether this start of a node (`RunRecord.instance`) is ours. */
export function wasStarted(home: string, instance: string): boolean {
  return read(home).includes(instance);
}

/** Remembers one; those that have ended are forgotten. */
export function rememberStarted(home: string, instance: string): void {
  mkdirSync(connectFolder(home), { recursive: true, mode: 0o700 });
  write(home, [...running(home), instance]);
}

/** Forgets one, and those that have ended. */
export function forgetStarted(home: string, instance: string): void {
  const left = running(home).filter((each) => each !== instance);
  if (left.length > 0) write(home, left);
  else rmSync(path.join(connectFolder(home), FILE), { force: true });
}

function running(home: string): string[] {
  const live = new Set(listRunning(home).map(({ instance }) => instance));
  return read(home).filter((instance) => live.has(instance));
}

function read(home: string): string[] {
  try {
    const value: unknown = JSON.parse(readFileSync(path.join(connectFolder(home), FILE), 'utf8'));
    return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
  } catch {
    return [];
  }
}

function write(home: string, instances: readonly string[]): void {
  const file = path.join(connectFolder(home), FILE);
  writeFileAtomic.sync(file, `${JSON.stringify([...new Set(instances)])}\n`, { mode: 0o600 });
}
