/**
 * What is known of the files in a model's folder: from which commit they are, how long each is and which hash it has, and the time
 * stamp that a file had when its hash was found right. It never says that something is there: the files do. Kept in
 * `.exo/record.json` of the folder, written whole or not at all.
 */
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Clock, LIMITS, type Random } from '../../shared/index.js';
import { isFilePath } from '../catalogue/catalogue.js';
import { takeLock } from '../disk/lock.js';
import { writeFailure } from '../download/failure.js';
import type { FileHash, ModelFile } from '../hub/answer.js';

/** The folder of our own files in a model's folder. */
export const STATE_FOLDER = '.exo';
const RECORD_FILE = 'record.json';
const TOKEN_BYTES = 8;

/** Tells a file from the same file after somebody wrote to it. */
interface Stamp {
  readonly size: number;
  readonly mtimeMs: number;
}

/** A file of a record. */
export interface RecordedFile extends ModelFile {
  readonly verified?: Stamp;
}

/** What a record says. */
export interface RecordData {
  readonly repository: string;
  readonly revision: string;
  readonly commit: string;
  readonly files: ReadonlyMap<string, RecordedFile>;
}

/** The record of one folder. */
export class ModelRecord {
  readonly #directory: string;
  readonly #components: { readonly clock: Clock; readonly random: Random };
  #data: RecordData | undefined;
  #changes: Promise<void> = Promise.resolve();

  constructor(directory: string, components: { readonly clock: Clock; readonly random: Random }) {
    this.#directory = directory;
    this.#components = components;
  }

  /** Reads it. */
  async load(): Promise<this> {
    this.#data = await readRecord(this.#directory);
    return this;
  }

  get data(): RecordData | undefined {
    return this.#data;
  }

  /** From now on the folder is of this commit. Stamps stay for files whose hash stays. */
  listed(
    what: { readonly repository: string; readonly revision: string; readonly commit: string },
    files: readonly ModelFile[],
  ): Promise<void> {
    return this.#change((before) => ({
      ...what,
      files: new Map(
        files.map((file) => {
          const old = before?.files.get(file.path);
          const stamp = old !== undefined && old.hash.hex === file.hash.hex ? old.verified : undefined;
          return [file.path, { ...file, ...(stamp === undefined ? {} : { verified: stamp }) }];
        }),
      ),
    }));
  }

  /** The file under its name was found right just now. */
  async verified(file: ModelFile): Promise<void> {
    const { size, mtimeMs } = await stat(path.join(this.#directory, file.path));
    await this.#change((before) => {
      if (before === undefined) return undefined;
      return {
        ...before,
        files: new Map(before.files).set(file.path, { ...file, verified: { size, mtimeMs } }),
      };
    });
  }

  /** The file was found to be another than it should: its time stamp means nothing any more. */
  doubted(file: ModelFile): Promise<void> {
    return this.#change((before) => {
      if (before === undefined) return undefined;
      const { path: name, size, hash } = file;
      return { ...before, files: new Map(before.files).set(name, { path: name, size, hash }) };
    });
  }

  /** Whether the file was found to have this hash and was not touched since. */
  isVerified(file: ModelFile, now: Stamp): boolean {
    const known = this.#data?.files.get(file.path);
    return (
      known?.verified !== undefined &&
      known.hash.hex === file.hash.hex &&
      known.verified.size === now.size &&
      known.verified.mtimeMs === now.mtimeMs
    );
  }

  /** The same for what is on disk now. */
  async isUnchanged(file: ModelFile): Promise<boolean> {
    const stats = await stat(path.join(this.#directory, file.path)).catch(() => undefined);
    return stats?.isFile() === true && this.isVerified(file, stats);
  }

  /** Under a lock and from what the file says now: another process may have changed it. */
  #change(edit: (before: RecordData | undefined) => RecordData | undefined): Promise<void> {
    const done = this.#changes.then(async () => {
      const folder = path.join(this.#directory, STATE_FOLDER);
      const lock = await takeLock(folder, RECORD_FILE, this.#components, new AbortController().signal);
      try {
        const data = edit(await readRecord(this.#directory));
        if (data === undefined) return;
        await this.#write(folder, data);
        this.#data = data;
      } catch (error) {
        throw writeFailure(path.join(folder, RECORD_FILE), error);
      } finally {
        await lock.release();
      }
    });
    this.#changes = done.catch(() => undefined);
    return done;
  }

  async #write(folder: string, data: RecordData): Promise<void> {
    await mkdir(folder, { recursive: true });
    const draft = path.join(folder, `draft-${this.#components.random.bytes(TOKEN_BYTES).toString('hex')}`);
    try {
      await writeFile(draft, print(data));
      await rename(draft, path.join(folder, RECORD_FILE));
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }
}

/** The record of a folder; undefined where there is none that can be read. */
export async function readRecord(directory: string): Promise<RecordData | undefined> {
  try {
    const text = await readFile(path.join(directory, STATE_FOLDER, RECORD_FILE), 'utf8');
    return text.length > LIMITS.modelRecordCharsMax ? undefined : parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function print({ repository, revision, commit, files }: RecordData): string {
  const entries = [...files.values()].map(({ path: name, size, hash, verified }) => [
    name,
    { size, hash: `${hash.kind}:${hash.hex}`, ...(verified === undefined ? {} : { verified }) },
  ]);
  return `${JSON.stringify({ version: 1, repository, revision, commit, files: Object.fromEntries(entries) }, null, 1)}\n`;
}

function parse(value: unknown): RecordData | undefined {
  const { version, repository, revision, commit, files } = (value ?? {}) as Record<string, unknown>;
  if (version !== 1 || typeof files !== 'object' || files === null) return undefined;
  if (typeof repository !== 'string' || typeof revision !== 'string' || typeof commit !== 'string')
    return undefined;
  const known = new Map<string, RecordedFile>();
  for (const [name, entry] of Object.entries(files)) {
    const { size, hash, verified } = (entry ?? {}) as Record<string, unknown>;
    const [kind, hex] = String(hash).split(':');
    if (!isFilePath(name) || !Number.isSafeInteger(size) || !isHash(kind, hex)) continue;
    const { size: stampSize, mtimeMs } = (verified ?? {}) as Record<string, unknown>;
    const hasStamp = typeof stampSize === 'number' && typeof mtimeMs === 'number';
    known.set(name, {
      path: name,
      size: size as number,
      hash: { kind: kind as FileHash['kind'], hex: hex! },
      ...(hasStamp ? { verified: { size: stampSize, mtimeMs } } : {}),
    });
  }
  return { repository, revision, commit, files: known };
}

function isHash(kind: string | undefined, hex: string | undefined): boolean {
  const chars = kind === 'sha256' ? 64 : kind === 'git-sha1' ? 40 : 0;
  return chars > 0 && hex !== undefined && hex.length === chars && /^[0-9a-f]+$/.test(hex);
}
