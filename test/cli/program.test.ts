/** The command line itself: help, versions, mistakes, exit codes. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { COMMAND_NAMES } from '../../src/cli/commands.js';
import { NODE_OPTIONS } from '../../src/node/options/index.js';
import { Child, ROOT } from '../support/processes.js';
import { program } from '../support/program.js';
import { exo } from './host.js';

const MAIN = program(path.join(ROOT, 'src/cli/main.ts')).argv;
const home = mkdtempSync(path.join(tmpdir(), 'exo-cli-'));
after(() => rmSync(home, { recursive: true, force: true }));
const env = { EXO_HOME: home };

test('exo --help lists every command, exo node --help every supported option with its default', async () => {
  const { code, out, err } = await exo(['--help']);
  assert.equal(code, 0);
  assert.equal(err, '');
  for (const name of COMMAND_NAMES) assert.match(out, new RegExp(`^ {2}${name}\\b`, 'm'));
  const help = (await exo(['node', '--help'])).out.replace(/\s+/g, ' ');
  for (const { name, fallback, unsupported } of NODE_OPTIONS) {
    assert.equal(help.includes(`--${name} `), unsupported !== true, name);
    if (fallback !== undefined) assert.ok(help.includes(`(default: ${fallback})`), `${name} ${fallback}`);
  }
});

for (const name of COMMAND_NAMES) {
  test(`exo ${name} --help has examples, and exo help ${name} is the same`, async () => {
    const { code, out } = await exo([name, '--help']);
    assert.equal(code, 0);
    assert.match(out, /^Examples:\n {2}\S/m);
    assert.equal((await exo(['help', name])).out, out);
  });
}

test('exo --version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  assert.deepEqual(await exo(['--version']), { code: 0, out: `${version}\n`, err: '' });
});

/** Command line, exit code, what stderr says. */
const MISTAKES: ReadonlyArray<readonly [string, number, readonly RegExp[]]> = [
  ['statsu', 2, [/^error: "statsu" is not a command/, /^hint: did you mean: exo status\?/m]],
  ['statsu --watch', 2, [/^error: "statsu" is not a command/, /^hint: did you mean: exo status\?/m]],
  ['help statsu', 2, [/^error: "statsu" is not a command/, /^hint: did you mean: exo status\?/m]],
  ['help frobnicate', 2, [/not a command/, /exo --help/]],
  [
    'run nosuch',
    1,
    [
      /Unsupported model: nosuch; .*has: demo/,
      /^hint: for example: exo run demo; exo model pull fetches others$/m,
    ],
  ],
  ['run deom --node-port 0', 1, [/Unsupported model: deom/, /^hint: did you mean: exo run demo\?/m]],
  ['run dummy --node-port 0', 1, [/Unsupported model: dummy/, /^hint: .*--inference-engine dummy/m]],
  ['frobnicate', 2, [/not a command/, /exo --help/]],
  ['eval dummy', 2, [/eval.*not supported yet/]],
  ['train dummy --iters 5', 2, [/train.*not supported yet/]],
  ['--inference-engine dummy status', 2, [/"status" must come before the options/, /exo status/]],
  ['--nod-id x', 2, [/--nod-id/, /did you mean --node-id/]],
  ['status --jsno', 2, [/--jsno/, /did you mean --json/]],
  ['--node-id', 2, [/--node-id/, /argument missing/]],
  ['ping', 2, [/node/]],
  ['ping x -c none', 2, [/--count/, /1 to/, /^hint: exo ping --help lists/m]],
  ['status extra', 2, [/too many arguments/, /^hint: exo status --help lists/m]],
  ['--node-port x', 2, [/--node-port/, /^hint: exo node --help lists/m]],
  ['--node-port 0 --node-host 192.0.2.1', 2, [/--node-host 192\.0\.2\.1: .*not an address of this machine/]],
  ['completion powershell', 2, [/powershell/, /bash, zsh, fish/]],
  ['status --api 127.0.0.1:99999', 2, [/--api/, /99999/]],
  ['run dummy --api 127.0.0.1:1 --node-id x', 2, [/--api/, /--node-id/]],
  ['run dummy --max-generate-tokens 0 --api 127.0.0.1:1', 2, [/--max-generate-tokens/]],
  ['status', 1, [/no node runs here/, /start one with "exo"/]],
  [
    'status --api no-such-name.invalid',
    1,
    [/no-such-name\.invalid could not be looked up/, /check the name/],
  ],
  ['status --api 127.0.0.1:1', 1, [/no node answers at 127\.0\.0\.1:1/]],
  ['stop --api 127.0.0.1:1', 1, [/no node answers/]],
];

for (const [line, code, says] of MISTAKES) {
  test(`exo ${line}: exit code ${code}, one error line and a hint, nothing on stdout`, async () => {
    const result = await exo(line.split(' '), env);
    assert.equal(result.code, code, result.err);
    assert.equal(result.out, '');
    for (const pattern of says) assert.match(result.err, pattern);
    assert.match(result.err, /^error: .+\n(hint: .+\n)?$/);
  });
}

test('EXO_API names the node like --api, and is named when it is wrong; empty it is not set', async () => {
  assert.match(
    (await exo(['status'], { ...env, EXO_API: 'nowhere' })).err,
    /the name nowhere could not be looked up|no .*answer|no connection/,
  );
  assert.match((await exo(['status'], { ...env, EXO_API: '127.0.0.1:70000' })).err, /^error: EXO_API: /);
  assert.match((await exo(['status'], { ...env, EXO_API: '' })).err, /no node runs here/);
});

test('--json makes errors JSON on stderr: code, message, hint', async () => {
  for (const [argv, code] of [
    [['status', '--json'], 'api-unreachable'],
    [['peers', '--json', '--al'], 'option-invalid'],
  ] as const) {
    const { out, err } = await exo(argv, env);
    assert.equal(out, '');
    const body = JSON.parse(err) as { schema_version: number; error: Record<string, unknown> };
    assert.equal(body.schema_version, 1);
    assert.deepEqual(Object.keys(body.error), ['code', 'message', 'hint']);
    assert.equal(body.error['code'], code);
  }
});

test('the command as a process: stdout for the answer, exit codes, and a closed pipe is no crash', async () => {
  const run = async (...args: string[]) => {
    const child = new Child(process.execPath, [...MAIN, ...args], {
      cwd: ROOT,
      env: { EXO_HOME: home, EXO_API: '', NO_COLOR: '1' },
    });
    return { exit: await child.closed, out: child.stdout, err: child.stderr };
  };
  const version = await run('--version');
  assert.deepEqual([version.exit, version.err], [0, '']);
  assert.match(version.out, /^\d+\.\d+\.\d+\n$/);
  const bad = await run('--node-port', 'x');
  assert.deepEqual([bad.exit, bad.out], [2, '']);
  assert.match(bad.err, /^error: --node-port/);
  const piped = new Child(
    'bash',
    ['-c', `${process.execPath} ${MAIN.join(' ')} node --help | head -1; echo "\${PIPESTATUS[0]}"`],
    { cwd: ROOT },
  );
  await piped.closed;
  assert.equal(piped.stderr, '');
  assert.match(piped.stdout, /^Usage: exo node.*\n0\n$/);
});

test('an answer that cannot be written is exit code 1 and a word on stderr', {
  skip: existsSync('/dev/full') ? false : 'there is no /dev/full',
}, async () => {
  const child = new Child(
    'bash',
    ['-c', `${process.execPath} ${MAIN.join(' ')} --version > /dev/full; echo "$?"`],
    { cwd: ROOT },
  );
  await child.closed;
  assert.equal(child.stdout, '1\n');
  assert.match(child.stderr, /^error: the answer could not be written \(ENOSPC.*\)\n$/);
});
