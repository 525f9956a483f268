/** Who a node is. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { restingIdentity, takeIdentity } from '../../src/node/home/identity.js';
import { listRunning } from '../../src/node/home/run-file.js';
import { type ErrorCode, ExoError, seededRandom, VirtualClock } from '../../src/shared/index.js';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newHome(): string {
  const home = mkdtempSync(path.join(tmpdir(), 'exo-id-'));
  folders.push(home);
  return home;
}

const clock = new VirtualClock(1_700_000_000_000);
const random = seededRandom(7);
const take = (home: string, nodeId: string | null) =>
  takeIdentity({ home, nodeId, version: '1' }, { clock, random });

function refused(code: ErrorCode, ...says: RegExp[]) {
  return (error: unknown) => {
    assert.ok(error instanceof ExoError, String(error));
    assert.equal(error.code, code);
    for (const pattern of says) assert.match(error.message, pattern);
    return true;
  };
}

test('without --node-id an id is made once and kept; the instance is new with every start', () => {
  const home = newHome();
  const first = take(home, null);
  assert.match(first.identity.id, /^[0-9a-f-]{36}$/);
  assert.match(first.identity.instance, /^[0-9a-f]{16}$/);
  assert.equal(first.identity.epoch, 1_700_000_000_000);
  const file = path.join(home, 'node-id');
  assert.equal(readFileSync(file, 'utf8'), `${first.identity.id}\n`);
  if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o777, 0o600);
  first.runFile.remove();
  const second = take(home, null);
  assert.equal(second.identity.id, first.identity.id);
  assert.notEqual(second.identity.instance, first.identity.instance);
  second.runFile.remove();
});

test('a second node on the machine gets an id of its own, and the same one again later', () => {
  const home = newHome();
  const first = take(home, null);
  const second = take(home, null);
  assert.notEqual(second.identity.id, first.identity.id);
  assert.equal(first.firstHolder, undefined);
  assert.equal(second.firstHolder?.id, first.identity.id);
  assert.equal(readFileSync(path.join(home, 'node-id-2'), 'utf8').trim(), second.identity.id);
  assert.equal(listRunning(home).length, 2);
  second.runFile.remove();
  const again = take(home, null);
  assert.equal(again.identity.id, second.identity.id);
  again.runFile.remove();
  first.runFile.remove();
});

test('--node-id is taken as it is, and nothing is kept', () => {
  const home = newHome();
  const { identity, runFile } = take(home, 'mac1');
  assert.equal(identity.id, 'mac1');
  assert.throws(() => statSync(path.join(home, 'node-id')));
  runFile.remove();
});

test('--node-id of a running node is refused with its pid and the option', () => {
  const home = newHome();
  const { runFile } = take(home, 'mac1');
  runFile.update({ api: { host: '127.0.0.1', port: 52416, token: 't' }, nodePort: 50060 });
  assert.throws(
    () => take(home, 'mac1'),
    refused('option-conflict', /--node-id mac1/, new RegExp(`pid ${process.pid}`), /127\.0\.0\.1:52416/),
  );
  runFile.remove();
});

for (const nodeId of ['mac1', null]) {
  test(`the resting node ${nodeId ?? 'with the kept id'} is found without a file, so that a start in that moment gets its id`, () => {
    const home = newHome();
    const { identity, runFile } = take(home, nodeId);
    runFile.remove();
    const before = new Date(1_000);
    utimesSync(path.join(home, 'run'), before, before);
    assert.equal(restingIdentity({ home, nodeId }, { random }), identity.id);
    assert.deepEqual(statSync(path.join(home, 'run')).mtime, before);
  });
}

test('a node that starts is waited for and never taken for a resting one; beside one that runs, the next id rests', () => {
  const home = newHome();
  const { identity, runFile } = take(home, null);
  const resting = (nodeId: string | null) => restingIdentity({ home, nodeId }, { random });
  assert.throws(() => resting(null), refused('option-conflict', /is starting here/, new RegExp(identity.id)));
  assert.throws(() => resting(identity.id), refused('option-conflict', /is used by/));
  runFile.update({ api: null, nodePort: 50060 });
  assert.equal(resting(null), readFileSync(path.join(home, 'node-id-2'), 'utf8').trim());
  runFile.remove();
  assert.equal(resting(null), identity.id);
});

test('an id file that somebody broke is refused by name; an empty one is written anew', () => {
  const home = newHome();
  const file = path.join(home, 'node-id');
  writeFileSync(file, 'a/b\n');
  assert.throws(() => take(home, null), refused('option-invalid', /node-id/, /slash/, /--node-id/));
  writeFileSync(file, '');
  const { identity, runFile } = take(home, null);
  assert.equal(readFileSync(file, 'utf8').trim(), identity.id);
  runFile.remove();
});
