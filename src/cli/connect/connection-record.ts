/**
 * What `exo connect` did, kept on the near machine so that it can be found again and undone: one file per peer in
 * `$EXO_HOME/connect`. Holds no secrets.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod';
import { ExoError } from '../../shared/index.js';
import { connectFolder } from './started-nodes.js';

const entry = z.record(z.string(), z.unknown()).nullable();

const recordShape = z.object({
  version: z.literal(1),
  /** Id of the far node, and the name of its entry here. */
  peer: z.string().min(1),
  /** As in peers.json: destination and options of ssh, without forwards. */
  ssh: z.record(z.string(), z.unknown()),
  destination: z.string().min(1),
  /** Which of the two learnt the other's key by it; absent in a record of an earlier version. */
  trust: z.object({ here: z.boolean(), there: z.boolean() }).optional(),
  /** The far side has said that it keeps its part; a record of an earlier version does not tell. */
  confirmed: z.boolean().default(true),
  near: z.object({
    node: z.string(),
    peersFile: z.string(),
    port: z.number().int(),
    /** The entry before; null where there was none. */
    before: entry,
    /** The node was started for it. */
    started: z.boolean(),
  }),
  far: z.object({
    program: z.object({ path: z.string(), words: z.array(z.string()).min(1) }),
    peersFile: z.string().nullable(),
    /** Null: it does not dial back. */
    port: z.number().int().nullable(),
    /** Where the far node listens, as its own machine dials it. */
    target: z.object({ host: z.string(), port: z.number().int() }),
    before: entry,
    started: z.boolean(),
  }),
});

/** One connection. */
export type ConnectionRecord = z.infer<typeof recordShape>;

const SUFFIX = '.connection.json';

/** All connections of this home folder. Files that cannot be read are passed over. */
export function listRecords(home: string): ConnectionRecord[] {
  let names: string[];
  try {
    names = readdirSync(connectFolder(home)).sort();
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    if (!name.endsWith(SUFFIX)) return [];
    try {
      return [recordShape.parse(JSON.parse(readFileSync(path.join(connectFolder(home), name), 'utf8')))];
    } catch {
      return [];
    }
  });
}

/** Keeps one, if it says something else than the one that is there. Throws `state-unwritable`. */
export function saveRecord(home: string, record: ConnectionRecord): void {
  const file = fileOf(home, record.peer);
  const text = `${JSON.stringify(record, null, 2)}\n`;
  if (read(file) === text) return;
  try {
    mkdirSync(connectFolder(home), { recursive: true, mode: 0o700 });
    writeFileAtomic.sync(file, text, { mode: 0o600 });
  } catch (error) {
    throw new ExoError('state-unwritable', `cannot write ${file} (${(error as Error).message})`, {
      cause: error,
    });
  }
}

/** The far side keeps its part. */
export function confirmRecord(home: string, peer: string): void {
  const record = listRecords(home).find((one) => one.peer === peer);
  if (record !== undefined) saveRecord(home, { ...record, confirmed: true });
}

/** Forgets one. */
export function removeRecord(home: string, peer: string): void {
  rmSync(fileOf(home, peer), { force: true });
  try {
    rmdirSync(connectFolder(home));
  } catch {
    // There is more in it.
  }
}

function fileOf(home: string, peer: string): string {
  const name = createHash('sha256').update(peer).digest('hex').slice(0, 32);
  return path.join(connectFolder(home), `${name}${SUFFIX}`);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
