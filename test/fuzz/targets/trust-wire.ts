/**
 * What trust hears from strangers: first bytes of TLS, proofs, mesh keys, signatures by ssh keys. The authenticator is the real one,
 * and trusts exactly whoever has proven something.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { MessageDecoder, TYPE } from '../../../src/protocol/index.js';
import { firstRecord } from '../../../src/protocol/transports/tls-hello.js';
import { ExoError, seededRandom, silentLogger, VirtualClock } from '../../../src/shared/index.js';
import {
  createAuthenticator,
  type HandshakeFacts,
  openMeshKeys,
  TrustStore,
} from '../../../src/trust/index.js';
import { macOf, meshKeyOf, parseMeshKey, printMeshKey } from '../../../src/trust/mesh-key.js';
import { fromUpdate, toUpdate } from '../../../src/trust/mesh-key-list.js';
import {
  isSshSignature,
  packSignature,
  parseSshPublicKey,
  unpackSignature,
} from '../../../src/trust/ssh-public-key.js';
import { prefixed, statementOf, transcriptOf } from '../../../src/trust/transcript.js';
import type { FuzzTarget } from '../target.js';
import { jsonSeeds, keysOf, varyJsonInput } from './json-text.js';

export const tlsHello: FuzzTarget = {
  name: 'tls-hello',
  bytesMax: 20 * 1024,
  codes: [],
  seeds: () => [
    Buffer.from('16030100050100000100', 'hex'),
    Buffer.from('1603034000', 'hex'),
    Buffer.from('45584f010100000000', 'hex'),
    Buffer.concat([Buffer.from('1603010010', 'hex'), Buffer.alloc(16, 1)]),
  ],
  run(input) {
    if (input.length === 0) return 'nothing';
    const whole = firstRecord(input);
    // Garbage stays garbage and what is complete stays so; each more byte can only decide what was open.
    let before = firstRecord(input.subarray(0, 1));
    for (let length = 2; length <= Math.min(input.length, 64); length += 1) {
      const now = firstRecord(input.subarray(0, length));
      if (before !== 'partial') assert.equal(now, before, `after ${length} bytes`);
      before = now;
    }
    if (whole === 'complete') {
      assert.equal(input[0], 0x16);
      assert.ok(input.length >= 5 + input.readUInt16BE(3));
    }
    return whole;
  },
};

const random = seededRandom(2);
const SECRET = random.bytes(32);
const KEY = meshKeyOf(SECRET, 0);
const party = (nodeId: string) => ({
  nodeId,
  instance: '0123456789abcdef',
  publicKey: random.bytes(32),
  nonce: random.bytes(32),
});
const FACTS: HandshakeFacts = {
  role: 'acceptor',
  dialler: party('a'),
  acceptor: party('b'),
  binding: random.bytes(32),
};
const mac = (role: 'dialler' | 'acceptor') =>
  macOf(KEY, statementOf(transcriptOf(FACTS), 'mesh-key', role)).toString('base64url');
const GENUINE = { method: 'mesh-key', key: KEY.id, mac: mac('dialler') };

const components = { clock: new VirtualClock(), random, log: silentLogger };
const keys = await openMeshKeys({ file: null, environmentToken: printMeshKey(KEY) }, components);

export const proofs: FuzzTarget = {
  name: 'proofs',
  bytesMax: 16 * 1024,
  words: [
    'mesh-key',
    'pinned',
    'invitation',
    'ssh-key',
    'method',
    'key',
    'mac',
    'signature',
    KEY.id,
    GENUINE.mac,
  ],
  codes: ['frame-malformed'],
  seeds: () =>
    jsonSeeds(
      { proofs: [GENUINE] },
      // Sent back to who made it.
      { proofs: [{ ...GENUINE, mac: mac('acceptor') }] },
      {
        proofs: [
          { method: 'pinned' },
          { method: 'invitation', invitation: '0011223344556677', signature: 'AA' },
        ],
      },
      { proofs: [{ method: 'ssh-key', key: SSH_LINE, signature: packed().toString('base64url') }] },
      { proofs: [] },
    ),
  vary: varyJsonInput([KEY.id, GENUINE.mac, 'mesh-key', '']),
  async run(input) {
    const message = new MessageDecoder().decode(TYPE.authRequest, input);
    assert.equal(message.kind, 'auth-request');
    if (message.kind !== 'auth-request') return 'other';
    // A store of its own: what was learnt from one input says nothing about the next.
    const store = new TrustStore(null, components);
    const authenticator = createAuthenticator({}, { ...components, keys, store });
    const verdict = await authenticator.judge(FACTS, message.proofs);
    const isProven = message.proofs.some(
      ({ method, key, mac: said }) => method === 'mesh-key' && key === KEY.id && said === GENUINE.mac,
    );
    assert.equal(verdict.trusted, isProven, JSON.stringify(verdict));
    return verdict.trusted
      ? verdict.method
      : `${verdict.code} ${verdict.why.replace(/\S*[0-9a-f]{8}\S*/g, '#').slice(0, 50)}`;
  },
};

export const keyUpdate: FuzzTarget = {
  name: 'key-update',
  bytesMax: 16 * 1024,
  words: ['keys', 'id', 'secret', 'created_ms', 'until_ms', KEY.id, SECRET.toString('base64url')],
  codes: ['frame-malformed', 'auth-failed'],
  seeds: () =>
    jsonSeeds(
      { keys: [{ id: KEY.id, secret: SECRET.toString('base64url'), created_ms: 1, until_ms: 5 }] },
      { keys: [{ id: '00000000', secret: SECRET.toString('base64url'), created_ms: 1 }] },
      { keys: [] },
    ),
  vary: varyJsonInput([KEY.id, SECRET.toString('base64url')]),
  run(input) {
    const message = new MessageDecoder().decode(TYPE.keyUpdate, input);
    assert.equal(message.kind, 'key-update');
    if (message.kind !== 'key-update') return 'other';
    const list = fromUpdate(message, 1_000);
    for (const key of list) assert.equal(parseMeshKey(printMeshKey(key)).id, key.id);
    assert.deepEqual(fromUpdate(toUpdate(list), 1_000), list);
    return `${list.length} ${keysOf(list[0])}`;
  },
};

const STATEMENT = Buffer.from('what is signed');
const ED25519 = generateKeyPairSync('ed25519');
const P256 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

/** The key of Ed25519 above, as a line. */
function lineOf(): string {
  const raw = Buffer.from(ED25519.publicKey.export({ format: 'jwk' }).x!, 'base64url');
  return `ssh-ed25519 ${prefixed([Buffer.from('ssh-ed25519'), raw]).toString('base64')}`;
}
function ecLine(): string {
  const { x, y } = P256.publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]);
  const blob = prefixed([Buffer.from('ecdsa-sha2-nistp256'), Buffer.from('nistp256'), point]);
  return `ecdsa-sha2-nistp256 ${blob.toString('base64')}`;
}
const SSH_LINE = lineOf();
function packed(): Buffer {
  return packSignature('ssh-ed25519', sign(null, STATEMENT, ED25519.privateKey));
}

/** An input is the line of a key, a newline, and a signature. */
export const sshSignature: FuzzTarget = {
  name: 'ssh-signature',
  bytesMax: 8 * 1024,
  words: ['ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'nistp256', 'rsa-sha2-256', '\n'],
  codes: ['ssh-key-unusable'],
  seeds: () => [
    Buffer.concat([Buffer.from(`${SSH_LINE}\n`), packed()]),
    Buffer.concat([
      Buffer.from(`${ecLine()} me\n`),
      packSignature('ecdsa-sha2-nistp256', prefixed([Buffer.alloc(32, 1), Buffer.alloc(32, 2)])),
    ]),
    Buffer.concat([
      Buffer.from('ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAACQDN\n'),
      packSignature('rsa-sha2-256', Buffer.alloc(9)),
    ]),
  ],
  run(input) {
    const end = input.indexOf(10);
    if (end < 0) throw new ExoError('ssh-key-unusable', 'no signature');
    const key = parseSshPublicKey(input.toString('utf8', 0, end));
    assert.deepEqual(
      parseSshPublicKey(`${key.type} ${key.blob.toString('base64')}`).fingerprint,
      key.fingerprint,
    );
    const taken = unpackSignature(input.subarray(end + 1));
    if (taken === undefined) return `${key.type} no signature`;
    assert.ok(
      packSignature(taken.format, taken.signature).equals(input.subarray(end + 1)) ||
        /[^ -~]/.test(taken.format),
    );
    // Of our key there is one signature; whoever makes another one has broken more than this parser.
    const isRight = isSshSignature(key, STATEMENT, taken.signature, taken.format);
    if (isRight) assert.ok(input.subarray(end + 1).equals(packed()), 'a signature that nobody made');
    return `${key.type} ${taken.format.slice(0, 20)} ${isRight}`;
  },
};
