/** What exo connect keeps, and how it takes things back. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import {
  type ConnectionRecord,
  confirmRecord,
  listRecords,
  removeRecord,
  saveRecord,
} from '../../../src/cli/connect/connection-record.js';
import { traceHome } from '../../../src/cli/connect/home-trace.js';
import { freePortFrom, isFree } from '../../../src/cli/connect/ports.js';
import { specOf, sshWords } from '../../../src/cli/connect/ssh-words.js';
import {
  connectFolder,
  forgetStarted,
  rememberStarted,
  wasStarted,
} from '../../../src/cli/connect/started-nodes.js';
import { Steps } from '../../../src/cli/connect/steps.js';
import { Undo } from '../../../src/cli/connect/undo.js';
import { HintedError } from '../../../src/cli/errors.js';
import { ExoError } from '../../../src/shared/index.js';
import { TestHost } from '../host.js';

const folder = mkdtempSync(path.join(tmpdir(), 'exo-keeping-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const record: ConnectionRecord = {
  version: 1,
  peer: 'mac2/with:odd name',
  destination: 'me@far',
  ssh: { ssh: 'me@far' },
  confirmed: true,
  near: { node: 'mac1', peersFile: '/p', port: 50052, before: null, started: true },
  far: {
    program: { path: '/usr/bin', words: ['/usr/bin/exo'] },
    peersFile: '/q',
    port: null,
    target: { host: '127.0.0.1', port: 50051 },
    before: { address: 'h:1' },
    started: false,
  },
};

test('a connection is kept, found again and forgotten; a broken note hurts nobody', () => {
  const home = path.join(folder, 'records');
  assert.deepEqual(listRecords(home), []);
  saveRecord(home, record);
  assert.deepEqual(listRecords(home), [record]);
  writeFileSync(path.join(connectFolder(home), 'x.connection.json'), '{"version": 2}');
  assert.deepEqual(listRecords(home), [record]);
  rmSync(path.join(connectFolder(home), 'x.connection.json'));
  removeRecord(home, record.peer);
  assert.deepEqual(readdirSync(home), []);
});

test('a connection is unconfirmed until the far side has said that it keeps its part; of earlier versions all are', () => {
  const home = path.join(folder, 'unconfirmed');
  saveRecord(home, { ...record, confirmed: false });
  assert.equal(listRecords(home)[0]!.confirmed, false);
  confirmRecord(home, 'somebody else');
  assert.equal(listRecords(home)[0]!.confirmed, false);
  confirmRecord(home, record.peer);
  assert.deepEqual(listRecords(home), [record]);
  const { confirmed: _, ...earlier } = record;
  const [name] = readdirSync(connectFolder(home));
  writeFileSync(path.join(connectFolder(home), name!), JSON.stringify(earlier));
  assert.deepEqual(listRecords(home), [record]);
});

test('a node that has ended was not started by us for anybody', () => {
  const home = path.join(folder, 'started');
  rememberStarted(home, 'aa');
  assert.ok(wasStarted(home, 'aa') && !wasStarted(home, 'bb'));
  forgetStarted(home, 'bb');
  assert.ok(!wasStarted(home, 'aa'), 'no process has that instance');
  assert.deepEqual(readdirSync(connectFolder(home)), []);
});

test('a home folder is as it was: what was made goes, what was there stays', () => {
  const home = path.join(folder, 'a/b/exo');
  const restore = traceHome(home);
  mkdirSync(path.join(home, 'run'), { recursive: true });
  writeFileSync(path.join(home, 'node-id'), 'x');
  restore();
  assert.deepEqual(readdirSync(folder).includes('a'), false);

  mkdirSync(path.join(home, 'run'), { recursive: true });
  const again = traceHome(home);
  writeFileSync(path.join(home, 'node.log'), 'x');
  writeFileSync(path.join(home, 'somebody'), 'x');
  again();
  assert.deepEqual(readdirSync(home).sort(), ['run', 'somebody']);
});

test('undo goes backwards, tries everything and names what remains', async () => {
  const order: string[] = [];
  const undo = new Undo();
  undo.push('first', () => order.push('first'));
  undo.push('the second', () => {
    throw new Error('it is stuck');
  });
  undo.push('third', async () => void order.push('third'));
  undo.stays('a build');
  assert.deepEqual(await undo.run(), ['a build', 'the second (it is stuck)']);
  assert.deepEqual(order, ['third', 'first']);
  assert.deepEqual(await undo.run(), []);
  undo.push('kept', () => assert.fail());
  undo.keep();
  assert.deepEqual(await undo.run(), []);
});

test('a step says what came of it and how long it took; a failed one is named and keeps its code and hint', async () => {
  const host = new TestHost([]);
  const steps = new Steps(host, { quiet: false });
  assert.equal(await steps.run('ssh', async () => ({ value: 7, what: 'me@far' })), 7);
  assert.match(host.out, /^ {2}ssh +me@far {2}\d+ ms\n$/);
  await assert.rejects(
    steps.run('far node', async () => {
      throw new HintedError('port-in-use', 'taken', 'choose another');
    }),
    (error) =>
      error instanceof HintedError && error.message === 'far node: taken' && error.hint === 'choose another',
  );
  const cancelled = new ExoError('request-cancelled', 'stopped by SIGINT');
  await assert.rejects(
    steps.run('x', () => Promise.reject(cancelled)),
    (error) => error === cancelled,
  );
  const quiet = new TestHost([]);
  await new Steps(quiet, { quiet: true }).run('a', async () => ({ value: 1, what: 'b' }));
  assert.equal(quiet.out, '');
});

test('a free port is the first that nobody has and nobody wants', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  try {
    assert.equal(await isFree(port), false);
    const free = await freePortFrom(port, new Set([port + 1]));
    assert.ok(free > port + 1);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  assert.equal(await isFree(port), true);
});

test('ssh flags become the words of peers.json, with files as the node will find them', () => {
  const words = sshWords(
    'host',
    { l: 'me', p: '2222', i: ['k', '~/x'], F: '/c', J: 'a,b', o: ['Ciphers=aes128-ctr'] },
    '/home/me',
  );
  assert.deepEqual(words, {
    ssh: 'me@host:2222',
    identity: ['/home/me/k', path.join(homedir(), 'x')],
    sshConfig: '/c',
    jump: 'a,b',
    options: { Ciphers: 'aes128-ctr' },
  });
  const spec = specOf(words);
  assert.deepEqual([spec.destination.user, spec.destination.port, spec.forward.length], ['me', 2222, 0]);
  for (const hostile of ['-oProxyCommand=x', 'a b', '$(id)', 'me@-x', 'a\nb', '']) {
    assert.throws(() => sshWords(hostile, {}, '/'), ExoError);
  }
  assert.throws(() => sshWords('h', { o: ['ProxyCommand=id'] }, '/'), ExoError);
});
