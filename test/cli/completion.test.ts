/** Completion: what may stand where, and the scripts in the shells themselves. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { COMMAND_NAMES } from '../../src/cli/commands.js';
import { startNode } from '../support/one-node.js';
import { freePort } from '../support/ports.js';
import { Cleanup, EXO_MAIN } from '../support/processes.js';
import { exo } from './host.js';

const cleanup = new Cleanup();
let home: string;
let apiPort: number;
let folder: string;

before(async () => {
  home = cleanup.folder();
  folder = cleanup.folder();
  const peers = { 'gpu-box': await freePort() };
  ({ apiPort } = await startNode(cleanup, { id: 'mac1', peers, env: { EXO_HOME: home } }));
  const command = path.join(folder, 'exo');
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${EXO_MAIN}' "$@"\n`);
  chmodSync(command, 0o755);
  writeFileSync(path.join(folder, 'p.json'), '{}');
});

after(() => cleanup.dispose());

/** The words for the last one typed. */
async function words(...typed: string[]): Promise<string[]> {
  const { code, out, err } = await exo(['__complete', '--', ...typed], { EXO_HOME: home });
  assert.deepEqual([code, err], [0, '']);
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t')[0]!);
}

test('the first word is a command, or an option of a node', async () => {
  assert.deepEqual(await words(''), [...COMMAND_NAMES, 'help']);
  assert.deepEqual(await words('st'), ['status', 'stop']);
  assert.deepEqual(await words('--node-i'), ['--node-id', '--node-id-filter']);
});

test('options are those of the command, each offered once, without the hidden ones', async () => {
  assert.deepEqual(await words('ping', '--'), ['--api', '--json', '--count', '--timeout']);
  assert.deepEqual(await words('ping', '--json', '--'), ['--api', '--count', '--timeout']);
  assert.ok(!(await words('--')).includes('--tailnet-name'));
});

test('values: modules with commas, types, engines, files and folders, running nodes', async () => {
  assert.deepEqual(await words('--discovery-module', ''), ['udp', 'tcp', 'manual', 'direct']);
  assert.deepEqual(await words('--discovery-module', 'manual,u'), ['manual,udp']);
  assert.deepEqual(await words('--discovery-module', 'udp,'), ['udp,tcp', 'udp,manual', 'udp,direct']);
  assert.deepEqual(await words('--inference-engine', ''), ['dummy', 'ggml']);
  assert.deepEqual(await words('--discovery-config-path', ''), [':files']);
  assert.deepEqual(await words('--models-seed-dir', ''), [':folders']);
  assert.deepEqual(await words('--node-port', ''), []);
  assert.deepEqual(await words('status', '--api', ''), [`127.0.0.1:${apiPort}`]);
});

test('names come from the running node: peers for ping, models for run', async () => {
  assert.deepEqual(await words('ping', 'g'), ['gpu-box']);
  for (const command of ['run', 'verify', 'plan']) assert.deepEqual(await words(command, ''), ['dummy']);
  assert.deepEqual(await words('--run-model', ''), ['dummy']);
  assert.deepEqual(await words('completion', 'z'), ['zsh']);
  assert.deepEqual(await words('help', 'stat'), ['status']);
});

test('without a node there is nothing to complete and nothing is said', async () => {
  const { code, out, err } = await exo(['__complete', '--', 'ping', ''], { EXO_HOME: folder });
  assert.deepEqual([code, out, err], [0, '', '']);
});

/** What bash itself offers after this line was typed and Tab pressed. */
function bash(line: string): string[] {
  // The word breaks of an interactive bash: spaces, and the characters of COMP_WORDBREAKS as words of their own.
  const script = `
    source <(exo completion bash)
    COMP_LINE=$1
    COMP_POINT=\${#COMP_LINE}
    read -r -a COMP_WORDS <<< "$(sed -E 's/([:=])/ \\1 /g' <<< "$COMP_LINE")"
    [[ "$COMP_LINE" == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
    _exo exo
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const result = spawnSync('bash', ['--norc', '-c', script, 'bash', line], {
    encoding: 'utf8',
    cwd: folder,
    env: { ...process.env, EXO_HOME: home, EXO_API: '', PATH: `${folder}:${process.env['PATH']}` },
    timeout: 30_000,
  });
  assert.equal(result.stderr, '', line);
  return result.stdout.split('\n').filter((word) => word !== '');
}

test('bash completes commands, options, values, names, files and addresses', () => {
  assert.deepEqual(bash('exo st'), ['status', 'stop']);
  assert.deepEqual(bash('exo ping g'), ['gpu-box']);
  assert.deepEqual(bash('exo --discovery-mod'), ['--discovery-module']);
  assert.deepEqual(bash('exo --discovery-module manual,u'), ['manual,udp']);
  assert.deepEqual(bash('exo --discovery-config-path p'), ['p.json']);
  // bash has taken the colon and what is before it as words of their own.
  assert.deepEqual(bash(`exo status --api 127.0.0.1:${String(apiPort)[0]}`), [String(apiPort)]);
  assert.deepEqual(bash('exo status --api 127.0.0.1:'), [String(apiPort)]);
});

test('bash knows the command: complete -F is set', () => {
  const { stdout } = spawnSync('bash', ['--norc', '-c', 'source <(exo completion bash); complete -p exo'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${folder}:${process.env['PATH']}` },
  });
  assert.equal(stdout, 'complete -F _exo exo\n');
});

for (const shell of ['zsh', 'fish']) {
  const missing = spawnSync(shell, ['--version']).error !== undefined;
  test(`the ${shell} script is valid ${shell}`, {
    skip: missing && `${shell} is not installed`,
  }, async () => {
    const { out } = await exo(['completion', shell]);
    const file = path.join(folder, `exo.${shell}`);
    writeFileSync(file, out);
    const result = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
    assert.deepEqual([result.status, result.stderr], [0, '']);
  });
}
