/**
 * The demo's temporary folder: keys, known_hosts, the homes of its nodes. It goes with the demo; of one that was killed
 * outright the next demo removes it. Used by `exo demo` only.
 */
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';

const PREFIX = 'exo-demo-';

/** A new folder, for this user only (mkdtemp makes it 0700), with this process's id in its name. */
export function makeDemoFolder(): string {
  removeLeftovers();
  return mkdtempSync(path.join(tmpdir(), `${PREFIX}${process.pid}-`));
}

/** Removes a folder and everything in it. Idempotent. */
export function removeDemoFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = /^exo-demo-(\d+)-\w+$/.exec(name)?.[1];
    if (pid === undefined || runs(Number(pid))) continue;
    const folder = path.join(tmpdir(), name);
    try {
      if (isOwnFolder(folder)) removeDemoFolder(folder);
    } catch {
      // Another demo removes it at the same time, or it is not ours after all: it disturbs nobody.
    }
  }
}

/** A folder and no link, of this user: anybody may write to the temporary folder. */
function isOwnFolder(folder: string): boolean {
  const found = lstatSync(folder);
  const { uid } = userInfo();
  return found.isDirectory() && (uid < 0 || found.uid === uid);
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
