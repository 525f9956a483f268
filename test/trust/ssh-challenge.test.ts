/** Sessions by ssh key: a challenge is signed once, in time, by a listed key. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { seededRandom, VirtualClock } from '../../src/shared/index.js';
import { AuthorizedKeys } from '../../src/trust/ssh-authorized-keys.js';
import { type SshAnswer, SshChallenges } from '../../src/trust/ssh-challenge.js';
import { packSignature } from '../../src/trust/ssh-public-key.js';
import { prefixed } from '../../src/trust/transcript.js';
import '../support/leaks.js';
import { folderOf } from './folders.js';

interface Person {
  readonly line: string;
  sign(challenge: string): { readonly signature: string; readonly signatureFormat?: string };
}

function ed25519Person(): Person {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(12);
  return {
    line: `ssh-ed25519 ${prefixed([Buffer.from('ssh-ed25519'), raw]).toString('base64')} somebody`,
    sign: (challenge) => ({ signature: sign(null, Buffer.from(challenge), privateKey).toString('base64') }),
  };
}

function rsaPerson(format: string, hash: string): Person {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const number = (name: 'e' | 'n'): Buffer => {
    const bytes = Buffer.from(
      (publicKey as KeyObject).export({ format: 'jwk' })[name] as string,
      'base64url',
    );
    return bytes[0]! & 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
  };
  const blob = prefixed([Buffer.from('ssh-rsa'), number('e'), number('n')]);
  return {
    line: `ssh-rsa ${blob.toString('base64')}`,
    sign: (challenge) => ({
      signature: sign(hash, Buffer.from(challenge), privateKey).toString('base64'),
      signatureFormat: format,
    }),
  };
}

function setUp(t: TestContext, people: readonly Person[]) {
  const file = path.join(folderOf(t), 'authorized_keys');
  const list = (listed: readonly Person[]): void =>
    writeFileSync(file, listed.map(({ line }) => `${line}\n`).join(''));
  list(people);
  const clock = new VirtualClock();
  const service = new SshChallenges(new AuthorizedKeys(file), { clock, random: seededRandom(1) });
  const answer = (person: Person, change: Partial<SshAnswer> = {}): SshAnswer => {
    const { challenge } = service.challenge(person.line);
    return { publicKey: person.line, challenge, ...person.sign(challenge), ...change };
  };
  return { service, clock, list, answer };
}

const forbidden = { code: 'http-forbidden' };

test('a listed key opens a session for a day', async (t) => {
  const me = ed25519Person();
  const { service, clock, answer } = setUp(t, [me]);
  const { challenge, expiresAtMs } = service.challenge(me.line);
  assert.equal(Buffer.from(challenge, 'base64').length, 32);
  assert.equal(expiresAtMs, clock.wall() + 300_000);
  const session = service.connect(answer(me));
  assert.equal(Buffer.from(session.token, 'base64url').length, 32);
  assert.equal(session.expiresAtMs, clock.wall() + 86_400_000);
  assert.equal(service.check(session.token), true);
  assert.equal(service.check(`${session.token}x`), false);
  assert.equal(service.check(''), false);
  await clock.advance(86_400_000 - 1);
  assert.equal(service.check(session.token), true);
  await clock.advance(1);
  assert.equal(service.check(session.token), false);
  assert.equal(service.sessionCount, 0);
});

test('a session ends when it is told to, and when its key is taken out of the list', (t) => {
  const [me, you] = [ed25519Person(), ed25519Person()];
  const { service, list, answer } = setUp(t, [me, you]);
  const [mine, yours] = [service.connect(answer(me)), service.connect(answer(you))];
  assert.equal(service.disconnect(mine.token), true);
  assert.equal(service.disconnect(mine.token), false);
  assert.deepEqual([service.check(mine.token), service.check(yours.token)], [false, true]);
  list([me]);
  assert.equal(service.check(yours.token), false);
  list([me, you]);
  assert.equal(service.check(yours.token), false, 'it does not come back');
});

test('a challenge is good once, in time, for its own key and its own service', async (t) => {
  const [me, you] = [ed25519Person(), ed25519Person()];
  const { service, clock, answer } = setUp(t, [me, you]);
  const used = answer(me);
  service.connect(used);
  assert.throws(() => service.connect(used), forbidden);

  const late = answer(me);
  await clock.advance(300_000);
  assert.throws(() => service.connect(late), forbidden);
  const inTime = answer(me);
  await clock.advance(298_000);
  service.connect(inTime);

  const { challenge } = service.challenge(me.line);
  assert.throws(() => service.connect({ publicKey: you.line, challenge, ...you.sign(challenge) }), forbidden);
  const other = setUp(t, [me]);
  assert.throws(() => service.connect(other.answer(me)), forbidden);
  const made = Buffer.alloc(32, 9).toString('base64');
  assert.throws(() => service.connect({ publicKey: me.line, challenge: made, ...me.sign(made) }), forbidden);
  const spaced = ` ${service.challenge(me.line).challenge}`;
  assert.throws(
    () => service.connect({ publicKey: me.line, challenge: spaced, ...me.sign(spaced) }),
    forbidden,
  );
});

test('an unlisted key, a wrong signature and an old challenge get the same answer', async (t) => {
  const [me, stranger] = [ed25519Person(), ed25519Person()];
  const { service, clock, answer } = setUp(t, [me]);
  const old = answer(me);
  await clock.advance(300_000);
  const messages = [
    answer(stranger),
    answer(me, { signature: Buffer.alloc(64).toString('base64') }),
    old,
  ].map((each) => {
    try {
      service.connect(each);
    } catch (error) {
      assert.equal((error as { code: string }).code, 'http-forbidden');
      return (error as Error).message;
    }
    return 'opened';
  });
  assert.equal(new Set(messages).size, 1);
  assert.notEqual(messages[0], 'opened');
});

test('RSA signs with SHA-2 only, and says which', (t) => {
  const good = [rsaPerson('rsa-sha2-256', 'sha256'), rsaPerson('rsa-sha2-512', 'sha512')];
  const sha1 = rsaPerson('ssh-rsa', 'sha1');
  const { service, answer } = setUp(t, [...good, sha1]);
  for (const each of good) service.connect(answer(each));
  assert.throws(() => service.connect(answer(sha1)), forbidden);
  const { signatureFormat: _, ...without } = answer(good[0]!);
  assert.throws(() => service.connect(without), { code: 'http-invalid', message: /rsa-sha2-512/ });
});

test('a signature with its format in front is taken as well', (t) => {
  const me = ed25519Person();
  const { service, answer } = setUp(t, [me]);
  const given = answer(me);
  const packed = packSignature('ssh-ed25519', Buffer.from(given.signature, 'base64')).toString('base64');
  service.connect({ ...given, signature: packed });
});

test('what is malformed is told so', (t) => {
  const me = ed25519Person();
  const { service, answer } = setUp(t, [me]);
  const invalid = (message: RegExp) => ({ code: 'http-invalid', message });
  assert.throws(() => service.challenge('hello'), invalid(/^public_key: /));
  assert.throws(() => service.challenge('sk-ssh-ed25519@openssh.com AAAA'), invalid(/security key/));
  assert.throws(() => service.connect(answer(me, { signature: 'no base64!' })), invalid(/^signature: /));
  assert.throws(() => service.connect(answer(me, { signature: 'A'.repeat(9_999) })), invalid(/^signature: /));
  assert.throws(() => service.connect(answer(me, { publicKey: '' })), invalid(/^public_key: /));
});

test('asking for challenges takes nobody’s place; sessions are bounded per key', (t) => {
  const [me, you] = [ed25519Person(), ed25519Person()];
  const { service, answer } = setUp(t, [me, you]);
  const mine = answer(me);
  for (let count = 0; count < 10_000; count += 1) service.challenge(me.line);
  const first = service.connect(mine);
  const yours = service.connect(answer(you));
  const sessions = Array.from({ length: 16 }, () => service.connect(answer(me)));
  assert.equal(service.check(first.token), false, 'the oldest of the same key made room');
  assert.equal(
    sessions.every(({ token }) => service.check(token)),
    true,
  );
  assert.equal(service.check(yours.token), true);
  assert.equal(service.sessionCount, 17);
});

test('a list that cannot be read lets nobody in', (t) => {
  const me = ed25519Person();
  const clock = new VirtualClock();
  const missing = new AuthorizedKeys(path.join(folderOf(t), 'none'));
  const service = new SshChallenges(missing, { clock, random: seededRandom(1) });
  const { challenge } = service.challenge(me.line);
  assert.throws(() => service.connect({ publicKey: me.line, challenge, ...me.sign(challenge) }), forbidden);
});
