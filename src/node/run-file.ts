/**
 * Run files: `$EXO_HOME/run/<node-id>.json` says that a node runs, where its API is and what the owner's token is
 * (0600). The file is also the claim on the node id: it is created exclusively, so of two nodes that start at the same
 * instant one gets the id. A file whose process is gone is stale and is removed by whoever sees it.
 * The node's command writes it; every other command reads it.
 */
import { createHash } from 'node:crypto';
import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { ExoError } from '../shared/index.js';
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
  /** ISO 8601. */
  readonly startedAt: string;
  readonly version: string;
}

/** Attempts at a claim while stale files are in the way; each round removes one. */
const CLAIM_ROUNDS_MAX = 8;
/** Longest file name that every usual file system takes is 255 bytes; the atomic writer appends a few. */
const FILE_NAME_CHARS_MAX = 200;
/** A run file has some 300 bytes. */
const RUN_FILE_CHARS_MAX = 16_384;

/** The run file of this process. Made by `claimRunFile`. */
export class RunFile {
  readonly #file: string;
  #record: RunRecord;

  constructor(file: string, record: RunRecord) {
    this.#file = file;
    this.#record = record;
  }

  get record(): RunRecord {
    return this.#record;
  }

  /** Writes what is known once the node listens. Throws `state-unwritable`. */
  update(change: Pick<RunRecord, 'api' | 'nodePort'>): void {
    this.#record = { ...this.#record, ...change };
    try {
      writeFileAtomic.sync(this.#file, toText(this.#record), { mode: 0o600 });
    } catch (error) {
      throw unwritable(this.#file, error);
    }
  }

  /** Removes the file, if it is still ours. Synchronous and silent, so that it can run in the last moment. */
  remove(): void {
    if (readRecord(this.#file)?.instance === this.#record.instance) rmSync(this.#file, { force: true });
  }
}

/** Claims a node id: the file of this process, or the record of the living process that holds the id. */
export function claimRunFile(
  home: string,
  own: Pick<RunRecord, 'id' | 'instance' | 'startedAt' | 'version'>,
): { readonly runFile: RunFile } | { readonly holder: RunRecord } {
  const file = path.join(runFolder(home), fileName(own.id));
  const record: RunRecord = {
    id: own.id,
    instance: own.instance,
    pid: process.pid,
    processStart: processStart(process.pid),
    machine: hostname(),
    api: null,
    nodePort: null,
    startedAt: own.startedAt,
    version: own.version,
  };
  const draft = `${file}.${own.instance}`;
  try {
    writeFileSync(draft, toText(record), { mode: 0o600 });
    for (let round = 0; round < CLAIM_ROUNDS_MAX; round += 1) {
      if (linkNew(draft, file)) return { runFile: new RunFile(file, record) };
      const holder = readRecord(file);
      if (holder !== undefined && isLive(holder)) return { holder };
      removeStale(file, `${draft}.stale`);
    }
  } catch (error) {
    throw unwritable(file, error);
  } finally {
    rmSync(draft, { force: true });
  }
  throw unwritable(file, new Error('other processes keep taking it'));
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

/** Whether the process that wrote the record still runs. */
export function isLive(record: Pick<RunRecord, 'pid' | 'processStart' | 'machine'>): boolean {
  if (record.machine !== hostname()) return false;
  try {
    process.kill(record.pid, 0);
  } catch (error) {
    // EPERM: it is there and somebody else's.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const start = processStart(record.pid);
  return start === null || record.processStart === null || start === record.processStart;
}

/** Boot id and start tick of a process (Linux), null elsewhere or when it is gone. */
export function processStart(pid: number): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in field 2 may hold spaces and parentheses; field 22 is the 20th after its end.
    const tick = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return tick === undefined ? null : `${boot}:${tick}`;
  } catch {
    return null;
  }
}

/** A link is made only where no file of the name is, and the file is complete at once. */
function linkNew(draft: string, file: string): boolean {
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
function removeStale(file: string, aside: string): void {
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

function fileName(id: string): string {
  const escaped = encodeURIComponent(id);
  const short =
    escaped.length <= FILE_NAME_CHARS_MAX ? escaped : createHash('sha256').update(id).digest('hex');
  return `${short}.json`;
}

function toText(record: RunRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}

/** Undefined when the file is gone or is not a run file. */
function readRecord(file: string): RunRecord | undefined {
  let value: unknown;
  try {
    const text = readFileSync(file, 'utf8');
    if (text.length > RUN_FILE_CHARS_MAX) return undefined;
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
    Number.isInteger(record['pid']) &&
    (record['pid'] as number) > 0 &&
    (record['processStart'] === null || typeof record['processStart'] === 'string') &&
    (api === null ||
      (typeof api === 'object' &&
        typeof api['host'] === 'string' &&
        typeof api['port'] === 'number' &&
        typeof api['token'] === 'string'))
  );
}

function unwritable(file: string, cause: unknown): ExoError {
  return new ExoError(
    'state-unwritable',
    `cannot write ${file} (${cause instanceof Error ? cause.message : String(cause)}); set EXO_HOME to a folder that you may write to`,
    { cause },
  );
}
