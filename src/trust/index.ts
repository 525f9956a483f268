/**
 * Trust: who a node is by its key, which keys a mesh shares, whom a node knows, and what two nodes prove to each other. Imports only
 * the ground floor; node brings it to the protocol, which carries its proofs without knowing them.
 */

export {
  type AuthenticatorComponents,
  type AuthenticatorOptions,
  createAuthenticator,
} from './authenticator.js';
export { type Credentials, createCredentials } from './certificate.js';
export { fingerprintOf, isFingerprint, type NodeKey } from './ed25519.js';
export type {
  Authenticator,
  HandshakeFacts,
  KeyUpdate,
  Party,
  Proof,
  ProofMethod,
  Verdict,
} from './handshake.js';
export { type Invitation, type InvitationRecord, parseInvitation, printInvitation } from './invitation.js';
export { type MeshKey, parseToken, printMeshKey } from './mesh-key.js';
export { type MeshKeys, type MeshKeysOptions, openMeshKeys } from './mesh-keys.js';
export { type LoadedNodeKey, loadNodeKey } from './node-key.js';
export { AuthorizedKeys } from './ssh-authorized-keys.js';
export { type SshAnswer, SshChallenges, type SshSession } from './ssh-challenge.js';
export { openTrust, type Trust, type TrustComponents, type TrustOptions } from './trust.js';
export type { HeldInvitation, KnownNode } from './trust-file.js';
export { TrustStore } from './trust-store.js';
