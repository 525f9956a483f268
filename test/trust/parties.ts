/** Two nodes of a test and what they know of one connection, without a wire between them. */
import { createHash } from 'node:crypto';
import {
  type Logger,
  type Random,
  seededRandom,
  silentLogger,
  VirtualClock,
} from '../../src/shared/index.js';
import { type AuthenticatorOptions, createAuthenticator } from '../../src/trust/authenticator.js';
import { type NodeKey, nodeKeyFromSeed } from '../../src/trust/ed25519.js';
import type { Authenticator, HandshakeFacts, Party, Proof, Verdict } from '../../src/trust/handshake.js';
import { type MeshKeys, openMeshKeys } from '../../src/trust/mesh-keys.js';
import { TrustStore } from '../../src/trust/trust-store.js';

/** One node. */
export interface End {
  readonly id: string;
  readonly nodeKey: NodeKey;
  readonly keys: MeshKeys;
  readonly store: TrustStore;
  readonly authenticator: Authenticator;
}

/** What a test changes of a node. */
export interface EndOptions extends AuthenticatorOptions {
  readonly clock?: VirtualClock;
  readonly log?: Logger;
  /** `exo1-…` or a token, as in EXO_AUTH_TOKEN. */
  readonly token?: string;
  readonly seed?: number;
}

/** A node in memory. */
export async function makeEnd(id: string, options: EndOptions = {}): Promise<End> {
  const { clock = new VirtualClock(), log = silentLogger, token, seed = 1 } = options;
  const random = seededRandom(seed + createHash('sha256').update(id).digest().readUInt16BE());
  const components = { clock, random, log };
  const keys = await openMeshKeys({ file: null, environmentToken: token }, components);
  const store = new TrustStore(null, components);
  const authenticator = createAuthenticator(options, { keys, store, clock, log });
  return { id, nodeKey: nodeKeyFromSeed(random.bytes(32)), keys, store, authenticator };
}

/** What both know of one connection. */
export function meet(
  dialler: End,
  acceptor: End,
  random: Random = seededRandom(3),
): [HandshakeFacts, HandshakeFacts] {
  const shared = {
    dialler: partyOf(dialler, random),
    acceptor: partyOf(acceptor, random),
    binding: random.bytes(32),
  };
  return [
    { role: 'dialler', ...shared },
    { role: 'acceptor', ...shared },
  ];
}

/** What the ends think of each other. */
export interface Outcome {
  /** The dialler of the acceptor. */
  readonly dialler: Verdict;
  /** The acceptor of the dialler. */
  readonly acceptor: Verdict;
  /** What each proved. */
  readonly proofs: { readonly dialler: readonly Proof[]; readonly acceptor: readonly Proof[] };
}

/** One handshake, in the order of the protocol. */
export async function shake(dialler: End, acceptor: End, random?: Random): Promise<Outcome> {
  const [near, far] = meet(dialler, acceptor, random);
  const asked = await dialler.authenticator.prove(near);
  const ofDialler = await acceptor.authenticator.judge(far, asked);
  const answered = await acceptor.authenticator.prove(far);
  const ofAcceptor = await dialler.authenticator.judge(near, answered);
  return { dialler: ofAcceptor, acceptor: ofDialler, proofs: { dialler: asked, acceptor: answered } };
}

/** `method` of a good verdict, `code` of a bad one. */
export function short(verdict: Verdict): string {
  return verdict.trusted ? verdict.method : verdict.code;
}

function partyOf(end: End, random: Random): Party {
  return {
    nodeId: end.id,
    instance: random.bytes(8).toString('hex'),
    publicKey: end.nodeKey.publicKey,
    nonce: random.bytes(32),
  };
}
