/**
 * What every proof of a connection is over. Pure; the bytes are part of the protocol (docs/PROTOCOL.md quotes the vectors of
 * test/trust/transcript.test.ts).
 *
 *   lp(x)      = u32 big-endian length of x in bytes, then x
 *   party      = lp(node id, UTF-8) lp(instance, UTF-8) lp(public key, 32 bytes) lp(nonce, 32 bytes)
 *   transcript = SHA-256( lp("exo handshake 1") party(dialler) party(acceptor) lp(binding, 32 bytes) )
 *   statement  = lp("exo proof 1") lp(method) lp(role of the prover: "dialler" | "acceptor") lp(transcript, 32 bytes)
 *
 * `mesh-key` sends HMAC-SHA-256(key, statement), `invitation` an Ed25519 signature of it, `ssh-key` a signature as `ssh-keygen -Y
 * sign` makes it of it. Every field is behind its length, so that no two sets of facts have the same bytes; the role of the prover is
 * in the statement, so that a proof that is sent back proves nothing.
 */
import { createHash } from 'node:crypto';
import { ExoError, idFault } from '../shared/index.js';
import { PUBLIC_KEY_BYTES } from './ed25519.js';
import type { HandshakeFacts, Party, ProofMethod } from './handshake.js';

const TRANSCRIPT_LABEL = 'exo handshake 1';
const STATEMENT_LABEL = 'exo proof 1';
export const NONCE_BYTES = 32;
export const BINDING_BYTES = 32;
const INSTANCE_PATTERN = /^[0-9a-f]{16}$/;

/** The digest of all facts but the own role: both ends have the same. Throws `auth-failed` for facts that cannot be. */
export function transcriptOf(facts: HandshakeFacts): Buffer {
  checkLength(facts.binding, BINDING_BYTES, 'a binding');
  const fields = [
    Buffer.from(TRANSCRIPT_LABEL),
    ...party(facts.dialler),
    ...party(facts.acceptor),
    facts.binding,
  ];
  return createHash('sha256').update(prefixed(fields)).digest();
}

/** What a proof of `method` by the end with `prover`’s role is over. */
export function statementOf(transcript: Buffer, method: ProofMethod, prover: HandshakeFacts['role']): Buffer {
  return prefixed([Buffer.from(STATEMENT_LABEL), Buffer.from(method), Buffer.from(prover), transcript]);
}

/** The end that is not `role`. */
export function otherRole(role: HandshakeFacts['role']): HandshakeFacts['role'] {
  return role === 'dialler' ? 'acceptor' : 'dialler';
}

/** The fields one behind the other, each behind its length (u32, big-endian): also the form of strings in ssh. */
export function prefixed(fields: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const field of fields) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    parts.push(length, field);
  }
  return Buffer.concat(parts);
}

function party({ nodeId, instance, publicKey, nonce }: Party): Buffer[] {
  const id = Buffer.from(nodeId, 'utf8');
  // A lone surrogate has no UTF-8: two ids would become one.
  if (idFault(nodeId) !== undefined || id.toString('utf8') !== nodeId) throw senseless('a node id');
  if (!INSTANCE_PATTERN.test(instance)) throw senseless('an instance');
  checkLength(publicKey, PUBLIC_KEY_BYTES, 'a public key');
  checkLength(nonce, NONCE_BYTES, 'a nonce');
  return [id, Buffer.from(instance, 'utf8'), publicKey, nonce];
}

function checkLength(bytes: Buffer, length: number, what: string): void {
  if (bytes.length !== length) throw senseless(what);
}

function senseless(what: string): ExoError {
  return new ExoError('auth-failed', `${what} of the handshake does not have its form`);
}
