/** A folder of a test's own, gone with the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';

/** A new empty folder that is removed after the test. */
export function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'exo-trust-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
