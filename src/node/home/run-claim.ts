/**
 * The run file of this process, and with it the claim on the node id: the file is created exclusively, so of two nodes
 * that start at the same instant one gets the id. `identity.ts` claims; the command of the node updates and removes.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import writeFileAtomic from 'write-file-atomic';
import { ExoError } from '../../shared/index.js';
import {
  isLive,
  linkNew,
  processStart,
  type RunRecord,
  readRecord,
  removeStale,
  runFilePath,
} from './run-file.js';

/** Attempts at a claim while stale files are in the way; each round removes one. */
const CLAIM_ROUNDS_MAX = 8;
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
  update(change: Pick<RunRecord, 'api' | 'nodePort' | 'peersFile'>): void {
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
  const file = runFilePath(home, own.id);
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

function toText(record: RunRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}

function unwritable(file: string, cause: unknown): ExoError {
  return new ExoError(
    'state-unwritable',
    `cannot write ${file} (${cause instanceof Error ? cause.message : String(cause)}); set EXO_HOME to a folder that you may write to`,
    { cause },
  );
}
