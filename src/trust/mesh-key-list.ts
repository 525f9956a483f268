/**
 * Lists of mesh keys, newest first: how two become one, what is kept of them, how they stand in the file and travel to another
 * node. Pure. Merging is the same in any order, so that all nodes of a mesh end with one list.
 */
import { ExoError, LIMITS } from '../shared/index.js';
import type { KeyUpdate } from './handshake.js';
import { type MeshKey, meshKeyOf, parseMeshKey, printMeshKey, SECRET_BYTES } from './mesh-key.js';

/** Newest first; of two that are as old the smaller id, so that all nodes choose the same. */
export type MeshKeyList = readonly MeshKey[];

const FILE_VERSION = 1;

/** Those that are accepted now. */
export function validKeys(keys: MeshKeyList, nowMs: number): MeshKeyList {
  return keys.filter(({ untilMs }) => untilMs === undefined || nowMs < untilMs);
}

/** Both lists as one: of one key the later known date and the earlier end. */
export function mergeKeys(mine: MeshKeyList, theirs: MeshKeyList): MeshKeyList {
  const merged = new Map(mine.map((key) => [key.id, key]));
  for (const key of theirs) {
    const known = merged.get(key.id);
    // Another secret with the same 32 bits is not let in the place of ours.
    if (known !== undefined && !known.secret.equals(key.secret)) continue;
    merged.set(key.id, known === undefined ? key : { ...known, ...datesOf(known, key) });
  }
  return newestFirst([...merged.values()]);
}

/** The newest `meshKeysMax` and the one that must stay. Ended ones stay too, so that nobody brings them back. */
export function keepNewest(keys: MeshKeyList, mustStayId: string | undefined): MeshKeyList {
  const stays = keys.filter(({ id }) => id === mustStayId);
  const others = keys.filter(({ id }) => id !== mustStayId);
  return newestFirst([...others.slice(0, LIMITS.meshKeysMax - stays.length), ...stays]);
}

/** Whether both hold the same keys with the same dates. */
export function sameKeys(a: MeshKeyList, b: MeshKeyList): boolean {
  return (
    a.length === b.length &&
    a.every((key, index) => {
      const other = b[index]!;
      return key.id === other.id && key.createdAtMs === other.createdAtMs && key.untilMs === other.untilMs;
    })
  );
}

/** The text of the key file. */
export function printKeys(keys: MeshKeyList): string {
  const entries = keys.map(({ createdAtMs, untilMs, ...key }) => ({
    secret: printMeshKey(key),
    createdAtMs,
    ...(untilMs === undefined ? {} : { untilMs }),
  }));
  return `${JSON.stringify({ version: FILE_VERSION, keys: entries }, null, 2)}\n`;
}

/** Reads it. Throws with a message that shows nothing of the text. */
export function parseKeys(text: string): MeshKeyList {
  const entries = entriesOf(text);
  if (entries.length > LIMITS.meshKeysMax) throw new Error(`more than ${LIMITS.meshKeysMax} keys`);
  const keys = entries.map((entry, index) => {
    const { secret, createdAtMs, untilMs } = (entry ?? {}) as Record<string, unknown>;
    if (typeof secret !== 'string' || !isDate(createdAtMs) || !(untilMs === undefined || isDate(untilMs))) {
      throw new Error(`key ${index + 1} does not have its form`);
    }
    try {
      return parseMeshKey(secret, createdAtMs, untilMs);
    } catch {
      throw new Error(`key ${index + 1} is not a mesh key`);
    }
  });
  if (new Set(keys.map(({ id }) => id)).size !== keys.length) throw new Error('one key stands there twice');
  return newestFirst(keys);
}

/** Keys on their way to another node. */
export function toUpdate(keys: MeshKeyList): KeyUpdate {
  return {
    keys: keys.map(({ id, secret, createdAtMs, untilMs }) => ({
      id,
      secret: secret.toString('base64url'),
      createdAtMs,
      ...(untilMs === undefined ? {} : { untilMs }),
    })),
  };
}

/** Keys that another node brought. Throws `auth-failed` when they make no sense. */
export function fromUpdate(update: KeyUpdate, nowMs: number): MeshKeyList {
  const { keys } = update;
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > LIMITS.meshKeysMax) {
    throw senseless(`not 1 to ${LIMITS.meshKeysMax} keys`);
  }
  const list = keys.map(({ id, secret, createdAtMs, untilMs }) => {
    const bytes = Buffer.from(String(secret), 'base64url');
    if (bytes.length !== SECRET_BYTES || bytes.toString('base64url') !== secret)
      throw senseless('a secret of another form');
    if (!isDate(createdAtMs) || createdAtMs > nowMs + LIMITS.meshKeyAheadMsMax)
      throw senseless('a key from the future');
    if (untilMs !== undefined && !isDate(untilMs)) throw senseless('an end that is no date');
    const key = meshKeyOf(bytes, createdAtMs, untilMs);
    if (key.id !== id) throw senseless('an id that is not the digest of its key');
    return key;
  });
  if (new Set(list.map(({ id }) => id)).size !== list.length) throw senseless('one key twice');
  return newestFirst(list);
}

function datesOf(a: MeshKey, b: MeshKey): Pick<MeshKey, 'createdAtMs' | 'untilMs'> {
  const untilMs = Math.min(a.untilMs ?? Infinity, b.untilMs ?? Infinity);
  return {
    createdAtMs: Math.max(a.createdAtMs, b.createdAtMs),
    untilMs: untilMs === Infinity ? undefined : untilMs,
  };
}

function newestFirst(keys: readonly MeshKey[]): MeshKeyList {
  return [...keys].sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : 1));
}

function entriesOf(text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Without the cause: V8 shows a piece of the text.
    throw new Error('not JSON');
  }
  const { version, keys } = (value ?? {}) as { version?: unknown; keys?: unknown };
  if (version !== FILE_VERSION) throw new Error(`not version ${FILE_VERSION} of the file`);
  if (!Array.isArray(keys)) throw new Error('without its list of keys');
  return keys;
}

function isDate(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function senseless(what: string): ExoError {
  return new ExoError('auth-failed', `the other node sent mesh keys that make no sense: ${what}`);
}
