/** The mesh keys of an account: one file, several processes, changed without an outage. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
  seededRandom,
  silentLogger,
  systemClock,
  systemRandom,
  VirtualClock,
} from '../../src/shared/index.js';
import { meshKeyOf, parseToken, printMeshKey } from '../../src/trust/mesh-key.js';
import {
  keepNewest,
  mergeKeys,
  parseKeys,
  printKeys,
  sameKeys,
  validKeys,
} from '../../src/trust/mesh-key-list.js';
import { openMeshKeys } from '../../src/trust/mesh-keys.js';
import fc from '../support/properties.js';
import '../support/leaks.js';
import { folderOf } from './folders.js';

const TOKEN = 'a token that people made up';
const real = { clock: systemClock, random: systemRandom, log: silentLogger };

const anyKeys = fc
  .uniqueArray(
    fc.record({
      byte: fc.nat(5),
      createdAtMs: fc.nat(50),
      untilMs: fc.option(fc.nat(50), { nil: undefined }),
    }),
    { selector: ({ byte }) => byte, maxLength: 6 },
  )
  .map((list) =>
    mergeKeys(
      [],
      list.map(({ byte, createdAtMs, untilMs }) => meshKeyOf(Buffer.alloc(32, byte), createdAtMs, untilMs)),
    ),
  );

test('the key file: what is printed is read back', () => {
  fc.assert(fc.property(anyKeys, (keys) => assert.ok(sameKeys(parseKeys(printKeys(keys)), keys))));
});

test('lists of keys become one in any order', () => {
  fc.assert(
    fc.property(anyKeys, anyKeys, anyKeys, (a, b, c) => {
      assert.ok(sameKeys(mergeKeys(a, b), mergeKeys(b, a)));
      assert.ok(sameKeys(mergeKeys(mergeKeys(a, b), c), mergeKeys(a, mergeKeys(b, c))));
      assert.ok(sameKeys(mergeKeys(a, a), a));
      assert.ok(validKeys(mergeKeys(a, b), 25).every(({ untilMs }) => untilMs === undefined || untilMs > 25));
    }),
    { numRuns: 300 },
  );
});

test('of too many keys the newest stay, and the one that must', () => {
  const keys = mergeKeys(
    [],
    Array.from({ length: 12 }, (_, index) => meshKeyOf(Buffer.alloc(32, index + 1), index)),
  );
  const oldest = keys.at(-1)!.id;
  const kept = keepNewest(keys, oldest);
  assert.equal(kept.length, 8);
  assert.deepEqual(
    kept.map(({ createdAtMs }) => createdAtMs),
    [11, 10, 9, 8, 7, 6, 5, 0],
  );
});

test('a key is made, joined, replaced and forgotten; the file is for the owner alone', async (t) => {
  const folder = folderOf(t);
  const file = path.join(folder, 'mesh-keys.json');
  const clock = new VirtualClock();
  const keys = await openMeshKeys({ file }, { ...real, clock });
  assert.equal(keys.current, undefined);
  assert.equal(existsSync(file), false);
  await assert.rejects(keys.rotate(), { code: 'mesh-key-unknown', message: /exo key new/ });
  const first = await keys.create();
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), ['mesh-keys.json']);
  await assert.rejects(keys.create(), {
    code: 'option-conflict',
    message: new RegExp(`${first.id}.*exo key rotate`),
  });

  const second = await keys.rotate(1_000);
  assert.deepEqual(
    keys.valid.map(({ id }) => id),
    [second.id, first.id],
  );
  await clock.advance(1_000);
  assert.deepEqual(
    keys.valid.map(({ id }) => id),
    [second.id],
  );
  assert.equal((await openMeshKeys({ file }, { ...real, clock })).current?.id, second.id);

  const other = await openMeshKeys({ file: null }, { ...real, clock });
  const theirs = await other.create();
  await assert.rejects(keys.join(printMeshKey(theirs)), {
    code: 'option-conflict',
    message: /exo key join --replace/,
  });
  assert.equal((await keys.join(printMeshKey(theirs), { replace: true })).id, theirs.id);
  assert.deepEqual(
    keys.all.map(({ id }) => id),
    [theirs.id],
  );
  assert.equal((await keys.join(printMeshKey(theirs))).id, theirs.id);
  await assert.rejects(keys.forget(first.id), { code: 'mesh-key-unknown' });
  await keys.forget(theirs.id);
  assert.equal(keys.current, undefined);
});

test('a new key is newer than one from a machine whose clock is ahead', async () => {
  const clock = new VirtualClock();
  const keys = await openMeshKeys({ file: null }, { ...real, clock });
  const ahead = meshKeyOf(Buffer.alloc(32, 1), clock.wall() + 3_600_000);
  await keys.take({
    keys: [{ id: ahead.id, secret: ahead.secret.toString('base64url'), createdAtMs: ahead.createdAtMs }],
  });
  const next = await keys.rotate();
  assert.equal(keys.current?.id, next.id);
});

test('a damaged or open key file is refused, and no message shows what is in it', async (t) => {
  const file = path.join(folderOf(t), 'mesh-keys.json');
  const keys = await openMeshKeys({ file }, real);
  const secret = printMeshKey(await keys.create());
  const whole = readFileSync(file, 'utf8');
  const faults = [
    whole.slice(0, 70),
    whole.replace('"version": 1', '"version": 2'),
    whole.replace('exo1-', 'exo2-'),
    '[]',
    '',
    secret,
    whole.replace('"createdAtMs": ', '"createdAtMs": -'),
  ];
  for (const text of faults) {
    writeFileSync(file, text);
    await assert.rejects(
      openMeshKeys({ file }, real),
      (error: Error & { code: string }) =>
        error.code === 'trust-file-invalid' &&
        /put it back from a backup/.test(error.message) &&
        !error.message.includes(secret.slice(5, 20)),
    );
    await assert.rejects(keys.rotate(), { code: 'trust-file-invalid' });
    assert.equal(readFileSync(file, 'utf8'), text, 'it is not written over');
  }
  writeFileSync(file, whole);
  chmodSync(file, 0o644);
  await assert.rejects(openMeshKeys({ file }, real), { code: 'trust-file-invalid', message: /chmod 600/ });
});

test('a change by another process is seen within a second, a damaged one is not taken', async (t) => {
  const file = path.join(folderOf(t), 'mesh-keys.json');
  const clock = new VirtualClock();
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (event: string) => void warnings.push(event) };
  const node = await openMeshKeys({ file }, { ...real, clock, log });
  const command = await openMeshKeys({ file }, { ...real, clock });
  let told = 0;
  node.onChange(() => {
    told += 1;
  });
  await node.start();
  t.after(() => node.stop());
  const key = await command.create();
  await clock.advance(1_000);
  assert.equal(node.current?.id, key.id);
  assert.equal(told, 1);
  writeFileSync(file, 'damaged');
  await clock.advance(5_000);
  assert.equal(node.current?.id, key.id);
  assert.deepEqual([told, warnings], [1, ['trust-file-not-reloaded']]);
  writeFileSync(file, printKeys(command.all));
  await clock.advance(1_000);
  const next = await command.rotate(10_000);
  await clock.advance(1_000);
  assert.equal(node.current?.id, next.id);
  assert.equal(told, 2);
  await clock.advance(10_000);
  assert.equal(told, 3, 'the older key has ended');
  assert.deepEqual(
    node.valid.map(({ id }) => id),
    [next.id],
  );
  await command.forget(next.id);
  await clock.advance(1_000);
  assert.equal(told, 4);
});

test('a token of the environment or of a file is a mesh key; the file wins', async (t) => {
  const folder = folderOf(t);
  const tokenFile = path.join(folder, 'token');
  const key = await parseToken(TOKEN, 'x');
  assert.equal((await openMeshKeys({ file: null, environmentToken: TOKEN }, real)).current?.id, key.id);
  assert.equal((await openMeshKeys({ file: null, environmentToken: ' ' }, real)).current, undefined);
  await assert.rejects(openMeshKeys({ file: null, tokenFile }, real), {
    code: 'option-invalid',
    message: /no such file/,
  });
  writeFileSync(tokenFile, `${TOKEN}\n`, { mode: 0o644 });
  await assert.rejects(openMeshKeys({ file: null, tokenFile }, real), {
    code: 'trust-file-invalid',
    message: /chmod 600/,
  });
  chmodSync(tokenFile, 0o400);
  const options = { file: null, tokenFile, environmentToken: 'another token of some people' };
  const keys = await openMeshKeys(options, real);
  assert.equal(keys.current?.id, key.id);
  await assert.rejects(keys.forget(key.id), { code: 'option-conflict', message: /unset that/ });
});

test('a mesh on a token changes its key: the newer one is kept beside it', async (t) => {
  const clock = new VirtualClock();
  const file = path.join(folderOf(t), 'mesh-keys.json');
  const open = () => openMeshKeys({ file, environmentToken: TOKEN }, { ...real, clock });
  const [here, there] = [
    await open(),
    await openMeshKeys({ file: null, environmentToken: TOKEN }, { ...real, clock }),
  ];
  const token = here.current!.id;
  const next = await there.rotate(1_000);
  assert.equal(await here.take(there.toUpdate()), true);
  assert.deepEqual(
    (await open()).valid.map(({ id }) => id),
    [next.id, token],
  );
  await clock.advance(1_000);
  assert.deepEqual(
    (await open()).valid.map(({ id }) => id),
    [next.id],
    'the token is set still, and has ended',
  );
});

test('a token of another mesh leaves the file alone', async (t) => {
  const file = path.join(folderOf(t), 'mesh-keys.json');
  const kept = await (await openMeshKeys({ file }, real)).create();
  const before = readFileSync(file, 'utf8');
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (event: string) => void warnings.push(event) };
  const keys = await openMeshKeys({ file, environmentToken: TOKEN }, { ...real, log });
  assert.deepEqual(warnings, ['mesh-key-file-not-used']);
  const token = await parseToken(TOKEN, 'x');
  assert.deepEqual(
    keys.valid.map(({ id }) => id),
    [token.id],
  );
  const next = await keys.rotate();
  assert.deepEqual(
    keys.valid.map(({ id }) => id),
    [next.id, token.id],
  );
  assert.equal(readFileSync(file, 'utf8'), before);
  assert.equal((await openMeshKeys({ file }, real)).current?.id, kept.id);
});

test('a key comes from the random source that was passed in', async () => {
  const make = () =>
    openMeshKeys({ file: null }, { ...real, clock: new VirtualClock(), random: seededRandom(5) });
  assert.equal((await (await make()).create()).id, (await (await make()).create()).id);
});
