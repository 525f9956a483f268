/**
 * Run files: `$EXO_HOME/run/<node-id>.json` says that a node runs, where its API is and what the owner's token is
 * (0600). A file whose process is gone is stale and is removed by whoever sees it. This is the reading side, for every
 * command; `run-claim.ts` writes.
 */
import { createHash } from 'node:crypto';
import { linkSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { isPort, LIMITS } from '../../shared/index.js';
import { runFolder } from './home.js';

/** What a run file holds. */
export interface RunRecord {
  readonly id: string;
  /** Of this start of the node: 16 hex digits. */
  readonly instance: string;
  readonly pid: number;
  /** When the process began, as the kernel counts it; tells a reused pid. Null where the system does not tell. */
  readonly processStart: string | null;
  /** The machine: pids of another one (a shared home folder) mean nothing here. */
  readonly machine: string;
  /** Null until the node listens. */
  readonly api: { readonly host: string; readonly port: number; readonly token: string } | null;
  /** Null until the node listens. */
  readonly nodePort: number | null;
  /** The peers file of manual discovery, absolute; null or absent where the node reads none. */
  readonly peersFile?: string | null;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly version: string;
}

/** All nodes that run on this machine with this home, oldest first. Stale files are removed on the way. */
export function listRunning(home: string): RunRecord[] {
  const folder = runFolder(home);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const records: RunRecord[] = [];
  for (const name of names.filter((entry) => entry.endsWith('.json'))) {
    const file = path.join(folder, name);
    const record = readRecord(file);
    if (record !== undefined && isLive(record)) records.push(record);
    else if (record === undefined || record.machine === hostname()) {
      removeStale(file, `${file}.${process.pid}.stale`);
    }
  }
  return records.sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1));
}

/** Whether the process that wrote the record still runs. One that ended and was not collected yet does not. */
export function isLive(record: Pick<RunRecord, 'pid' | 'processStart' | 'machine'>): boolean {
  if (record.machine !== hostname()) return false;
  try {
    process.kill(record.pid, 0);
  } catch (error) {
    // EPERM: it is there and somebody else's.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = readProcess(record.pid);
  if (now === null) return true;
  return !now.ended && (record.processStart === null || now.start === record.processStart);
}

/** Boot id and start tick of a process (Linux), null elsewhere or when it is gone. */
export function processStart(pid: number): string | null {
  return readProcess(pid)?.start ?? null;
}

function readProcess(pid: number): { readonly start: string; readonly ended: boolean } | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in field 2 may hold spaces and parentheses; behind it come the state (3) and the start (22).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { start: `${boot}:${fields[19]}`, ended: /^[ZXx]$/.test(fields[0] ?? '') };
  } catch {
    return null;
  }
}

/** A link is made only where no file of the name is, and the file is complete at once. */
export function linkNew(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Takes a stale file away. Another process may have replaced it since it was read: then it is put back, unless a
 * third one has taken the name meanwhile.
 */
export function removeStale(file: string, aside: string): void {
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const moved = readRecord(aside);
  try {
    if (moved !== undefined && isLive(moved)) linkNew(aside, file);
  } finally {
    rmSync(aside, { force: true });
  }
}

/** The run file of a node id: readable where the id is short and plain. */
export function runFilePath(home: string, id: string): string {
  const escaped = encodeURIComponent(id);
  const short =
    escaped.length <= LIMITS.fileNameCharsMax ? escaped : createHash('sha256').update(id).digest('hex');
  return path.join(runFolder(home), `${short}.json`);
}

/** The living process that has a node id. */
export function runFileHolder(home: string, id: string): RunRecord | undefined {
  const record = readRecord(runFilePath(home, id));
  return record !== undefined && isLive(record) ? record : undefined;
}

/** Undefined when the file is gone or is not a run file. */
export function readRecord(file: string): RunRecord | undefined {
  let value: unknown;
  try {
    const text = readFileSync(file, 'utf8');
    if (text.length > LIMITS.runFileCharsMax) return undefined;
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isRunRecord(value) ? value : undefined;
}

function isRunRecord(value: unknown): value is RunRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  const api = record['api'] as Record<string, unknown> | null;
  return (
    ['id', 'instance', 'machine', 'startedAt', 'version'].every((key) => typeof record[key] === 'string') &&
    Number.isSafeInteger(record['pid']) &&
    (record['pid'] as number) > 0 &&
    (record['processStart'] === null || typeof record['processStart'] === 'string') &&
    (record['nodePort'] === null || isPort(record['nodePort'])) &&
    (record['peersFile'] == null || typeof record['peersFile'] === 'string') &&
    (api === null ||
      (typeof api === 'object' &&
        typeof api['host'] === 'string' &&
        isPort(api['port']) &&
        typeof api['token'] === 'string'))
  );
}
