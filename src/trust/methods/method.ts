/**
 * What each way to be known has in common: it proves, it judges one proof, and some know the other end without any. They decide
 * nothing; `authenticator.ts` asks them in order.
 */

import { fingerprintOf } from '../ed25519.js';
import type { HandshakeFacts, Party, Proof, ProofMethod } from '../handshake.js';
import { otherRole, statementOf, transcriptOf } from '../transcript.js';

/** What one proof is worth. */
export type Finding =
  | {
      readonly good: true;
      /** For people. */
      readonly why: string;
      /** Of the mesh key or the invitation. */
      readonly id?: string;
    }
  | { readonly good: false; readonly why: string };

/** One way to be known. */
export interface Method {
  readonly name: ProofMethod;
  /** Whether there is anything to prove or to judge by. */
  readonly hasMeans: boolean;
  /** Proofs for the other end, best first. May reject: then it has none. */
  prove(meeting: Meeting): readonly Proof[] | Promise<readonly Proof[]>;
  /** Judges one proof of this method. May reject: then it is worth nothing. */
  judge(meeting: Meeting, proof: Proof): Finding | Promise<Finding>;
  /** Whether the other end is known without a proof beyond TLS. */
  know?(meeting: Meeting): Finding | undefined;
}

/** The facts of one connection as methods need them. */
export class Meeting {
  readonly facts: HandshakeFacts;
  readonly own: Party;
  readonly other: Party;
  /** Of the other end’s key. */
  readonly fingerprint: string;
  readonly #transcript: Buffer;

  /** Throws `auth-failed` for facts that cannot be. */
  constructor(facts: HandshakeFacts) {
    this.facts = facts;
    this.#transcript = transcriptOf(facts);
    this.own = facts.role === 'dialler' ? facts.dialler : facts.acceptor;
    this.other = facts.role === 'dialler' ? facts.acceptor : facts.dialler;
    this.fingerprint = fingerprintOf(this.other.publicKey);
  }

  /** What this end states. */
  ownStatement(method: ProofMethod): Buffer {
    return statementOf(this.#transcript, method, this.facts.role);
  }

  /** What the other end has stated, if its proof is right. */
  otherStatement(method: ProofMethod): Buffer {
    return statementOf(this.#transcript, method, otherRole(this.facts.role));
  }
}

/** A field of a proof that is base64url without padding; empty where it is anything else. */
export function bytesOf(proof: Proof, field: string): Buffer {
  const text = proof[field] ?? '';
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : Buffer.alloc(0);
}
