/** What a start of the built program reads: the few files that it was put together into, and nothing twice. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { freePorts } from '../support/ports.js';
import { Cleanup, EXO_MAIN, ROOT } from '../support/processes.js';

const PROGRAM = path.join(path.dirname(path.dirname(EXO_MAIN)), 'program');
const NOTES = pathToFileURL(path.join(ROOT, 'test/support/loaded-files.mjs')).href;
/** 37 as this is written; without the bundle it is 690. */
const NODE_FILES_MAX = 60;
/** 15 as this is written: what asks a running node loads none. */
const COMMAND_FILES_MAX = 25;

/** The files that `exo` with these arguments has loaded when it ends; with `until`, it is ended when it has said that. */
async function loadedBy(cleanup: Cleanup, args: readonly string[], until?: RegExp): Promise<string[]> {
  const home = cleanup.folder();
  const notes = path.join(home, 'loaded.json');
  const child = cleanup.child(process.execPath, ['--import', NOTES, EXO_MAIN, ...args], {
    env: { EXO_HOME: home, NO_COLOR: '1', EXO_API: '', LOADED_FILES: notes },
  });
  if (until !== undefined) {
    await child.sees(until, 20_000);
    child.kill('SIGTERM');
  }
  await child.closed;
  return (JSON.parse(readFileSync(notes, 'utf8')) as string[]).filter(
    (file) => !file.includes('test/support'),
  );
}

/** Files that are neither the command nor a part of the bundle. */
const strangers = (files: readonly string[]) =>
  files.filter((file) => file !== EXO_MAIN && path.dirname(file) !== PROGRAM);

test('a node that is ready has read the bundle alone: no package, no file of the program beside it', async () => {
  const cleanup = new Cleanup();
  try {
    const [nodePort, apiPort, nobody] = await freePorts(3);
    const files = await loadedBy(
      cleanup,
      [
        ...['node', '--inference-engine', 'dummy', '--node-host', '127.0.0.1'],
        ...['--node-port', String(nodePort), '--chatgpt-api-port', String(apiPort)],
        ...['--discovery-module', 'direct', '--peer-host', '127.0.0.1', '--peer-port', String(nobody)],
      ],
      /"ready"/,
    );
    assert.ok(files.length > 10, `the notes are not those of a node: ${files.join('\n')}`);
    assert.deepEqual(strangers(files), []);
    assert.ok(files.length <= NODE_FILES_MAX, `${files.length} files:\n${files.join('\n')}`);
  } finally {
    await cleanup.dispose();
  }
});

test('a command that asks a running node reads the bundle alone, and little of it', async () => {
  const cleanup = new Cleanup();
  try {
    const files = await loadedBy(cleanup, ['status']);
    assert.ok(files.length > 3, `the notes are not those of a command: ${files.join('\n')}`);
    assert.deepEqual(strangers(files), []);
    assert.ok(files.length <= COMMAND_FILES_MAX, `${files.length} files:\n${files.join('\n')}`);
  } finally {
    await cleanup.dispose();
  }
});

test('every part of the bundle has its map, and the packages in it their licences', () => {
  for (const name of ['main.js', 'engine.js', 'guard.js', 'tokenizer.js']) {
    assert.ok(existsSync(path.join(PROGRAM, `${name}.map`)), `${name} has no map`);
  }
  const { dependencies } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const licences = readFileSync(path.join(PROGRAM, 'LICENSES.txt'), 'utf8');
  const missing = Object.keys(dependencies).filter((name) => !licences.includes(`\n${name} `));
  // Native, and loaded from where they are installed.
  assert.deepEqual(missing.filter((name) => !licences.startsWith(name)).sort(), ['koffi', 'ssh2']);
  assert.ok(statSync(path.join(PROGRAM, 'LICENSES.txt')).size > 20_000);
});
