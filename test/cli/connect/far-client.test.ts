/** The near side of a session, against far sides that talk too much, die, or never answer. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { FarClient } from '../../../src/cli/connect/far-client.js';
import { ExoError, systemClock } from '../../../src/shared/index.js';
import { localShell } from './shells.js';

const folder = mkdtempSync(path.join(tmpdir(), 'exo-far-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const never = new AbortController().signal;
let count = 0;

/** A far side that runs a script of the test; `answer` writes one. */
async function against(script: string, work: (client: FarClient) => Promise<void>): Promise<void> {
  const file = path.join(folder, `${++count}.cjs`);
  const head = `const answer = (body) => process.stdout.write('exo-far ' + JSON.stringify(body) + '\\n');
const lines = require('readline').createInterface({ input: process.stdin });\n`;
  writeFileSync(file, head + script);
  const program = { path: process.env['PATH'] ?? '', words: [process.execPath, file] };
  const client = new FarClient(systemClock, localShell(folder), program);
  try {
    await work(client);
  } finally {
    await client.close();
  }
}

const HELLO = `{ ok: { schema: 1, version: '1', node: 'v20', home: '/h', running: [] } }`;

test('answers are found among what else is printed, also in pieces', () =>
  against(
    `console.log('Welcome!'); console.log('{"ok":1}');
lines.on('line', () => { process.stdout.write('exo-f'); setTimeout(() => { process.stdout.write('ar ' + JSON.stringify(${HELLO}) + '\\nbye\\n'); }, 20); });`,
    async (client) => {
      for (let time = 0; time < 3; time += 1) assert.equal((await client.ask('hello', {}, never)).home, '/h');
    },
  ));

test('it is started with __far behind its own words', () =>
  against(
    `lines.on('line', () => answer({ ok: { schema: 1, version: process.argv[2], node: '', home: '/h', running: [] } }));`,
    async (client) => assert.equal((await client.ask('hello', {}, never)).version, '__far'),
  ));

test('a far side that ends is told with its last words', () =>
  against(
    `lines.on('line', () => { console.error('no \\u001b[31mmemory'); process.exit(3); });`,
    async (client) => {
      await assert.rejects(client.ask('hello', {}, never), (error) => {
        assert.ok(error instanceof ExoError && error.code === 'connection-closed');
        assert.match(error.message, /exit code 3.*no \\u001b\[31mmemory/);
        return true;
      });
      await assert.rejects(client.ask('hello', {}, never), /ended/);
    },
  ));

test('a far side that says nothing is given up at the deadline, or by the signal', () =>
  against(`lines.on('line', () => {});`, async (client) => {
    await assert.rejects(client.ask('hello', {}, never, 100), { code: 'request-timeout' });
    const controller = new AbortController();
    const asked = client.ask('hello', {}, controller.signal);
    controller.abort(new ExoError('request-cancelled', 'enough'));
    await assert.rejects(asked, { code: 'request-cancelled' });
  }));

test('the end of the session is the end of the input there', () =>
  against(
    `require('fs').writeFileSync('${path.join(folder, 'state')}', 'open');
lines.on('line', () => answer(${HELLO}));
lines.on('close', () => require('fs').writeFileSync('${path.join(folder, 'state')}', 'closed'));`,
    async (client) => {
      await client.ask('hello', {}, never);
      await client.close();
      const { readFileSync } = await import('node:fs');
      assert.equal(readFileSync(path.join(folder, 'state'), 'utf8'), 'closed');
    },
  ));
