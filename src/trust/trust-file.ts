/** `trust.json` as text: what a node knows of others. Pure; `trust-store.ts` keeps it. Every entry is checked, whoever wrote it. */
import { idFault, LIMITS } from '../shared/index.js';
import { isFingerprint } from './ed25519.js';
import { type InvitationRecord, isInvitationSecret } from './invitation.js';

/** How a node was met. `invitation`: this node invited it; `joined`: it invited this node. */
export const LEARNT = ['mesh-key', 'ssh-key', 'invitation', 'joined', 'connect', 'by-hand'] as const;

/**
 * What follows from an entry. `pin`: its id belongs to this key, nothing more; it has to prove the mesh key each time. `invited`:
 * trusted until it has proven the mesh key once; where this node invited, it gets that key. `trusted`: trusted until it is removed.
 */
export const TRUST_LEVELS = ['pin', 'invited', 'trusted'] as const;

/** One known node. */
export interface KnownNode {
  readonly id: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
  readonly trust: (typeof TRUST_LEVELS)[number];
  readonly learnt: (typeof LEARNT)[number];
  /** `clock.wall()`. */
  readonly sinceMs: number;
  /** What stood here before `exo connect` made it trusted; absent where nothing did, and for all that was learnt otherwise. */
  readonly before?: FormerTrust;
}

/** An entry that comes back when the connection is undone: of the same key. */
export type FormerTrust = Pick<KnownNode, 'trust' | 'learnt' | 'sinceMs'>;

/** An invitation that this node took up and has not used yet. */
export interface HeldInvitation {
  /** Of the node that invited. */
  readonly fingerprint: string;
  /** `join1-…`; a secret. */
  readonly secret: string;
  readonly untilMs: number;
}

/** Everything in the file. */
export interface TrustState {
  /** By id. */
  readonly nodes: ReadonlyMap<string, KnownNode>;
  readonly invitations: readonly InvitationRecord[];
  readonly held: readonly HeldInvitation[];
}

/** Nobody is known. */
export const NO_TRUST: TrustState = { nodes: new Map(), invitations: [], held: [] };
const FILE_VERSION = 1;

/** The text of the file. */
export function printTrust({ nodes, invitations, held }: TrustState): string {
  return `${JSON.stringify({ version: FILE_VERSION, nodes: [...nodes.values()], invitations, held }, null, 1)}\n`;
}

/** Reads it. Throws with a message that names the entry and shows no secret. */
export function parseTrust(text: string): TrustState {
  const file = objectOf(parseJson(text));
  if (file['version'] !== FILE_VERSION) throw new Error(`not version ${FILE_VERSION} of the file`);
  const nodes = new Map<string, KnownNode>();
  for (const node of list(file, 'nodes', LIMITS.trustedNodesMax, toNode)) {
    if (nodes.has(node.id)) throw new Error('nodes: one id stands there twice');
    nodes.set(node.id, node);
  }
  return {
    nodes,
    invitations: list(file, 'invitations', LIMITS.invitationsMax, toInvitation),
    held: list(file, 'held', LIMITS.invitationsMax, toHeld),
  };
}

function toNode(entry: Record<string, unknown>): KnownNode | undefined {
  const { id, fingerprint, before } = entry;
  if (typeof id !== 'string' || idFault(id) !== undefined) return undefined;
  if (typeof fingerprint !== 'string' || !isFingerprint(fingerprint)) return undefined;
  const now = toFormer(entry);
  const former = before === undefined ? undefined : toFormer(objectOf(before));
  if (now === undefined || (before !== undefined && former === undefined)) return undefined;
  return { id, fingerprint, ...now, ...(former === undefined ? {} : { before: former }) };
}

function toFormer({ trust, learnt, sinceMs }: Record<string, unknown>): FormerTrust | undefined {
  const level = TRUST_LEVELS.find((each) => each === trust);
  const how = LEARNT.find((each) => each === learnt);
  if (level === undefined || how === undefined || !isDate(sinceMs)) return undefined;
  return { trust: level, learnt: how, sinceMs };
}

function toInvitation(entry: Record<string, unknown>): InvitationRecord | undefined {
  const { id, publicKey, untilMs } = entry;
  if (typeof id !== 'string' || !/^[0-9a-f]{16}$/.test(id) || !isDate(untilMs)) return undefined;
  if (typeof publicKey !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(publicKey)) return undefined;
  return { id, publicKey, untilMs };
}

function toHeld(entry: Record<string, unknown>): HeldInvitation | undefined {
  const { fingerprint, secret, untilMs } = entry;
  if (typeof fingerprint !== 'string' || !isFingerprint(fingerprint) || !isDate(untilMs)) return undefined;
  if (typeof secret !== 'string' || !isInvitationSecret(secret)) return undefined;
  return { fingerprint, secret, untilMs };
}

function list<T>(
  file: Record<string, unknown>,
  name: string,
  entriesMax: number,
  read: (entry: Record<string, unknown>) => T | undefined,
): T[] {
  const entries = file[name];
  if (!Array.isArray(entries)) throw new Error(`without its list of ${name}`);
  if (entries.length > entriesMax) throw new Error(`more than ${entriesMax} ${name}`);
  return entries.map((entry, index) => {
    const value = read(objectOf(entry));
    if (value === undefined) throw new Error(`${name}: entry ${index + 1} does not have its form`);
    return value;
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Without the cause: V8 shows a piece of the text.
    throw new Error('not JSON');
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isDate(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
