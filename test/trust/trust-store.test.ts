/** What a node knows of others: kept whole, changed by several processes at once, bounded. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { silentLogger, systemClock, systemRandom, VirtualClock } from '../../src/shared/index.js';
import { withFileLock } from '../../src/trust/file-lock.js';
import { parseInvitation, printInvitation } from '../../src/trust/invitation.js';
import { parseTrust, printTrust } from '../../src/trust/trust-file.js';
import { TrustStore } from '../../src/trust/trust-store.js';
import fc from '../support/properties.js';
import '../support/leaks.js';
import { ROOT } from '../support/processes.js';
import { program } from '../support/program.js';
import { folderOf } from './folders.js';

const real = { clock: systemClock, random: systemRandom, log: silentLogger };
const print = (letter: string): string => `SHA256:${letter.repeat(43)}`;

test('a node is trusted, read back, and forgotten', async (t) => {
  const folder = folderOf(t);
  const file = path.join(folder, 'trust.json');
  const store = new TrustStore(file, real);
  await store.trust({ id: 'one', fingerprint: print('a'), learnt: 'by-hand' });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), ['trust.json']);
  const again = new TrustStore(file, real);
  assert.deepEqual(again.list(), store.list());
  assert.equal(again.get('one')?.trust, 'trusted');
  await assert.rejects(store.trust({ id: 'one', fingerprint: print('b'), learnt: 'connect' }), {
    code: 'identity-changed',
    message: /run: exo trust remove one/,
  });
  await assert.rejects(store.trust({ id: 'two', fingerprint: 'MD5:aa', learnt: 'by-hand' }), {
    code: 'option-invalid',
  });
  await assert.rejects(store.trust({ id: 'a\nb', fingerprint: print('b'), learnt: 'by-hand' }), {
    code: 'option-invalid',
  });
  assert.equal((await store.remove('one')).id, 'one');
  await assert.rejects(store.remove('one'), { code: 'peer-unknown', message: /exo trust list/ });
});

test('what exo connect gave is taken back to what was there before', async (t) => {
  const file = path.join(folderOf(t), 'trust.json');
  const store = new TrustStore(file, real);
  const connect = (id: string) => store.trust({ id, fingerprint: print('a'), learnt: 'connect' });
  const before = async (id: string, make: () => Promise<unknown>) => {
    await make();
    const entry = store.get(id);
    await connect(id);
    assert.deepEqual([store.get(id)?.trust, store.get(id)?.learnt], ['trusted', 'connect']);
    // A second connect in between forgets nothing, nor does reading the file anew.
    await connect(id);
    await new TrustStore(file, real).part(id);
    assert.deepEqual(new TrustStore(file, real).get(id), entry);
  };
  await before('new', async () => undefined);
  await before('pinned', () => store.pin('pinned', print('a'), 'mesh-key'));
  await before('joined', () => store.joined('joined', print('a')));
  const { id } = (await store.invite()).record;
  await before('guest', () => store.spend(id, 'guest', print('a')));

  // What a person said since then counts, and to forget is to forget.
  await connect('new');
  await store.trust({ id: 'new', fingerprint: print('a'), learnt: 'by-hand' });
  await store.part('new');
  assert.deepEqual([store.get('new')?.trust, store.get('new')?.learnt], ['trusted', 'by-hand']);
  await connect('pinned');
  await store.remove('pinned');
  assert.equal(store.get('pinned'), undefined);
  await assert.rejects(store.part('pinned'), { code: 'peer-unknown' });
});

test('a pin takes nothing away: a trusted node stays trusted, another key is not put in its place', async () => {
  const store = new TrustStore(null, real);
  await store.trust({ id: 'one', fingerprint: print('a'), learnt: 'connect' });
  assert.equal(await store.pin('one', print('a'), 'mesh-key'), true);
  assert.equal(store.get('one')?.trust, 'trusted');
  assert.equal(await store.pin('one', print('b'), 'mesh-key'), false);
  assert.equal(await store.pin('__proto__', print('b'), 'mesh-key'), true);
  assert.equal(store.get('__proto__')?.trust, 'pin');
  assert.equal(store.get('constructor'), undefined);
});

test('of many processes that change the store at once none loses anything', async (t) => {
  const file = path.join(folderOf(t), 'trust.json');
  const { execArgv, file: source } = program(path.join(ROOT, 'src/trust/trust-store.ts'));
  const code = `import { TrustStore } from ${JSON.stringify(source)};
    import { silentLogger, systemClock, systemRandom } from ${JSON.stringify(program(path.join(ROOT, 'src/shared/index.ts')).file)};
    const store = new TrustStore(${JSON.stringify(file)}, { clock: systemClock, random: systemRandom, log: silentLogger });
    await Promise.all(Array.from({ length: 20 }, (_, index) =>
      store.trust({ id: process.argv[1] + '-' + index, fingerprint: ${JSON.stringify(print('a'))}, learnt: 'by-hand' })));
    await store.remove(process.argv[1] + '-0');`;
  const run = promisify(execFile);
  const names = ['p', 'q', 'r', 's'];
  const store = new TrustStore(file, real);
  await Promise.all([
    ...names.map((name) =>
      run(process.execPath, [...execArgv, '--input-type=module', '-e', code, name], { cwd: ROOT }),
    ),
    ...Array.from({ length: 20 }, (_, index) => store.pin(`here-${index}`, print('b'), 'mesh-key')),
  ]);
  const kept = new TrustStore(file, real)
    .list()
    .map(({ id }) => id)
    .sort();
  const expected = [
    ...names.flatMap((name) => Array.from({ length: 19 }, (_, index) => `${name}-${index + 1}`)),
    ...Array.from({ length: 20 }, (_, index) => `here-${index}`),
  ];
  assert.deepEqual(kept, expected.sort());
  assert.deepEqual(readdirSync(path.dirname(file)), ['trust.json']);
});

test('a lock that was left over is taken away; one that is held is waited for', async (t) => {
  const file = path.join(folderOf(t), 'x');
  const lock = `${file}.lock`;
  // No process has this number: it is over the largest that Linux gives.
  writeFileSync(lock, JSON.stringify({ pid: 4_194_305, host: hostname(), token: 'a' }));
  assert.equal(await withFileLock(file, () => 1, real), 1);
  assert.deepEqual(readdirSync(path.dirname(file)), []);

  const clock = new VirtualClock();
  writeFileSync(lock, JSON.stringify({ pid: process.pid, host: hostname(), token: 'b' }));
  let done = false;
  const waiting = withFileLock(file, () => 2, { clock, random: systemRandom }).finally(() => {
    done = true;
  });
  await clock.advance(9_900);
  assert.equal(done, false);
  await clock.advance(200);
  assert.equal(await waiting, 2);

  // One that changes hands all the time is in use; at the end the caller is told.
  let turn = 0;
  writeFileSync(lock, 'in use');
  const moving = clock.every(50, () => {
    turn += 1;
    writeFileSync(lock, JSON.stringify({ pid: process.pid, host: hostname(), token: String(turn) }));
  });
  const refused = assert.rejects(
    withFileLock(file, () => 3, { clock, random: systemRandom }),
    {
      code: 'overloaded',
      retryable: true,
      message: /delete .*x\.lock/,
    },
  );
  await clock.advance(31_000);
  moving.cancel();
  await refused;
});

test('work that fails under the lock frees it, and changes nothing', async (t) => {
  const file = path.join(folderOf(t), 'trust.json');
  const store = new TrustStore(file, real);
  await store.trust({ id: 'one', fingerprint: print('a'), learnt: 'by-hand' });
  const before = readFileSync(file, 'utf8');
  await assert.rejects(store.remove('two'));
  assert.equal(readFileSync(file, 'utf8'), before);
  await store.remove('one');
});

test('a full table lets the oldest pin go, and never one that is trusted', async () => {
  const clock = new VirtualClock();
  const nodes = Array.from({ length: 4_096 }, (_, index) => ({
    id: `n${index}`,
    fingerprint: print('a'),
    trust: index === 0 ? ('trusted' as const) : ('pin' as const),
    learnt: 'mesh-key' as const,
    sinceMs: index,
  }));
  const text = printTrust({
    nodes: new Map(nodes.map((node) => [node.id, node])),
    invitations: [],
    held: [],
  });
  assert.ok(Buffer.byteLength(text) < 4 * 1024 * 1024);
  assert.equal(parseTrust(text).nodes.size, 4_096);
  const store = new TrustStore(null, { ...real, clock });
  for (const { id, trust } of nodes.slice(0, 3)) {
    if (trust === 'trusted') await store.trust({ id, fingerprint: print('a'), learnt: 'by-hand' });
    else await store.pin(id, print('a'), 'mesh-key');
  }
  for (let index = 3; index < 4_097; index += 1) await store.pin(`n${index}`, print('a'), 'mesh-key');
  assert.equal(store.list().length, 4_096);
  assert.equal(store.get('n0')?.trust, 'trusted');
  assert.equal(store.get('n1'), undefined);
  assert.ok(store.get('n2') !== undefined && store.get('n4096') !== undefined);
});

test('invitations: only what follows from the secret is kept, and they are bounded', async (t) => {
  const file = path.join(folderOf(t), 'trust.json');
  const store = new TrustStore(file, real);
  const { secret, record } = await store.invite();
  const text = readFileSync(file, 'utf8');
  assert.ok(!text.includes(secret.slice(6)));
  assert.ok(text.includes(record.id));
  for (let count = 1; count < 64; count += 1) await store.invite();
  await assert.rejects(store.invite(), { code: 'overloaded' });
  const spent = await Promise.all(
    ['one', 'two', 'three'].map((id) => store.spend(record.id, id, print('a'))),
  );
  assert.deepEqual(spent.sort(), [false, false, true]);
});

test('the line of an invitation is read back; one that is damaged is refused without its secret', async () => {
  const { secret } = await new TrustStore(null, real).invite();
  const line = printInvitation({
    address: { host: '10.0.0.7', port: 5_000 },
    fingerprint: print('a'),
    secret,
  });
  assert.match(line, /^exo join 10\.0\.0\.7:5000 SHA256:a{43} join1-[A-Za-z0-9_-]{22}$/);
  const words = line.split(' ').slice(2);
  assert.deepEqual(parseInvitation(words), {
    address: { host: '10.0.0.7', port: 5_000 },
    fingerprint: print('a'),
    secret,
  });
  for (const wrong of [
    words.slice(0, 2),
    [...words, 'x'],
    [words[0]!, 'SHA256:a', words[2]!],
    [words[0]!, words[1]!, `${secret}A`],
    ['nowhere', words[1]!, words[2]!],
  ]) {
    assert.throws(
      () => parseInvitation(wrong),
      (error: Error & { code: string }) =>
        ['option-invalid', 'candidate-invalid'].includes(error.code) &&
        !error.message.includes(secret.slice(6)),
    );
  }
});

test('trust.json: any text is read or refused with our own words', () => {
  const entry = fc.dictionary(
    fc.constantFrom('id', 'fingerprint', 'trust', 'learnt', 'sinceMs', 'untilMs', 'publicKey', 'secret'),
    fc.oneof(fc.string(), fc.integer(), fc.constantFrom('pin', 'mesh-key', print('a')), fc.constant(null)),
  );
  const file = fc.record({
    version: fc.constant(1),
    nodes: fc.array(entry),
    invitations: fc.array(entry),
    held: fc.array(entry),
  });
  const form =
    /^(?:not JSON|not version 1|without its list|more than|\w+: (?:entry \d+ does not have its form|one id stands there twice))/;
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.string(),
        file.map((each) => JSON.stringify(each)),
      ),
      (text) => {
        try {
          parseTrust(text);
        } catch (error) {
          assert.match((error as Error).message, form);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});
