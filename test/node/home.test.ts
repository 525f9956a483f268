/** $EXO_HOME. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { ensureHome, exoHome, runFolder } from '../../src/node/home/home.js';
import { ExoError } from '../../src/shared/index.js';

const folder = mkdtempSync(path.join(tmpdir(), 'exo-home-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('EXO_HOME is the home, made absolute; empty or unset it is the platform’s data folder', () => {
  assert.equal(exoHome({ EXO_HOME: '/x/y' }), '/x/y');
  assert.equal(exoHome({ EXO_HOME: 'y' }), path.resolve('y'));
  const standard = exoHome({});
  assert.ok(path.isAbsolute(standard));
  assert.equal(path.basename(standard), 'exo');
  assert.equal(exoHome({ EXO_HOME: '' }), standard);
});

test('the home and its run folder are created for the owner alone, and a second time is fine', () => {
  const home = path.join(folder, 'a', 'b');
  ensureHome(home);
  ensureHome(home);
  for (const each of [home, runFolder(home)]) {
    const stat = statSync(each);
    assert.ok(stat.isDirectory());
    if (process.platform !== 'win32') assert.equal(stat.mode & 0o777, 0o700);
  }
});

test('a home that cannot be made is refused with the folder and EXO_HOME in the message', () => {
  const file = path.join(folder, 'file');
  writeFileSync(file, '');
  assert.throws(
    () => ensureHome(file),
    (error: unknown) =>
      error instanceof ExoError &&
      error.code === 'state-unwritable' &&
      error.message.includes(file) &&
      error.message.includes('EXO_HOME'),
  );
});
