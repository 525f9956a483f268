/** A secret typed at a real terminal: not shown, not in the process list. Needs `script` of util-linux. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { printMeshKey } from '../../src/trust/index.js';
import { Cleanup, EXO_MAIN } from '../support/processes.js';

const KEY = printMeshKey({ secret: Buffer.alloc(32, 9) });
const hasScript = spawnSync('script', ['--version'], { stdio: 'ignore' }).status === 0;

/** A command at a terminal of its own; `type` is what the person does once a text is there. */
function atTerminal(
  cleanup: Cleanup,
  home: string,
  args: string,
  steps: ReadonlyArray<readonly [RegExp, string]>,
): Promise<{ shown: string; code: number | null; argv: string[] }> {
  const command = `'${process.execPath}' '${EXO_MAIN}' ${args}`;
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    env: { ...process.env, EXO_HOME: home, NO_COLOR: '1', EXO_API: '', EXO_AUTH_TOKEN: '', SHELL: '/bin/sh' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  cleanup.add(() => child.kill('SIGKILL'));
  const left = [...steps];
  const argv: string[] = [];
  let shown = '';
  let seen = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    seen += text;
    const [pattern, input] = left[0] ?? [];
    if (pattern === undefined || !pattern.test(seen)) return;
    left.shift();
    seen = '';
    argv.push(...commandLines());
    child.stdin.write(input!);
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ shown, code, argv })));
}

/** The command lines of all processes here. */
function commandLines(): string[] {
  if (!existsSync('/proc/self/cmdline')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(path.join('/proc', pid, 'cmdline'), 'utf8')];
      } catch {
        return [];
      }
    });
}

test('exo key join asks at a terminal without showing what is pasted, and exo key show there shows it', {
  skip: hasScript ? false : 'no script of util-linux here',
}, async (t) => {
  const cleanup = new Cleanup();
  t.after(() => cleanup.dispose());
  const home = cleanup.folder();
  const joined = await atTerminal(cleanup, home, 'key join', [[/mesh key \(not shown/, `${KEY}\r`]]);
  assert.equal(joined.code, 0, joined.shown);
  assert.match(joined.shown, /the mesh key [0-9a-f]{8} is set on this machine/);
  assert.ok(!joined.shown.includes(KEY.slice(5, 20)), joined.shown);
  assert.ok(joined.argv.length > 0 || !existsSync('/proc/self/cmdline'));
  assert.ok(!joined.argv.join('\n').includes(KEY));
  const shown = await atTerminal(cleanup, home, 'key show', []);
  assert.ok(shown.shown.includes(KEY), shown.shown);
  const refused = await atTerminal(cleanup, home, 'key rotate', [[/Go on\? \[y\/N\] /, 'n\r']]);
  assert.equal(refused.code, 130);
  assert.match(refused.shown, /nothing was changed/);
  const rotated = await atTerminal(cleanup, home, 'key rotate', [[/Go on\? \[y\/N\] /, 'y\r']]);
  assert.equal(rotated.code, 0, rotated.shown);
});
