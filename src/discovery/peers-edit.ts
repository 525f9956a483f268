/**
 * Changes one entry in the text of a peers.json as a careful person would: everything else stays byte for byte, comments,
 * unknown keys and the file's own way of indenting included. Pure; `exo connect` reads and writes the file.
 */
import { isDeepStrictEqual } from 'node:util';
import { getNodeValue, type Node, parseTree } from 'jsonc-parser';
import { insertProperty, removeProperty, replaceValue } from './json-text-edit.js';
import { parsePeersFile } from './peers-file.js';

/** What an entry is to say. Keys that are not named here are left as they are. */
export interface PeerEdit {
  /** `127.0.0.1:50052`; a separate `port` is dropped. */
  readonly address: string;
  /** As in peers.json; null takes a tunnel away, absent leaves it. */
  readonly tunnel?: Readonly<Record<string, unknown>> | null;
}

/** Keys of a tunnel that the schema knows: one that the edit does not name is dropped, all others are kept. */
const TUNNEL_KEYS = [
  'ssh',
  'forward',
  'reverse',
  'identity',
  'knownHosts',
  'sshConfig',
  'jump',
  'driver',
  'options',
] as const;

/** An empty peers file, for a folder that has none. */
export const EMPTY_PEERS_FILE = '{\n  "peers": {}\n}\n';

/** The text with the entry added or changed; the same text where it says that already. Throws `peers-file-invalid`. */
export function withPeer(text: string, file: string, name: string, edit: PeerEdit): string {
  parsePeersFile(text, file);
  const entry = peerNode(text, name);
  if (entry === undefined) {
    const { tunnel } = edit;
    const value = { address: edit.address, ...(tunnel === undefined || tunnel === null ? {} : { tunnel }) };
    return checked(insertProperty(text, objectAt(text, ['peers'])!, name, value), file);
  }
  let changed = setKey(text, ['peers', name], 'address', edit.address);
  changed = setKey(changed, ['peers', name], 'port', undefined);
  if (edit.tunnel === null) changed = setKey(changed, ['peers', name], 'tunnel', undefined);
  else if (edit.tunnel !== undefined) changed = mergeTunnel(changed, name, edit.tunnel);
  return checked(changed, file);
}

/** The text without the entry; the same text where there is none. Throws `peers-file-invalid`. */
export function withoutPeer(text: string, file: string, name: string): string {
  parsePeersFile(text, file);
  return checked(setKey(text, ['peers'], name, undefined), file);
}

/** The text with the entry but without its tunnel. Throws `peers-file-invalid`. */
export function withoutTunnel(text: string, file: string, name: string): string {
  parsePeersFile(text, file);
  if (peerNode(text, name) === undefined) return text;
  return checked(setKey(text, ['peers', name], 'tunnel', undefined), file);
}

/** An entry as it is written; undefined where there is none. Throws `peers-file-invalid`. */
export function peerAsWritten(
  text: string,
  file: string,
  name: string,
): Readonly<Record<string, unknown>> | undefined {
  parsePeersFile(text, file);
  const node = peerNode(text, name);
  return node === undefined ? undefined : (plainValue(node) as Readonly<Record<string, unknown>>);
}

/** An edit must never leave a file that the node refuses. */
function checked(text: string, file: string): string {
  parsePeersFile(text, file);
  return text;
}

function mergeTunnel(text: string, name: string, tunnel: Readonly<Record<string, unknown>>): string {
  if (objectAt(text, ['peers', name, 'tunnel']) === undefined) {
    return setKey(text, ['peers', name], 'tunnel', tunnel);
  }
  let changed = text;
  const keys = new Set<string>([...TUNNEL_KEYS, ...Object.keys(tunnel)]);
  for (const key of keys) changed = setKey(changed, ['peers', name, 'tunnel'], key, tunnel[key]);
  return changed;
}

/** Sets a key of the object at `path`, or takes it away (`undefined`); does nothing where it is so already. */
function setKey(text: string, path: readonly string[], key: string, value: unknown): string {
  const object = objectAt(text, path);
  if (object === undefined) return text;
  const property = propertyOf(object, key);
  if (value === undefined) return property === undefined ? text : removeProperty(text, object, property);
  if (property === undefined) return insertProperty(text, object, key, value);
  const node = property.children![1]!;
  return isDeepStrictEqual(plainValue(node), value) ? text : replaceValue(text, node, value);
}

/** The parser's objects have no prototype, and so would equal no other. */
function plainValue(node: Node): unknown {
  return structuredClone(getNodeValue(node));
}

function peerNode(text: string, name: string): Node | undefined {
  return objectAt(text, ['peers', name]);
}

/** The object at a path; undefined where something is missing. The text has been checked. */
function objectAt(text: string, path: readonly string[]): Node | undefined {
  // A byte order mark is not part of the JSON; a space keeps all offsets.
  let node = parseTree(text.replace(/^\ufeff/, ' '), [], { allowTrailingComma: true });
  for (const key of path) {
    node = node === undefined ? undefined : propertyOf(node, key)?.children?.[1];
  }
  return node?.type === 'object' ? node : undefined;
}

function propertyOf(object: Node, key: string): Node | undefined {
  return object.children?.find((property) => property.children?.[0]?.value === key);
}
