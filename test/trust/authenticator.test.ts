/** What nodes think of each other: by mesh key, by name, by invitation; and what is worth nothing. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Logger, seededRandom, VirtualClock } from '../../src/shared/index.js';
import type { HandshakeFacts, Proof } from '../../src/trust/handshake.js';
import { printMeshKey } from '../../src/trust/mesh-key.js';
import fc from '../support/properties.js';
import '../support/leaks.js';
import { type End, makeEnd, meet, shake, short } from './parties.js';

const TOKEN = 'a token that people made up';

async function pair(token: string | undefined = TOKEN): Promise<[End, End]> {
  const options = token === undefined ? {} : { token };
  return [await makeEnd('near', options), await makeEnd('far', options)];
}

/** Keeps every word that is logged. */
function listeningLog(lines: string[]): Logger {
  const write = (event: string, fields?: object): void => {
    lines.push(
      `${event} ${JSON.stringify(fields, (_key, value: unknown) => (value instanceof Error ? value.message : value))}`,
    );
  };
  const log: Logger = { debug: write, info: write, warn: write, error: write, child: () => log };
  return log;
}

test('two nodes with one mesh key trust each other, and pin each other’s key', async () => {
  const [near, far] = await pair();
  const outcome = await shake(near, far);
  assert.deepEqual([short(outcome.dialler), short(outcome.acceptor)], ['mesh-key', 'mesh-key']);
  assert.equal(outcome.acceptor.trusted && outcome.acceptor.why, `mesh key ${near.keys.current!.id}`);
  assert.equal(far.store.get('near')?.fingerprint, near.nodeKey.fingerprint);
  assert.equal(near.store.get('far')?.trust, 'pin');
  assert.ok(near.authenticator.isPinned('far'));
  assert.ok(near.authenticator.requiresTrust && near.authenticator.hasMeans);
});

test('without a key nothing is required and nothing is proven', async () => {
  const [near, far] = [await makeEnd('near'), await makeEnd('far')];
  assert.equal(near.authenticator.requiresTrust, false);
  assert.equal(near.authenticator.hasMeans, false);
  const outcome = await shake(near, far);
  assert.deepEqual([short(outcome.dialler), short(outcome.acceptor)], ['auth-required', 'auth-required']);
  assert.deepEqual(far.store.list(), []);
  assert.equal((await makeEnd('strict', { requireTrust: true })).authenticator.requiresTrust, true);
});

test('an unknown key and a wrong proof look alike from outside', async () => {
  const [near, far] = await pair();
  const stranger = await makeEnd('stranger', { token: 'another token of some people' });
  const unknown = await shake(stranger, far);
  const [facts, theirs] = meet(near, far);
  const [proof] = await near.authenticator.prove(facts);
  const wrong = await far.authenticator.judge(theirs, [
    { ...proof!, mac: Buffer.alloc(32).toString('base64url') },
  ]);
  assert.deepEqual([short(unknown.acceptor), short(wrong)], ['auth-failed', 'auth-failed']);
  assert.deepEqual(far.store.list(), []);
});

test('a proof is worth nothing once any fact of the connection is another', async () => {
  const [near, far] = await pair();
  const [facts, theirs] = meet(near, far);
  const proofs = await near.authenticator.prove(facts);
  const changes: Array<(facts: HandshakeFacts) => HandshakeFacts> = [
    (f) => ({ ...f, binding: flipped(f.binding) }),
    ...(['dialler', 'acceptor'] as const).flatMap((role) => [
      (f: HandshakeFacts) => ({ ...f, [role]: { ...f[role], nodeId: `${f[role].nodeId}x` } }),
      (f: HandshakeFacts) => ({ ...f, [role]: { ...f[role], instance: '0123456789abcdef' } }),
      (f: HandshakeFacts) => ({ ...f, [role]: { ...f[role], publicKey: flipped(f[role].publicKey) } }),
      (f: HandshakeFacts) => ({ ...f, [role]: { ...f[role], nonce: flipped(f[role].nonce) } }),
    ]),
    (f) => ({ ...f, dialler: f.acceptor, acceptor: f.dialler }),
    (f) => ({ ...f, role: 'dialler' }),
  ];
  for (const change of changes) {
    assert.equal(short(await far.authenticator.judge(change(theirs), proofs)), 'auth-failed', String(change));
  }
  assert.deepEqual(far.store.list(), []);
  assert.equal(short(await far.authenticator.judge(theirs, proofs)), 'mesh-key');
});

test('a proof that is sent back is worth nothing', async () => {
  const [near, far] = await pair();
  const [facts] = meet(near, far);
  const own = await near.authenticator.prove(facts);
  // An attacker who has no key answers the dialler with what the dialler said.
  assert.equal(short(await near.authenticator.judge(facts, own)), 'auth-failed');
});

test('a challenge that is passed on is worth nothing: the binding of each connection is its own', async () => {
  const [near, far] = await pair();
  const between = await makeEnd('between');
  const [toBetween] = meet(near, between, seededRandom(1));
  const proofs = await near.authenticator.prove(toBetween);
  // It dials the other node and says there what it was told, under its own name or that of the first.
  const [, farSees] = meet(between, far, seededRandom(2));
  assert.equal(short(await far.authenticator.judge(farSees, proofs)), 'auth-failed');
  const asNear: HandshakeFacts = {
    ...farSees,
    dialler: { ...toBetween.dialler, publicKey: between.nodeKey.publicKey },
  };
  assert.equal(short(await far.authenticator.judge(asNear, proofs)), 'auth-failed');
});

test('an id that shows another key is refused, also with the mesh key', async () => {
  const [near, far] = await pair();
  await shake(near, far);
  const thief = { ...(await makeEnd('near', { token: TOKEN, seed: 99 })) };
  const outcome = await shake(thief, far);
  assert.equal(short(outcome.acceptor), 'identity-changed');
  assert.match(outcome.acceptor.trusted ? '' : outcome.acceptor.why, /run: exo trust remove near/);
  assert.deepEqual(outcome.proofs.acceptor, [], 'it hears nothing of us');
  await far.store.remove('near');
  assert.equal(short((await shake(thief, far)).acceptor), 'mesh-key');
});

test('a node that shows our own key is a copy', async () => {
  const near = await makeEnd('near', { token: TOKEN });
  const copy = { ...(await makeEnd('copy', { token: TOKEN })), nodeKey: near.nodeKey };
  const outcome = await shake(copy, near);
  assert.equal(short(outcome.acceptor), 'identity-changed');
  assert.match(outcome.acceptor.trusted ? '' : outcome.acceptor.why, /is a copy/);
});

test('trust by name needs no proof, holds for its key only, and is not mutual by itself', async () => {
  const [near, far] = [await makeEnd('near'), await makeEnd('far')];
  await far.store.trust({ id: 'near', fingerprint: near.nodeKey.fingerprint, learnt: 'connect' });
  const outcome = await shake(near, far);
  assert.deepEqual([short(outcome.dialler), short(outcome.acceptor)], ['auth-required', 'pinned']);
  const thief = await makeEnd('near', { seed: 99 });
  assert.equal(short((await shake(thief, far)).acceptor), 'identity-changed');
  await far.store.remove('near');
  assert.equal(short((await shake(near, far)).acceptor), 'auth-required');
});

test('a pin is not trust: whoever proved the mesh key once must prove it again', async () => {
  const [near, far] = await pair();
  await shake(near, far);
  const without = { ...(await makeEnd('near')), nodeKey: near.nodeKey };
  assert.equal(short((await shake(without, far)).acceptor), 'auth-required');
});

test('an invitation lets one node in, once, and brings it the mesh key', async () => {
  const far = await makeEnd('far');
  await far.keys.create();
  const near = await makeEnd('near');
  const { secret, record } = await far.store.invite();
  await near.store.hold({ fingerprint: far.nodeKey.fingerprint, secret, untilMs: record.untilMs });
  const outcome = await shake(near, far);
  assert.deepEqual([short(outcome.dialler), short(outcome.acceptor)], ['invitation', 'invitation']);
  assert.deepEqual(far.store.invitations(), []);
  assert.deepEqual(near.store.held(), []);
  assert.ok(outcome.acceptor.trusted && outcome.dialler.trusted);
  assert.equal(near.authenticator.keysFor(outcome.dialler), undefined);

  // The connection broke before the key came: it is still known, and gets it with the next one.
  const again = await shake(near, far);
  assert.deepEqual([short(again.dialler), short(again.acceptor)], ['pinned', 'pinned']);
  assert.ok(again.acceptor.trusted && again.dialler.trusted);
  const update = far.authenticator.keysFor(again.acceptor);
  assert.equal(await near.authenticator.takeKeys(again.dialler, update!), true);
  assert.equal(await near.authenticator.takeKeys(again.dialler, update!), false);
  assert.equal(near.keys.current?.id, far.keys.current?.id);

  const third = await shake(near, far);
  assert.deepEqual([short(third.dialler), short(third.acceptor)], ['mesh-key', 'mesh-key']);
  assert.deepEqual([near.store.get('far')?.trust, far.store.get('near')?.trust], ['pin', 'pin']);
  assert.ok(third.acceptor.trusted);
  assert.equal(far.authenticator.keysFor(third.acceptor), undefined);

  const late = await makeEnd('late');
  await late.store.hold({ fingerprint: far.nodeKey.fingerprint, secret, untilMs: record.untilMs });
  assert.equal(short((await shake(late, far)).acceptor), 'auth-failed');
});

test('an invitation is shown to nobody but the node that made it', async () => {
  const far = await makeEnd('far');
  const near = await makeEnd('near');
  const between = await makeEnd('between');
  const { secret, record } = await far.store.invite();
  await near.store.hold({ fingerprint: far.nodeKey.fingerprint, secret, untilMs: record.untilMs });
  const outcome = await shake(near, between);
  assert.deepEqual(outcome.proofs.dialler, []);
  assert.equal(short(outcome.dialler), 'auth-required');
});

test('of two nodes with one invitation one gets in, whatever happens at the same time', async () => {
  const far = await makeEnd('far');
  const { secret, record } = await far.store.invite();
  const guests = await Promise.all(['one', 'two', 'three'].map((id) => makeEnd(id)));
  const verdicts = await Promise.all(
    guests.map(async (guest) => {
      await guest.store.hold({ fingerprint: far.nodeKey.fingerprint, secret, untilMs: record.untilMs });
      return short((await shake(guest, far)).acceptor);
    }),
  );
  assert.deepEqual(verdicts.sort(), ['auth-failed', 'auth-failed', 'invitation']);
});

test('an invitation ends after a day, and after too many wrong proofs for a while', async () => {
  const clock = new VirtualClock();
  const far = await makeEnd('far', { clock });
  const near = await makeEnd('near', { clock });
  const { secret, record } = await far.store.invite();
  await near.store.hold({ fingerprint: far.nodeKey.fingerprint, secret, untilMs: record.untilMs + 10 });
  const [facts, theirs] = meet(near, far);
  const [proof] = await near.authenticator.prove(facts);
  const wrong = { ...proof!, signature: Buffer.alloc(64, 1).toString('base64url') };
  for (let guess = 0; guess < 5; guess += 1) {
    assert.equal(short(await far.authenticator.judge(theirs, [wrong])), 'auth-failed');
  }
  assert.equal(short(await far.authenticator.judge(theirs, [proof!])), 'auth-failed', 'closed for a while');
  await clock.advance(10_000);
  assert.equal(short(await far.authenticator.judge(theirs, [proof!])), 'invitation');

  const next = await far.store.invite();
  await near.store.hold({
    fingerprint: far.nodeKey.fingerprint,
    secret: next.secret,
    untilMs: next.record.untilMs + 10,
  });
  await far.store.remove('near');
  await clock.advance(24 * 60 * 60 * 1000);
  assert.equal(short((await shake(near, far)).acceptor), 'auth-failed');
});

test('guesses at invitations lock nobody out', async () => {
  const far = await makeEnd('far');
  const near = await makeEnd('near');
  const { secret, record } = await far.store.invite();
  await near.store.hold({ fingerprint: far.nodeKey.fingerprint, secret, untilMs: record.untilMs });
  const stranger = await makeEnd('stranger');
  const [, theirs] = meet(stranger, far);
  for (let guess = 0; guess < 200; guess += 1) {
    const invitation = guess.toString(16).padStart(16, '0');
    const proof = { method: 'invitation', invitation, signature: Buffer.alloc(64, 7).toString('base64url') };
    assert.equal(short(await far.authenticator.judge(theirs, [proof])), 'auth-failed');
  }
  assert.equal(short((await shake(near, far)).acceptor), 'invitation');
});

test('who proved an older key is told the newer; who knows the newest is told nothing', async () => {
  const [near, far] = [await makeEnd('near'), await makeEnd('far')];
  const first = await far.keys.create();
  await near.keys.join(`exo1-${first.secret.toString('base64url')}`);
  const second = await far.keys.rotate();
  const outcome = await shake(near, far);
  assert.deepEqual([short(outcome.dialler), short(outcome.acceptor)], ['mesh-key', 'mesh-key']);
  assert.ok(outcome.dialler.trusted && outcome.acceptor.trusted);
  assert.equal(near.authenticator.keysFor(outcome.dialler), undefined);
  const update = far.authenticator.keysFor(outcome.acceptor);
  assert.deepEqual(
    update?.keys.map(({ id }) => id),
    [second.id, first.id],
  );
  await near.authenticator.takeKeys(outcome.dialler, update!);
  assert.equal(near.keys.current?.id, second.id);
  const next = await shake(near, far);
  assert.ok(next.acceptor.trusted);
  assert.equal(far.authenticator.keysFor(next.acceptor), undefined);
});

test('a key that ends as announced ends no connection; one that is ended at once does', async () => {
  const clock = new VirtualClock();
  const [near, far] = [await makeEnd('near', { clock }), await makeEnd('far', { clock })];
  const first = await far.keys.create();
  await near.keys.join(`exo1-${first.secret.toString('base64url')}`);
  const [facts, theirs] = meet(near, far);
  const proofs = await near.authenticator.prove(facts);
  assert.equal(short(await far.authenticator.judge(theirs, proofs)), 'mesh-key');
  await far.keys.rotate(1_000);
  await clock.advance(1_000);
  assert.equal(short(await far.authenticator.judge(theirs, proofs)), 'mesh-key', 'the same connection');
  const [, others] = meet(near, far, seededRandom(9));
  assert.equal(short(await far.authenticator.judge(others, proofs)), 'auth-failed', 'another connection');
  assert.equal(short((await shake(near, far)).acceptor), 'auth-failed', 'a new connection');

  const [strictNear, strictFar] = await Promise.all([makeEnd('near', { clock }), makeEnd('far', { clock })]);
  const key = await strictFar.keys.create();
  await strictNear.keys.join(`exo1-${key.secret.toString('base64url')}`);
  const [ours, yours] = meet(strictNear, strictFar);
  const said = await strictNear.authenticator.prove(ours);
  assert.equal(short(await strictFar.authenticator.judge(yours, said)), 'mesh-key');
  await strictFar.keys.rotate(0);
  assert.equal(short(await strictFar.authenticator.judge(yours, said)), 'auth-failed');
});

test('keys that make no sense, or are of another mesh, are not taken', async () => {
  const [near, far] = [await makeEnd('near'), await makeEnd('far')];
  await near.keys.create();
  const other = await far.keys.create();
  const entry = far.keys.toUpdate().keys[0]!;
  assert.equal(near.authenticator.requiresTrust, true);
  const friend = await makeEnd('friend');
  await friend.keys.join(printMeshKey(near.keys.current!));
  const { dialler: byKey } = await shake(near, friend);
  assert.ok(byKey.trusted);
  await assert.rejects(near.authenticator.takeKeys(byKey, { keys: [entry] }), {
    code: 'auth-failed',
    message: /another mesh/,
  });
  const fresh = await makeEnd('fresh');
  const byInvitation = await invited(fresh);
  const refusals = [
    { keys: [] },
    { keys: [{ ...entry, id: '00000000' }] },
    { keys: [{ ...entry, secret: 'short' }] },
    { keys: [{ ...entry, createdAtMs: Number.MAX_SAFE_INTEGER }] },
    { keys: [{ ...entry, createdAtMs: -1 }] },
    { keys: [entry, entry] },
    { keys: Array.from({ length: 9 }, () => entry) },
  ];
  for (const update of refusals) {
    await assert.rejects(fresh.authenticator.takeKeys(byInvitation, update), { code: 'auth-failed' });
  }
  assert.equal(fresh.keys.current, undefined);
  const ended = { keys: [{ ...entry, untilMs: 1 }] };
  await assert.rejects(fresh.authenticator.takeKeys(byInvitation, ended), { code: 'auth-failed' });
  assert.notEqual(near.keys.current?.id, other.id);
});

test('keys are not taken from a node that is known by name alone', async () => {
  const [near, far] = [await makeEnd('near'), await makeEnd('far')];
  await far.keys.create();
  await near.store.trust({ id: 'far', fingerprint: far.nodeKey.fingerprint, learnt: 'connect' });
  await far.store.trust({ id: 'near', fingerprint: near.nodeKey.fingerprint, learnt: 'connect' });
  const { dialler } = await shake(near, far);
  assert.ok(dialler.trusted && dialler.method === 'pinned');
  await assert.rejects(near.authenticator.takeKeys(dialler, far.keys.toUpdate()), { code: 'auth-failed' });
  assert.equal(near.keys.current, undefined);
});

/** What a node without a key thinks of the one by whose invitation it has come. */
async function invited(end: End) {
  const host = await makeEnd('host');
  await host.keys.create();
  const { secret, record } = await host.store.invite();
  await end.store.hold({ fingerprint: host.nodeKey.fingerprint, secret, untilMs: record.untilMs });
  const { dialler } = await shake(end, host);
  assert.ok(dialler.trusted);
  return dialler;
}

test('changes that can change a verdict are told, others are not', async () => {
  const [near, far] = await pair();
  let told = 0;
  const off = far.authenticator.onChange(() => {
    told += 1;
  });
  await shake(near, far);
  await far.store.invite();
  assert.equal(told, 0, 'a pin, an invitation');
  await far.store.trust({ id: 'third', fingerprint: near.nodeKey.fingerprint, learnt: 'by-hand' });
  assert.equal(told, 1);
  await far.store.remove('third');
  assert.equal(told, 2);
  await far.keys.rotate();
  assert.equal(told, 3);
  const { fingerprint } = near.nodeKey;
  await far.store.trust({ id: 'near', fingerprint, learnt: 'connect' });
  assert.equal(told, 4);
  await far.store.part('near');
  assert.deepEqual([told, far.store.get('near')?.trust], [5, 'pin'], 'a pin again');
  off();
  await far.store.remove('near');
  assert.equal(told, 5);
});

test('what is damaged is never accepted, and nothing throws', async () => {
  const [near, far] = await pair();
  const guest = await makeEnd('guest');
  const { secret, record } = await far.store.invite();
  await guest.store.hold({ fingerprint: far.nodeKey.fingerprint, secret, untilMs: record.untilMs });
  const good = await Promise.all(
    [near, guest].map(async (end) => {
      const [facts, theirs] = meet(end, far);
      return { theirs, proof: (await end.authenticator.prove(facts))[0]! };
    }),
  );
  const damage = fc.record({
    which: fc.nat(1),
    field: fc.constantFrom('mac', 'key', 'signature', 'invitation', 'method'),
    at: fc.nat(200),
    char: fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
    mode: fc.constantFrom('replace', 'insert', 'cut', 'whole'),
  });
  await fc.assert(
    fc.asyncProperty(damage, async ({ which, field, at, char, mode }) => {
      const { theirs, proof } = good[which]!;
      const text = proof[field];
      if (text === undefined) return;
      const place = at % text.length;
      const damaged = {
        replace: text.slice(0, place) + char + text.slice(place + 1),
        insert: text.slice(0, place) + char + text.slice(place),
        cut: text.slice(0, place),
        whole: char,
      }[mode];
      fc.pre(damaged !== text);
      const verdict = await far.authenticator.judge(theirs, [{ ...proof, [field]: damaged } as Proof]);
      assert.equal(verdict.trusted, false);
    }),
    { numRuns: 2_000 },
  );
  assert.equal(far.store.invitations().length, 1, 'not used up');
  const nonsense = fc.array(
    fc.dictionary(fc.string(), fc.string()).map((fields) => ({ method: 'mesh-key', ...fields }) as Proof),
  );
  await fc.assert(
    fc.asyncProperty(nonsense, async (proofs) => {
      assert.equal((await far.authenticator.judge(good[0]!.theirs, proofs)).trusted, false);
    }),
    { numRuns: 500 },
  );
});

test('facts without sense are refused, not thrown', async () => {
  const [near, far] = await pair();
  const [facts, theirs] = meet(near, far);
  for (const change of [
    { binding: Buffer.alloc(0) },
    { dialler: { ...facts.dialler, nodeId: '' } },
    { dialler: { ...facts.dialler, nodeId: '\ud800' } },
    { dialler: { ...facts.dialler, nonce: Buffer.alloc(31) } },
    { dialler: { ...facts.dialler, publicKey: Buffer.alloc(33) } },
    { dialler: { ...facts.dialler, instance: 'x' } },
  ]) {
    assert.deepEqual(await near.authenticator.prove({ ...facts, ...change }), []);
    assert.equal(short(await far.authenticator.judge({ ...theirs, ...change }, [])), 'auth-failed');
  }
});

test('no secret reaches a log, a verdict or an error', async () => {
  const lines: string[] = [];
  const far = await makeEnd('far', { log: listeningLog(lines), token: TOKEN });
  const near = await makeEnd('near', { log: listeningLog(lines), token: TOKEN });
  const { secret } = await far.store.invite();
  const wrong = await shake(await makeEnd('x', { token: 'another token of some people' }), far);
  const right = await shake(near, far);
  await far.keys.rotate();
  assert.ok(right.dialler.trusted);
  await near.authenticator.takeKeys(right.dialler, far.keys.toUpdate());
  const errors = await Promise.all(
    [near.keys.join('exo1-abc'), near.keys.join('short'), near.keys.forget('exo1-nothing')].map((each) =>
      each.then(
        () => '',
        (error: Error) => error.message,
      ),
    ),
  );
  const said = JSON.stringify([lines, wrong, right, errors]);
  assert.ok(lines.length > 0);
  const secrets = [
    TOKEN,
    secret,
    'exo1-abc',
    'exo1-nothing',
    ...far.keys.all.flatMap((key) =>
      ['base64url', 'base64', 'hex'].map((form) => key.secret.toString(form as 'hex')),
    ),
  ];
  for (const each of secrets) assert.ok(!said.includes(each), `said: ${each}`);
});

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[5]! ^= 0x10;
  return copy;
}
