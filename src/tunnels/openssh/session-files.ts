/**
 * The files of one session: its folder under the node's state folder (0700) with the generated configuration and a record
 * of the process, and its control socket. The record is for a later run of the node, should this one and the guard be
 * killed together.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Clock, Logger, Random } from '../../shared/index.js';
import { commandLine, endMarked } from './process-line.js';

/**
 * Longest path of a control socket in bytes. ssh first makes it under a name that is 17 longer, and macOS allows 103 for
 * the whole (Linux 107).
 */
const CONTROL_PATH_BYTES_MAX = 86;
const PREFIX = 'ssh-';
const RECORD = 'session.json';
const ID_BYTES = 4;

interface SessionRecord {
  readonly pid: number;
  /** In the command line of that process. */
  readonly mark: string;
  readonly folders: readonly string[];
  readonly owner: { readonly pid: number; readonly line: string };
}

/** Files that exist from `create` to `remove`. */
export class SessionFiles {
  /** Of the control socket; ssh makes it. */
  readonly control: string;
  /** Of the generated ssh_config; in ssh's command line, and so the mark by which its process is known. */
  readonly config: string;
  /** All of it; the guard removes these when the node dies. */
  readonly folders: readonly string[];
  readonly #record: string;

  private constructor(folder: string, controlFolder: string) {
    this.control = path.join(controlFolder, 'c');
    this.config = path.join(folder, 'config');
    this.#record = path.join(folder, RECORD);
    this.folders = [...new Set([folder, controlFolder])];
  }

  /** Throws what the file system says. */
  static create(stateFolder: string, random: Random): SessionFiles {
    mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
    const folder = path.join(stateFolder, PREFIX + random.bytes(ID_BYTES).toString('hex'));
    mkdirSync(folder, { mode: 0o700 });
    const short = Buffer.byteLength(path.join(folder, 'c')) <= CONTROL_PATH_BYTES_MAX;
    return new SessionFiles(folder, short ? folder : shortFolder());
  }

  writeConfig(text: string): void {
    writeFileSync(this.config, text, { mode: 0o600 });
  }

  /** To be called as soon as the process runs. */
  record(pid: number): void {
    const owner = { pid: process.pid, line: commandLine(process.pid) ?? '' };
    const record: SessionRecord = { pid, mark: this.config, folders: this.folders, owner };
    writeFileSync(this.#record, JSON.stringify(record), { mode: 0o600 });
  }

  remove(): void {
    for (const folder of this.folders) rmSync(folder, { recursive: true, force: true });
  }
}

/** Ends the sessions that an earlier run has left in `stateFolder`, and removes their files. Never rejects. */
export async function endLeftovers(
  stateFolder: string,
  components: { readonly clock: Clock; readonly logger: Logger },
): Promise<void> {
  let names: string[] = [];
  try {
    names = readdirSync(stateFolder).filter((name) => name.startsWith(PREFIX));
  } catch {
    return;
  }
  await Promise.all(
    names.map(async (name) => {
      const folder = path.join(stateFolder, name);
      const record = readRecord(path.join(folder, RECORD), folder);
      if (record !== undefined) {
        if (commandLine(record.owner.pid) === record.owner.line) return;
        const ended = await endMarked(record.pid, record.mark, components.clock);
        components.logger.info('tunnel-leftover-removed', { folder, pid: record.pid, ended });
      }
      for (const left of new Set([folder, ...(record?.folders ?? [])])) {
        rmSync(left, { recursive: true, force: true });
      }
    }),
  );
}

/** Undefined for a session that never had a process, and for a record that is not ours. */
function readRecord(file: string, folder: string): SessionRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as SessionRecord;
    const sound =
      Number.isSafeInteger(record.pid) &&
      record.pid > 1 &&
      record.mark === path.join(folder, 'config') &&
      record.folders.every((one) => one === folder || one.startsWith(path.join(tmpdir(), SHORT_PREFIX)));
    return sound && typeof record.owner.line === 'string' ? record : undefined;
  } catch {
    return undefined;
  }
}

const SHORT_PREFIX = 'exo-ssh-';

/** Of our own, whatever else is in the common folder: made under a name that nobody could know. */
function shortFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), SHORT_PREFIX));
  chmodSync(folder, 0o700);
  return folder;
}
