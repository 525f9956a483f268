/** The first look at a machine: the script in real shells, and the reader against everything that may come back. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { nodeIsEnough, readSurvey, surveyLine } from '../../../src/cli/connect/survey.js';
import { ExoError } from '../../../src/shared/index.js';
import fc from '../../support/properties.js';
import { localShell, SHELLS } from './shells.js';

const home = mkdtempSync(path.join(tmpdir(), 'exo-survey-'));
after(() => rmSync(home, { recursive: true, force: true }));

function program(file: string, text: string): void {
  mkdirSync(path.dirname(path.join(home, file)), { recursive: true });
  writeFileSync(path.join(home, file), `#!/bin/sh\n${text}\n`);
  chmodSync(path.join(home, file), 0o755);
}
program('.local/bin/exo', 'exit 0');
program('.local/share/exo-mesh/bin/exo', 'exit 0');
program('.nvm/versions/node/v20.19.0/bin/node', 'echo v20.19.0');
program('.nvm/versions/node/v22.1.0/bin/node', 'echo v22.1.0');
// A login script that talks.
writeFileSync(
  path.join(home, '.profile'),
  'echo welcome; echo PATH=nonsense; PATH="$HOME/mine:$PATH"; export PATH\n',
);

const options = () => ({ timeoutMs: 20_000, signal: new AbortController().signal });

for (const shell of SHELLS) {
  test(`the script finds exo, Node and tar where ${shell} is the login shell`, async () => {
    const { stdout, stderr, code } = await localShell(home, shell).run(surveyLine(), options());
    assert.equal(code, 0, stderr);
    const survey = readSurvey(`Last login: today\n\u001b]0;host\u0007${stdout}`);
    assert.equal(survey.home, home);
    assert.equal(survey.sent, path.join(home, '.local/share/exo-mesh/bin/exo'));
    assert.ok(survey.exo !== undefined && nodeIsEnough(survey.node!.version) && survey.tar);
    assert.ok(survey.path.split(':').every((folder) => folder.startsWith('/')));
  });
}

test('a Node of a version manager is found where no other is, the latest first', async () => {
  const bare = path.join(home, 'bare');
  mkdirSync(bare, { recursive: true });
  for (const name of ['sed', 'tail', 'id', 'uname', 'env'])
    program(`bare/${name}`, `exec /usr/bin/${name} "$@"`);
  const found = await localShell(home, '/bin/sh', { PATH: bare, SHELL: '/bin/false' }).run(
    // /usr/bin is always looked at in the end; here it is not, so that no Node of the machine is in the way.
    surveyLine().replace(':/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin', ''),
    options(),
  );
  assert.equal(readSurvey(found.stdout).node?.version, 'v22.1.0');
});

test('what is not the answer of the script is refused with what was said', () => {
  const said = (text: string) => assert.throws(() => readSurvey(text), /did not run a plain command/);
  for (const text of [
    '',
    'This account is currently not available.',
    'exo-survey-1\nhome=x\nexo-survey-end\n',
  ])
    said(text);
  said("exo-survey-1\nhome=/home/o'neil\nexo-survey-end\n");
});

test('paths that cannot be used are left out', () => {
  const survey = readSurvey(
    "exo-survey-1\nhome=/h\nuser=u\nos=Linux\npath=/a:rel::/b'c:/a:/d\nexo=alias exo=x\nnode=node\nexo-survey-end\n",
  );
  assert.deepEqual(survey, { home: '/h', user: 'u', os: 'Linux', path: '/a:/d', tar: false });
});

test('the reader throws nothing but its own errors', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (noise) => {
      for (const text of [noise, `exo-survey-1\n${noise}\nexo-survey-end`]) {
        try {
          assert.ok(readSurvey(text).home.startsWith('/'));
        } catch (error) {
          assert.ok(error instanceof ExoError);
        }
      }
    }),
  );
});

test('Node 20.12 and later are enough', () => {
  for (const version of ['v20.12.0', 'v20.20.2', 'v22.0.0', 'v100.1.0'])
    assert.ok(nodeIsEnough(version), version);
  for (const version of ['v20.11.9', 'v18.20.0', '', 'node', 'v9.99.0'])
    assert.ok(!nodeIsEnough(version), version);
});
