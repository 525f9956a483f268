/**
 * What two nodes prove to each other over one encrypted connection, as data. Pure shapes: the protocol carries them, the
 * node asks `Authenticator` what to say and what to think of the answer. Nothing here does I/O.
 *
 * TLS has proven both node keys before this begins and gives `binding`, which nobody between the two can know or repeat.
 */

/** One end of a connection, as its hello and its TLS certificate say. */
export interface Party {
  readonly nodeId: string;
  /** 16 hex digits, new with every start. */
  readonly instance: string;
  /** Raw Ed25519 public key, 32 bytes; proven by TLS. */
  readonly publicKey: Buffer;
  /** 32 random bytes of this connection, from the hello. */
  readonly nonce: Buffer;
}

/** All that the proofs of a connection are bound to. */
export interface HandshakeFacts {
  readonly role: 'dialler' | 'acceptor';
  readonly dialler: Party;
  readonly acceptor: Party;
  /** 32 bytes exported from the TLS session (RFC 8446, 7.5). */
  readonly binding: Buffer;
}

/** How a node can be known. */
export type ProofMethod = 'pinned' | 'mesh-key' | 'invitation' | 'ssh-key';

/** One proof on its way: a method and its fields, all text (binary as base64url without padding). At most 4 KiB as JSON. */
export interface Proof {
  readonly method: string;
  readonly [field: string]: string;
}

/** What an end thinks of the other. */
export type Verdict =
  | {
      readonly trusted: true;
      readonly method: ProofMethod /** For people: `mesh key 1f2e3d4c`. */;
      readonly why: string;
    }
  | {
      readonly trusted: false;
      /** `auth-required`: nothing was proven; `auth-failed`: a proof was wrong; `identity-changed`: the id is pinned to another key. */
      readonly code: 'auth-required' | 'auth-failed' | 'identity-changed';
      /** For the own log; the other end is told the code only. */
      readonly why: string;
    };

/** Proves who this node is, and judges what others prove. One a node. */
export interface Authenticator {
  /**
   * Whether only trusted peers may join: a mesh key is set, or this node was told to. Without it everybody may, as in the
   * original, and a proof only adds trust.
   */
  readonly requiresTrust: boolean;
  /** Whether there is anything to prove or to judge by: a mesh key, a trusted node, an invitation, ssh keys. */
  readonly hasMeans: boolean;
  /** Whether this id is known by its key: it is never talked to in plain then. */
  isPinned(nodeId: string): boolean;
  /** Proofs for the other end, best first; at most 8. Never rejects: a method that fails here is left out, and logged. */
  prove(facts: HandshakeFacts): Promise<readonly Proof[]>;
  /**
   * Judges the other end's proofs, and remembers what follows from a good one (a pin, a spent invitation). Takes the same time
   * whether a secret is wrong or unknown. Never rejects. Asked again with the same proofs when keys or trust changed.
   */
  judge(facts: HandshakeFacts, proofs: readonly Proof[]): Promise<Verdict>;
  /** Mesh keys that a trusted peer does not have yet: what a rotation or an invitation brings. Undefined: none. */
  keysFor(verdict: Verdict & { readonly trusted: true }): KeyUpdate | undefined;
  /**
   * A trusted peer brought keys. Returns whether anything was new. Throws `auth-failed` when they make no sense, or when the peer is not
   * one that shares keys: one that proved a mesh key, or by whose invitation this node came.
   */
  takeKeys(verdict: Verdict & { readonly trusted: true }, update: KeyUpdate): Promise<boolean>;
  /** Calls `listener` when keys or trust changed: connections are to be judged again. Returns the unsubscribe function. */
  onChange(listener: () => void): () => void;
}

/** Mesh keys on their way to a trusted peer, over an encrypted connection only. Newest first. */
export interface KeyUpdate {
  readonly keys: ReadonlyArray<{
    /** 8 hex digits, a digest of the secret. */
    readonly id: string;
    /** 32 bytes as base64url; a secret. */
    readonly secret: string;
    /** `clock.wall()` when it was made: the newest is the one to use. */
    readonly createdAtMs: number;
    /** Not to be used after this; absent: no end. */
    readonly untilMs?: number;
  }>;
}
