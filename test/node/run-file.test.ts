/** Run files: the claim on an id, what is live, what is stale. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { ensureHome } from '../../src/node/home/home.js';
import { claimRunFile, type RunFile } from '../../src/node/home/run-claim.js';
import {
  isLive,
  listRunning,
  processStart,
  type RunRecord,
  readRecord,
  runFilePath,
} from '../../src/node/home/run-file.js';
import { eventually } from '../support/eventually.js';
import { look } from '../support/process-tree.js';
import { Child } from '../support/processes.js';
import { program } from '../support/program.js';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newHome(): string {
  const home = mkdtempSync(path.join(tmpdir(), 'exo-run-'));
  folders.push(home);
  ensureHome(home);
  return home;
}

function own(id: string, instance = '00000000000000aa') {
  return { id, instance, startedAt: '2026-01-01T00:00:00.000Z', version: '1' };
}

function claimed(home: string, id: string, instance?: string): RunFile {
  const result = claimRunFile(home, own(id, instance));
  assert.ok('runFile' in result);
  return result.runFile;
}

/** Writes what a process that is gone would have left. */
function leave(home: string, id: string, change: Partial<RunRecord> = {}): string {
  const file = runFilePath(home, id);
  const record: RunRecord = {
    ...own(id, '00000000000000bb'),
    pid: gonePid,
    processStart: null,
    machine: hostname(),
    api: null,
    nodePort: null,
    ...change,
  };
  writeFileSync(file, JSON.stringify(record));
  return file;
}

const gone = new Child(process.execPath, ['-e', '0']);
const gonePid = gone.pid;
await gone.closed;

const API = { host: '127.0.0.1', port: 52415, token: 'secret' };

test('a claim writes a file for the owner alone, and nothing else stays in the folder', () => {
  const home = newHome();
  const runFile = claimed(home, 'mac1');
  const file = path.join(home, 'run', 'mac1.json');
  assert.equal(runFilePath(home, 'mac1'), file);
  runFile.update({ api: API, nodePort: 50060 });
  if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(path.join(home, 'run')), ['mac1.json']);
  const record = JSON.parse(readFileSync(file, 'utf8')) as RunRecord;
  assert.deepEqual(record, {
    ...own('mac1'),
    pid: process.pid,
    processStart: processStart(process.pid),
    machine: hostname(),
    api: API,
    nodePort: 50060,
  });
  runFile.remove();
  assert.deepEqual(readdirSync(path.join(home, 'run')), []);
});

test('an id held by a living process is not given twice; the holder is told', () => {
  const home = newHome();
  const runFile = claimed(home, 'a');
  const second = claimRunFile(home, own('a', '00000000000000cc'));
  assert.ok('holder' in second);
  assert.equal(second.holder.pid, process.pid);
  assert.equal(second.holder.instance, '00000000000000aa');
  runFile.remove();
  claimed(home, 'a', '00000000000000cc').remove();
});

test('the file of a dead process, a reused pid and a broken file are stale: listed never, removed, claimable', () => {
  const home = newHome();
  leave(home, 'dead');
  leave(home, 'broken');
  writeFileSync(runFilePath(home, 'broken'), '{"id":');
  if (processStart(process.pid) !== null) leave(home, 'reused', { pid: process.pid, processStart: 'boot:1' });
  const runFile = claimed(home, 'dead');
  assert.deepEqual(
    listRunning(home).map(({ id }) => id),
    ['dead'],
  );
  assert.deepEqual(readdirSync(path.join(home, 'run')), ['dead.json']);
  runFile.remove();
});

test('a file with a pid or a port that none can be is no run file', () => {
  const home = newHome();
  const file = leave(home, 'a');
  assert.notEqual(readRecord(file), undefined);
  for (const change of [
    { pid: 2 ** 53 },
    { nodePort: 65_536 },
    { nodePort: undefined },
    { api: { ...API, port: 1e7 } },
    { api: { ...API, port: 0.5 } },
  ]) {
    leave(home, 'a', change as Partial<RunRecord>);
    assert.equal(readRecord(file), undefined, JSON.stringify(change));
  }
});

test('a file of another machine (a shared home) is neither listed nor removed', () => {
  const home = newHome();
  const file = leave(home, 'far', { machine: 'another-machine', pid: process.pid });
  assert.deepEqual(listRunning(home), []);
  assert.ok(existsSync(file));
});

test('a killed process that nobody has collected yet is not live', {
  skip: process.platform !== 'linux',
}, async () => {
  // The shell starts a child, and becomes a program that never collects it.
  const parent = new Child('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60']);
  try {
    const pid = Number((await parent.sees(/\d+/, 5_000))[0]);
    const shell = () => look(parent.pid!)?.name;
    await eventually({ timeoutMs: 5_000, what: 'it is no shell any more' }, () => shell() === 'sleep');
    process.kill(pid, 'SIGKILL');
    await eventually({ timeoutMs: 5_000, everyMs: 1, what: 'it is killed' }, () => look(pid)?.state === 'Z');
    assert.equal(isLive({ pid, processStart: null, machine: hostname() }), false);
  } finally {
    await parent.stop();
  }
});

test('remove leaves the file of a later process alone', () => {
  const home = newHome();
  const first = claimed(home, 'a');
  first.remove();
  const second = claimed(home, 'a', '00000000000000dd');
  first.remove();
  assert.equal(listRunning(home).length, 1);
  second.remove();
});

test('nodes are listed oldest first; without a folder there are none', () => {
  const home = newHome();
  assert.deepEqual(listRunning(path.join(home, 'nothing')), []);
  const files = ['b', 'a'].map((id, at) => {
    const result = claimRunFile(home, { ...own(id), startedAt: `2026-01-0${2 - at}T00:00:00.000Z` });
    assert.ok('runFile' in result);
    return result.runFile;
  });
  assert.deepEqual(
    listRunning(home).map(({ id }) => id),
    ['a', 'b'],
  );
  for (const file of files) file.remove();
});

test('ids that are no file names get one, and long ones too', () => {
  const home = newHome();
  for (const id of ['a b', 'con:1', 'Zoë', '節'.repeat(128), '%2e']) {
    const runFile = claimed(home, id);
    assert.equal(listRunning(home)[0]?.id, id);
    runFile.remove();
  }
  assert.deepEqual(readdirSync(path.join(home, 'run')), []);
});

test('of eight processes that claim one stale id at the same time exactly one gets it', async () => {
  const home = newHome();
  leave(home, 'wanted');
  const script = program(new URL('./claim-once.ts', import.meta.url));
  const children = Array.from(
    { length: 8 },
    () => new Child(process.execPath, [...script.argv, home, 'wanted']),
  );
  try {
    await Promise.all(children.map((child) => child.sees(/claimed|held/, 30_000)));
    const words = children.map((child) => child.stdout.trim()).sort();
    assert.deepEqual(words, ['claimed', ...Array<string>(7).fill('held')]);
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
});
