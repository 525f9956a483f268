/** Finding exo on the far side, and the question whether one may be sent. A shell of this machine stands for the far side. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { findFarProgram } from '../../../src/cli/connect/far-program.js';
import type { RemoteShell } from '../../../src/cli/connect/remote-shell.js';
import { surveyLine } from '../../../src/cli/connect/survey.js';
import { version } from '../../../src/cli/version.js';
import { TestHost } from '../host.js';
import { localShell } from './shells.js';

const folder = mkdtempSync(path.join(tmpdir(), 'exo-find-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const never = new AbortController().signal;
const OPTIONS = { send: false, destination: 'me@far' };

class Asked extends TestHost {
  readonly questions: string[] = [];
  readonly #answer: string;

  constructor(answer: string) {
    super([]);
    this.#answer = answer;
  }

  override ask(question: string): Promise<string | undefined> {
    this.questions.push(question);
    return Promise.resolve(this.#answer);
  }
}

/** A machine whose survey says what the test wants. */
function machine(home: string, facts: Readonly<Record<string, string>>): RemoteShell {
  const real = localShell(home);
  const lines = Object.entries({ home, user: 'me', os: 'Linux', path: process.env['PATH'] ?? '', ...facts });
  const stdout = [
    'exo-survey-1',
    ...lines.map(([key, value]) => `${key}=${value}`),
    'exo-survey-end',
    '',
  ].join('\n');
  return {
    start: real.start,
    run: (line, options) =>
      line === surveyLine() ? Promise.resolve({ code: 0, stdout, stderr: '' }) : real.run(line, options),
  };
}

const NODE = { node: process.execPath, version: process.version };

test('no is no: nothing is sent, and the way out is told', async () => {
  const home = path.join(folder, 'no');
  const host = new Asked('n');
  await assert.rejects(
    findFarProgram(host, machine(home, { ...NODE, tar: '/bin/tar' }), OPTIONS, never, () => undefined),
    /there is no exo there/,
  );
  assert.equal(host.questions.length, 1);
  assert.match(
    host.questions[0]!,
    /^On me@far: there is no exo there\. Send exo .* \(no root needed\)\? \[y\/N\] $/,
  );
  assert.ok(!existsSync(home));
});

test('yes sends it, and it answers from there on without a question', async () => {
  const home = mkdtempSync(path.join(folder, 'yes-'));
  const host = new Asked('Yes ');
  const shell = machine(home, { ...NODE, tar: '/bin/tar' });
  const found = await findFarProgram(host, shell, OPTIONS, never, () => undefined);
  await found.client.close();
  assert.ok(found.sentBytes! > 0);
  assert.equal(found.hello.version, version());
  assert.deepEqual(
    readdirSync(path.join(home, '.local/share')),
    ['exo-mesh'],
    'it looked and started nothing',
  );

  const again = machine(home, { ...NODE, sent: found.program.words[0]! });
  const second = await findFarProgram(new TestHost([]), again, OPTIONS, never, () => undefined);
  await second.client.close();
  assert.equal(second.sentBytes, undefined);
});

test('without Node, with an old one, or without tar nobody is asked: the next step is told', async () => {
  for (const [facts, reason] of [
    [{}, /no Node\.js to run one/],
    [{ node: '/usr/bin/node', version: 'v18.20.0', tar: '/bin/tar' }, /is v18\.20\.0 \(\/usr\/bin\/node\)/],
    [NODE, /no tar/],
  ] as const) {
    const host = new Asked('y');
    await assert.rejects(
      findFarProgram(
        host,
        machine(path.join(folder, 'x'), facts),
        { ...OPTIONS, send: true },
        never,
        () => undefined,
      ),
      reason,
    );
    assert.deepEqual(host.questions, []);
  }
});

test('a program of that name that is not ours is told with what it said', async () => {
  const shell = machine(folder, { ...NODE, tar: '/bin/tar', exo: '/bin/false' });
  await assert.rejects(
    findFarProgram(new TestHost([]), shell, OPTIONS, never, () => undefined),
    /\/bin\/false: exo there ended \(exit code 1\)/,
  );
});
