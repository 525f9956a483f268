/** The build that is sent: everything that it needs is in it, and it is unpacked completely or not at all. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { type Pack, planPack, tarArgs } from '../../../src/cli/connect/pack.js';
import { sendBuild } from '../../../src/cli/connect/send-build.js';
import { version } from '../../../src/cli/version.js';
import { ROOT } from '../../support/processes.js';
import { localShell } from './shells.js';

const folder = mkdtempSync(path.join(tmpdir(), 'exo-pack-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const never = new AbortController().signal;
let count = 0;
const newFolder = () => {
  const made = path.join(folder, String(++count));
  mkdirSync(made);
  return made;
};

function packageAt(root: string, name: string, dependencies: readonly string[] = []): string {
  mkdirSync(root, { recursive: true });
  const manifest = {
    name,
    version: '1.2.3',
    files: ['dist'],
    dependencies: Object.fromEntries(dependencies.map((each) => [each, '*'])),
  };
  writeFileSync(path.join(root, 'package.json'), JSON.stringify(manifest));
  return root;
}
function programAt(root: string, dependencies: readonly string[]): string {
  packageAt(root, 'exo', dependencies);
  mkdirSync(path.join(root, 'dist/cli'), { recursive: true });
  writeFileSync(path.join(root, 'dist/cli/main.js'), '#!/usr/bin/env node\nconsole.log("sent");\n');
  return root;
}

test('the pack of this program has every package that it needs at run time, and runs without npm', async () => {
  const pack = planPack();
  const home = newFolder();
  const sent = await sendBuild(localShell(home), pack, home, never);
  assert.ok(sent.bytes > 100_000 && sent.bytes < 20_000_000, String(sent.bytes));
  assert.equal(execFileSync(sent.exo, ['--version'], { encoding: 'utf8' }).trim(), version());
  // The command line of a node loads all that a node needs.
  assert.match(execFileSync(sent.exo, ['node', '--help'], { encoding: 'utf8' }), /--node-port/);
  const names = readdirSync(path.join(home, '.local/share/exo-mesh', version()), {
    recursive: true,
    encoding: 'utf8',
  });
  assert.ok(!names.some((name) => name.endsWith('.node') || name.endsWith('.map')));
  assert.ok(!names.some((name) => /node_modules\/(typescript|tsx|@biomejs)\b/.test(name)));
  // What the built program has inside is not sent once more beside it.
  assert.ok(names.includes('node_modules/ssh2') && !names.includes('node_modules/zod'));
});

test('packages are found nested and hoisted; a missing one and an unbuilt program are said so', () => {
  const outer = newFolder();
  const root = programAt(path.join(outer, 'node_modules/exo'), ['a', 'b']);
  packageAt(path.join(root, 'node_modules/a'), 'a', ['c']);
  packageAt(path.join(root, 'node_modules/a/node_modules/c'), 'c');
  packageAt(path.join(outer, 'node_modules/b'), 'b');
  assert.deepEqual(planPack(root), {
    version: '1.2.3',
    without: [],
    parts: [
      { folder: root, paths: ['package.json', 'dist', 'node_modules/a'] },
      { folder: outer, paths: ['node_modules/b'] },
    ],
  });
  // `b` is in the program itself; what `a` needs is not looked for there.
  mkdirSync(path.join(root, 'dist/program'));
  writeFileSync(path.join(root, 'dist/program/packages.json'), '["b","c"]\n');
  assert.deepEqual(planPack(root).parts, [
    { folder: root, paths: ['package.json', 'dist', 'node_modules/a'] },
  ]);
  // A node that was started before the last build may still load this.
  writeFileSync(path.join(root, 'dist/program/outputs.json'), '{"written":["b-2.js"],"left":["b-1.js"]}');
  assert.ok(tarArgs(planPack(root)).includes('--exclude=b-1.js'));
  rmSync(path.join(root, 'dist/program'), { recursive: true });
  rmSync(path.join(outer, 'node_modules/b'), { recursive: true });
  assert.throws(() => planPack(root), /the package b is missing/);
  rmSync(path.join(root, 'dist'), { recursive: true });
  assert.throws(() => planPack(root), /npm run build/);
});

test('a package that lies elsewhere, or twice, cannot be packed', () => {
  const outer = newFolder();
  const root = programAt(path.join(outer, 'node_modules/exo'), ['a', 'b']);
  packageAt(path.join(root, 'node_modules/a'), 'a');
  packageAt(path.join(outer, 'node_modules/b'), 'b', ['a']);
  packageAt(path.join(outer, 'node_modules/a'), 'a');
  assert.throws(() => planPack(root), /cannot be packed/);
});

test('a build is there whole or not at all: replaced in one move, gone when the line is cut', async () => {
  const root = programAt(newFolder(), []);
  const home = newFolder();
  const pack = planPack(root);
  const base = path.join(home, '.local/share/exo-mesh');
  const look = () => readdirSync(base).sort();
  for (let time = 0; time < 2; time += 1) {
    const { exo } = await sendBuild(localShell(home), pack, home, never);
    assert.equal(execFileSync(exo, { encoding: 'utf8' }), 'sent\n');
    assert.deepEqual(look(), ['1.2.3', 'bin']);
  }
  assert.equal(readlinkSync(path.join(base, 'bin/exo')), '../1.2.3/dist/cli/main.js');

  const archive = execFileSync('tar', tarArgs(pack));
  const cut = path.join(newFolder(), 'cut');
  writeFileSync(cut, archive.subarray(0, archive.length - 40));
  const other: Pack = { ...pack, version: '9.9.9' };
  const shell = localShell(home);
  const truncated = {
    start: shell.start,
    run: (line: string, options: Parameters<typeof shell.run>[1]) =>
      shell.run(`cat ${cut} | { ${line}; }`, { ...options, input: options.input! }),
  };
  await assert.rejects(sendBuild(truncated, other, home, never), /could not be unpacked/);
  assert.deepEqual(look(), ['1.2.3', 'bin']);
  assert.ok(!existsSync(path.join(base, '9.9.9')));
});

test('a far machine that takes no more is named as the reason, not the tar here that it cuts off', async () => {
  const root = programAt(newFolder(), []);
  writeFileSync(path.join(root, 'dist/large'), randomBytes(4 * 1024 * 1024));
  const shell = localShell(newFolder());
  const full = {
    start: shell.start,
    run: (_line: string, options: Parameters<typeof shell.run>[1]) =>
      shell.run("exec sh -c 'head -c 1000 >/dev/null; echo no space left >&2; exit 72'", options),
  };
  await assert.rejects(sendBuild(full, planPack(root), '/home/x', never), {
    code: 'tunnel-failed',
    message: /^the build could not be unpacked there: no space left/,
  });
});

test('the archive holds no path of this machine', () => {
  const list = execFileSync(
    'sh',
    [
      '-c',
      `tar ${tarArgs(planPack())
        .map((word) => `'${word}'`)
        .join(' ')} | tar -tzf -`,
    ],
    {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  assert.ok(
    list.split('\n').every((name) => !name.startsWith('/') && !name.includes('..') && !name.includes(ROOT)),
  );
});
