/** The bytes that proofs are over: golden vectors (docs/PROTOCOL.md quotes them), and no two sets of facts with the same bytes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { HandshakeFacts, Party } from '../../src/trust/handshake.js';
import { invitationRecord, isInvitationProof, proveInvitation } from '../../src/trust/invitation.js';
import { isMacOf, macOf, parseMeshKey, parseToken, printMeshKey } from '../../src/trust/mesh-key.js';
import { sshSignedData } from '../../src/trust/ssh-statement.js';
import { otherRole, prefixed, statementOf, transcriptOf } from '../../src/trust/transcript.js';
import fc from '../support/properties.js';
import '../support/leaks.js';

const FACTS: HandshakeFacts = {
  role: 'dialler',
  dialler: {
    nodeId: 'alpha',
    instance: '0011223344556677',
    publicKey: Buffer.alloc(32, 0xa1),
    nonce: Buffer.alloc(32, 0xa2),
  },
  acceptor: {
    nodeId: 'bêta',
    instance: '8899aabbccddeeff',
    publicKey: Buffer.alloc(32, 0xb1),
    nonce: Buffer.alloc(32, 0xb2),
  },
  binding: Buffer.alloc(32, 0xc1),
};

test('golden: transcript, statement, mesh key, mac, invitation', async () => {
  const transcript = transcriptOf(FACTS);
  assert.equal(
    transcript.toString('hex'),
    '6a5cc6ccd7f044b3ce942e4632f5c26ea78f9ae6975baeeee8e0d40bf21b0346',
  );
  const statement = statementOf(transcript, 'mesh-key', 'dialler');
  assert.equal(
    statement.toString('hex'),
    `0000000b${hex('exo proof 1')}000000086d6573682d6b657900000007${hex('dialler')}00000020${transcript.toString('hex')}`,
  );
  const key = parseMeshKey('exo1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8');
  assert.equal(
    key.secret.toString('hex'),
    '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  );
  assert.equal(
    key.proofKey.toString('hex'),
    'ccd5f1e39a55d512f9c1a3b7983ecf2f3f8fd57d1785bf17f0e248fb04f5a9c9',
  );
  assert.equal(key.id, 'cfe84699');
  assert.equal(
    macOf(key, statement).toString('hex'),
    'c6978ea4cc28d4c2629dd5f0a9abed1e649e90c36f1de3c79bdea8f4b9611fbc',
  );
  assert.equal((await parseToken('correct horse battery staple', 'a test')).id, '5462a75e');
  const { id, publicKey } = invitationRecord('join1-AAECAwQFBgcICQoLDA0ODw', 1);
  assert.equal(id, '5562d8738ca1a4ae');
  assert.equal(
    Buffer.from(publicKey, 'base64url').toString('hex'),
    '7e95e2d73b1e3cbef3b162e5137cc77b15bda2b00c15d06343b2a9c8e3f47340',
  );
  const invited = statementOf(transcript, 'invitation', 'dialler');
  assert.equal(
    proveInvitation('join1-AAECAwQFBgcICQoLDA0ODw', invited).signature.toString('hex'),
    'b4646f55229529e65c2868907a603d5ba4a20b6bfa4d2ef1537e72a263343ff1a8988c38b13d64ac90fc39049a3c535310b69f4afa7a990c8b56bb0ee1c28508',
  );
  assert.equal(
    sshSignedData(statementOf(transcript, 'ssh-key', 'dialler')).toString('hex'),
    '5353485349470000000865786f2d6d657368000000000000000673686135313200000040de6837a0277eae5c9687a6ec06da6201c8ca41b98a7bec343c974f45b5edb64fd31100a0c9a19fa543b6069b927cc9e75904834d520aa01bf40d5edf5468dd2e',
  );
});

test('both ends have one transcript; the statement differs by method and by who proves', () => {
  assert.deepEqual(transcriptOf({ ...FACTS, role: 'acceptor' }), transcriptOf(FACTS));
  const transcript = transcriptOf(FACTS);
  const statements = (['pinned', 'mesh-key', 'invitation', 'ssh-key'] as const).flatMap((method) =>
    (['dialler', 'acceptor'] as const).map((role) => statementOf(transcript, method, role).toString('hex')),
  );
  assert.equal(new Set(statements).size, statements.length);
  assert.deepEqual([otherRole('dialler'), otherRole('acceptor')], ['acceptor', 'dialler']);
});

const party = fc.record<Party>({
  nodeId: fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .filter((id) => /^[^\p{C}\p{Z}]+$/u.test(id)),
  instance: fc.stringMatching(/^[0-9a-f]{16}$/),
  publicKey: bytes(),
  nonce: bytes(),
});
const anyFacts = fc.record<HandshakeFacts>({
  role: fc.constant('dialler'),
  dialler: party,
  acceptor: party,
  binding: bytes(),
});

test('two different sets of facts never have the same transcript', () => {
  fc.assert(
    fc.property(anyFacts, anyFacts, (a, b) => {
      const same = JSON.stringify(a) === JSON.stringify(b);
      assert.equal(transcriptOf(a).equals(transcriptOf(b)), same);
    }),
    { numRuns: 2_000 },
  );
});

test('lists of fields with lengths in front are never mixed up', () => {
  // Few letters, so that fields that only differ in where they are cut come up often.
  const list = fc.array(
    fc.array(fc.constantFrom(0, 1, 4), { maxLength: 5 }).map((each) => Buffer.from(each)),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(list, list, (a, b) => {
      const same = a.length === b.length && a.every((field, index) => field.equals(b[index]!));
      assert.equal(prefixed(a).equals(prefixed(b)), same);
    }),
    { numRuns: 20_000 },
  );
});

test('a mac or signature of another statement, key or length is wrong', () => {
  const key = parseMeshKey(`exo1-${'A'.repeat(43)}`);
  const other = parseMeshKey(`exo1-${'B'.repeat(42)}A`);
  const statement = statementOf(transcriptOf(FACTS), 'mesh-key', 'dialler');
  const mac = macOf(key, statement);
  assert.ok(isMacOf(key, statement, mac));
  assert.ok(!isMacOf(other, statement, mac));
  assert.ok(!isMacOf(key, Buffer.concat([statement, Buffer.alloc(1)]), mac));
  for (const wrong of [Buffer.alloc(0), mac.subarray(1), Buffer.concat([mac, mac]), Buffer.alloc(32)]) {
    assert.ok(!isMacOf(key, statement, wrong));
  }
  const secret = `join1-${'A'.repeat(22)}`;
  const { signature } = proveInvitation(secret, statement);
  assert.ok(isInvitationProof(invitationRecord(secret, 1), statement, signature));
  assert.ok(!isInvitationProof(undefined, statement, signature));
  assert.ok(!isInvitationProof(invitationRecord(`join1-B${'A'.repeat(21)}`, 1), statement, signature));
  assert.ok(!isInvitationProof(invitationRecord(secret, 1), statement, Buffer.alloc(0)));
});

test('a mesh key is printed and read back; what is no key is refused without being shown', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (secret) => {
      const text = printMeshKey({ secret: Buffer.from(secret) });
      assert.ok(parseMeshKey(text).secret.equals(Buffer.from(secret)));
    }),
  );
  for (const text of [
    'exo1-',
    `exo1-${'A'.repeat(42)}B`,
    `exo1-${'A'.repeat(44)}`,
    `exo2-${'A'.repeat(43)}`,
    `exo1-${'A'.repeat(42)}!`,
  ]) {
    assert.throws(
      () => parseMeshKey(text),
      (error: Error & { code: string }) =>
        error.code === 'option-invalid' && !error.message.includes(text.slice(5) || 'exo1-A'),
    );
  }
  await assert.rejects(parseToken('fifteen letters', 'EXO_AUTH_TOKEN'), {
    code: 'option-invalid',
    message: /^EXO_AUTH_TOKEN has 15 characters/,
  });
  await assert.rejects(parseToken('exo1-mistyped-but-long-enough', 'EXO_AUTH_TOKEN'), {
    code: 'option-invalid',
  });
  assert.equal(
    (await parseToken(`  ${'a'.repeat(16)}\n`, 'x')).id,
    (await parseToken('a'.repeat(16), 'x')).id,
  );
  // The same word, composed and decomposed.
  assert.equal((await parseToken('é'.repeat(16), 'x')).id, (await parseToken('e\u0301'.repeat(16), 'x')).id);
});

function bytes(): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ minLength: 32, maxLength: 32 }).map((each) => Buffer.from(each));
}

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}
