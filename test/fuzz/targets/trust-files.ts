/** What trust reads from files and from people: mesh keys, known nodes, invitations, authorized_keys. No message shows a secret. */
import assert from 'node:assert/strict';
import { ExoError, seededRandom } from '../../../src/shared/index.js';
import { fingerprintOf } from '../../../src/trust/ed25519.js';
import {
  type Invitation,
  invitationRecord,
  isInvitationProof,
  newInvitationSecret,
  parseInvitation,
  printInvitation,
} from '../../../src/trust/invitation.js';
import { meshKeyOf, newMeshKey, parseMeshKey, printMeshKey } from '../../../src/trust/mesh-key.js';
import { parseKeys, printKeys } from '../../../src/trust/mesh-key-list.js';
import { lineFault, parseAuthorizedKeys } from '../../../src/trust/ssh-authorized-keys.js';
import { parseSshPublicKey } from '../../../src/trust/ssh-public-key.js';
import { NO_TRUST, parseTrust, printTrust } from '../../../src/trust/trust-file.js';
import type { FuzzTarget } from '../target.js';
import { jsonSeeds, keysOf, varyJsonInput } from './json-text.js';

const random = seededRandom(1);
const SECRET = newInvitationSecret(random);
const KEY = newMeshKey(random, 1_700_000_000_000);
const FINGERPRINT = fingerprintOf(random.bytes(32));

/** kept-state.ts makes a `trust-file-invalid` of it, with the name of the file in front: so it must be short, and quote nothing. */
function isPlainRefusal(error: unknown): boolean {
  return (
    error instanceof Error &&
    error.constructor === Error &&
    /^(?:nodes|invitations|held)?[A-Za-z0-9 :,]{1,80}$/.test(error.message)
  );
}

export const meshKeys: FuzzTarget = {
  name: 'mesh-keys',
  bytesMax: 16 * 1024,
  words: [printMeshKey(KEY), 'exo1-', 'secret', 'createdAtMs', 'untilMs', 'version', 'keys'],
  codes: [],
  isDeclared: isPlainRefusal,
  seeds: () => [
    Buffer.from(printKeys([KEY, meshKeyOf(random.bytes(32), 5, 9)])),
    ...jsonSeeds({ version: 1, keys: [] }, { version: 2, keys: [] }),
  ],
  vary: varyJsonInput([printMeshKey(KEY), 'untilMs']),
  run(input) {
    const keys = parseKeys(input.toString('utf8'));
    for (const key of keys) assert.deepEqual(parseMeshKey(printMeshKey(key)).secret, key.secret);
    // By their text: JSON has a -0, and nobody else tells it from 0.
    assert.equal(printKeys(parseKeys(printKeys(keys))), printKeys(keys));
    return `${Math.min(4, keys.length)} ${keys.some(({ untilMs }) => untilMs !== undefined)}`;
  },
};

export const trustFile: FuzzTarget = {
  name: 'trust-file',
  bytesMax: 16 * 1024,
  words: [
    'nodes',
    'invitations',
    'held',
    'fingerprint',
    'trust',
    'learnt',
    'publicKey',
    FINGERPRINT,
    SECRET,
    'pin',
  ],
  codes: [],
  isDeclared: isPlainRefusal,
  seeds: () =>
    [
      NO_TRUST,
      {
        nodes: new Map([
          [
            'a',
            {
              id: 'a',
              fingerprint: FINGERPRINT,
              trust: 'trusted',
              learnt: 'connect',
              sinceMs: 2,
              before: { trust: 'pin', learnt: 'mesh-key', sinceMs: 1 },
            } as const,
          ],
        ]),
        invitations: [invitationRecord(SECRET, 2)],
        held: [{ fingerprint: FINGERPRINT, secret: SECRET, untilMs: 3 }],
      },
    ].map((state) => Buffer.from(printTrust(state))),
  vary: varyJsonInput(['invited', 'mesh-key', 'by-hand', FINGERPRINT]),
  run(input) {
    const state = parseTrust(input.toString('utf8'));
    assert.equal(printTrust(parseTrust(printTrust(state))), printTrust(state));
    // Whatever stands there as a public key: a proof is wrong, and nothing is thrown.
    for (const record of state.invitations.slice(0, 2)) {
      assert.equal(isInvitationProof(record, Buffer.from('statement'), Buffer.alloc(64)), false);
    }
    // What is held is used at the next connection.
    for (const { secret, untilMs } of state.held.slice(0, 2))
      assert.equal(invitationRecord(secret, untilMs).untilMs, untilMs);
    return `${Math.min(3, state.nodes.size)} ${state.invitations.length} ${state.held.length}`;
  },
};

/** Errors of an invitation get into a terminal's history; the secret that opens the mesh does not belong there. */
function readInvitation(line: string): Invitation {
  const words = line.trim().split(/\s+/).slice(2);
  try {
    return parseInvitation(words);
  } catch (error) {
    const secret = words[2] ?? '';
    // Pasted in the place of the address as well, it is shown as what it was pasted as.
    if (secret.length > 8 && !words[0]?.includes(secret))
      assert.ok(!String(error).includes(secret), 'the message has the secret');
    throw error;
  }
}

export const invitation: FuzzTarget = {
  name: 'invitation',
  bytesMax: 4 * 1024,
  words: ['exo join ', 'SHA256:', 'join1-', FINGERPRINT, SECRET, '[::1]:1', 'host:1', ' '],
  codes: ['option-invalid', 'candidate-invalid'],
  seeds: () =>
    [
      printInvitation({
        address: { host: '192.0.2.1', port: 50_051 },
        fingerprint: FINGERPRINT,
        secret: SECRET,
      }),
      printInvitation({
        address: { host: 'fe80::1%eth0', port: 1 },
        fingerprint: FINGERPRINT,
        secret: SECRET,
      }),
    ].map((line) => Buffer.from(line)),
  run(input) {
    const read = readInvitation(input.toString('utf8'));
    const again = readInvitation(printInvitation(read));
    assert.deepEqual(again, read);
    assert.match(invitationRecord(read.secret, 1).id, /^[0-9a-f]{16}$/);
    return keysOf(read.address);
  },
};

const ED = 'AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB';
const LISTED = `ssh-ed25519 ${ED}`;

export const authorizedKeys: FuzzTarget = {
  name: 'authorized-keys',
  bytesMax: 64 * 1024,
  words: [
    LISTED,
    'ssh-rsa ',
    'ecdsa-sha2-nistp256 ',
    'restrict ',
    'from="',
    'command="',
    '\\"',
    'no-pty,',
    '\n',
    '#',
  ],
  codes: [],
  seeds: () =>
    [
      `${LISTED} me@here\n# comment\nno-pty,environment="A=b" ${LISTED}\n`,
      `restrict,command="echo \\"x, y\\"" ${LISTED}\r\nexpiry-time="20300101Z" ${LISTED}\nfrom="*.net" ssh-rsa AAAA\n`,
      `cert-authority,principals="a b" ecdsa-sha2-nistp256 AAAA x y z\nexpiry-time="20301301" ${LISTED}`,
    ].map((text) => Buffer.from(text)),
  run(input) {
    const text = input.toString('utf8');
    const lines = parseAuthorizedKeys(text);
    const faults = lines.map((line) => {
      try {
        parseSshPublicKey(`${line.type} ${line.base64}`);
      } catch (error) {
        if (!(error instanceof ExoError) || error.code !== 'ssh-key-unusable') throw error;
      }
      return lineFault(line, 1_700_000_000_000)?.why.slice(0, 30) ?? 'open';
    });
    // What else stands in the file does not change what a plain line means, and a comment opens nothing.
    const after = parseAuthorizedKeys(`${text}\n${LISTED} last`).at(-1);
    assert.deepEqual([after?.type, after?.base64, after?.options], ['ssh-ed25519', ED, []]);
    assert.deepEqual(parseAuthorizedKeys(text.replaceAll(/^/gm, '#').replaceAll('\r', '')), []);
    return [...new Set(faults)].sort().join('|').slice(0, 60);
  },
};
