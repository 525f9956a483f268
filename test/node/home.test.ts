/** $EXO_HOME. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
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

function refused(home: string, reason: RegExp): void {
  assert.throws(
    () => ensureHome(home),
    (error: unknown) => {
      assert.ok(error instanceof ExoError);
      assert.equal(error.code, 'state-unwritable');
      assert.match(error.message, reason);
      assert.match(error.message, /set EXO_HOME to a folder that you may write to$/);
      return true;
    },
  );
}

test('a home below a file or behind a link to nothing is refused', () => {
  const file = path.join(folder, 'plain');
  writeFileSync(file, '');
  refused(path.join(file, 'below'), /plain\/below/);
  const link = path.join(folder, 'link');
  symlinkSync(path.join(folder, 'nothing'), link);
  refused(path.join(link, 'below'), /link/);
});

test('a home on a file system that makes no folders is refused at once', {
  skip: existsSync('/proc/self') ? false : 'there is no /proc',
}, () => {
  refused('/proc/exo-home', /cannot create the folder \/proc\/exo-home/);
  refused('/proc/exo-home/below', /cannot create the folder \/proc\/exo-home\/below/);
});
