/** What is left behind by a test file is named, and fails it: planted here, one kind after the other. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { program } from '../support/program.js';
import { promise } from '../support/promise.js';

const PLANTED: Readonly<Record<string, string>> = {
  Timeout: 'setInterval(() => undefined, 1000);',
  TCPServerWrap: "import net from 'node:net'; net.createServer().listen(0, '127.0.0.1');",
  UDPWrap: "import dgram from 'node:dgram'; dgram.createSocket('udp4').bind(0, '127.0.0.1');",
  ProcessWrap:
    "import { spawn } from 'node:child_process'; spawn(process.execPath, ['-e', 'setTimeout(() => 0, 60000)'], { stdio: 'ignore' });",
};
const { execArgv, file: CHECK } = program(new URL('../support/leaks.ts', import.meta.url));
const FILE_MS_MAX = 60_000;

const folder = mkdtempSync(path.join(tmpdir(), 'exo-planted-leaks-'));
after(() => rmSync(folder, { recursive: true }));

function runFile(name: string, text: string) {
  const file = path.join(folder, `${name}.test.mjs`);
  writeFileSync(file, `import { test } from 'node:test';\ntest('passes', () => undefined);\n${text}\n`);
  // A runner of this file, by hand, would take it for a part of its own run.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(
    process.execPath,
    [...execArgv, '--import', CHECK, '--test-reporter', 'tap', file],
    { env, encoding: 'utf8', timeout: FILE_MS_MAX },
  );
  return { status, stdout };
}

test('X3 what a test file leaves behind is named, and fails the file', (t) => {
  assert.equal(runFile('clean', '').status, 0);
  for (const [kind, text] of Object.entries(PLANTED)) {
    const { status, stdout } = runFile(kind, text);
    assert.match(stdout, new RegExp(`left behind by the tests of this file: .*${kind}`), stdout);
    assert.notEqual(status, 0);
  }
  promise(
    t,
    'X3',
    `checked in every file of npm test; planted there, each is named: ${Object.keys(PLANTED).join(', ')}`,
  );
});
