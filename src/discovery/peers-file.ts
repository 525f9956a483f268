/**
 * Reads peers.json: both forms of an address, JSON with comments, the published schema. All or nothing: one bad
 * entry refuses the file, so that a typing mistake never half-applies. manual.ts watches and applies it.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { Ajv, type ValidateFunction } from 'ajv';
import type { DeviceCapabilities } from '../protocol/index.js';
import { type Address, ExoError, LIMITS, parseAddress, printable } from '../shared/index.js';
import { type CapabilitiesJson, readCapabilities } from './announced-json.js';
import { JsonDocument } from './json-with-comments.js';
import { PEERS_SCHEMA } from './peers-schema.js';
import { schemaError } from './peers-schema-error.js';

/** One entry of `peers`. */
export interface PeerEntry {
  /** The key: a node id, or any name. */
  readonly id: string;
  readonly address: Address;
  readonly capabilities?: DeviceCapabilities;
  readonly priority?: number;
  /** As written; its shape has been checked, its words have not. */
  readonly tunnel?: unknown;
}

/** What a peers file says. */
export interface PeersFile {
  readonly peers: readonly PeerEntry[];
  /** Top-level `tunnels` by name, as written. */
  readonly tunnels: Readonly<Record<string, unknown>>;
}

interface RawPeer {
  readonly address: string;
  readonly port?: number;
  readonly priority?: number;
  readonly device_capabilities?: CapabilitiesJson;
  readonly tunnel?: unknown;
}

interface RawFile {
  readonly peers: Readonly<Record<string, RawPeer>>;
  readonly tunnels?: Readonly<Record<string, unknown>>;
}

let validate: ValidateFunction<RawFile> | undefined;

/** Compiled when the first is read: every start of a node would pay for it. */
function validator(): ValidateFunction<RawFile> {
  validate ??= new Ajv({ allErrors: true, verbose: true, allowUnionTypes: true }).compile<RawFile>(
    PEERS_SCHEMA,
  );
  return validate;
}

/** Reads a text. Throws `peers-file-invalid` with `file:line:column: reason`. */
export function parsePeersFile(text: string, file: string): PeersFile {
  const document = new JsonDocument(text, file, 'peers-file-invalid');
  const value = document.value();
  const isValid = validator();
  if (!isValid(value)) throw schemaError(document, isValid.errors ?? []);
  checkRepeated(document);
  const peers = Object.entries(value.peers).map(([id, raw]): PeerEntry => {
    return {
      id,
      address: addressOf(document, id, raw),
      ...(raw.device_capabilities === undefined
        ? {}
        : { capabilities: readCapabilities(raw.device_capabilities) }),
      ...(raw.priority === undefined ? {} : { priority: raw.priority }),
      ...(raw.tunnel === undefined ? {} : { tunnel: raw.tunnel }),
    };
  });
  return { peers, tunnels: value.tunnels ?? {} };
}

/** Reads a file. Throws `peers-file-unreadable` (missing, no permission, too large) or `peers-file-invalid`. */
export async function readPeersFile(file: string): Promise<PeersFile> {
  return parsePeersFile(await readText(file), file);
}

async function readText(file: string): Promise<string> {
  const handle = await openFile(file);
  try {
    // Again on what is open: the name may have got another meaning in between.
    refuseNonFile(file, await handle.stat());
    // One byte more than allowed tells "too large", also of a file that grows while it is read.
    const buffer = Buffer.allocUnsafe(LIMITS.peersFileBytesMax + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > LIMITS.peersFileBytesMax) {
      throw new ExoError(
        'peers-file-unreadable',
        `${file} is larger than ${LIMITS.peersFileBytesMax} bytes; that is not a peers file`,
      );
    }
    return buffer.toString('utf8', 0, length);
  } catch (error) {
    throw error instanceof ExoError ? error : unreadable(file, error);
  } finally {
    await handle.close();
  }
}

/**
 * Looked at before it is opened: opening a named pipe waits for a writer, in a thread that nothing can call back, and
 * the process could not end any more. O_NONBLOCK for what takes its place in between.
 */
async function openFile(file: string): Promise<FileHandle> {
  try {
    refuseNonFile(file, await stat(file));
    // Windows has no O_NONBLOCK, and no named pipes among its files.
    return await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw error instanceof ExoError ? error : unreadable(file, error);
  }
}

/** Throws unless it is a regular file (or a link to one). */
function refuseNonFile(file: string, stats: Stats): void {
  if (stats.isFile()) return;
  const kind = stats.isDirectory()
    ? 'a folder'
    : stats.isFIFO()
      ? 'a named pipe'
      : stats.isSocket()
        ? 'a socket'
        : 'a device';
  throw new ExoError('peers-file-unreadable', `${file} is ${kind}, not a file; name a peers.json`);
}

function unreadable(file: string, cause: unknown): ExoError {
  const code = (cause as NodeJS.ErrnoException).code;
  const way =
    code === 'ENOENT'
      ? `there is no file ${file}; make one with {"peers": {"mac2": {"address": "127.0.0.1:50052"}}} or copy peers.example.json, or name another with --discovery-config-path`
      : code === 'EACCES' || code === 'EPERM'
        ? `${file} may not be read by this user; change its permissions (chmod u+r)`
        : `${file} cannot be read (${(cause as Error).message})`;
  return new ExoError('peers-file-unreadable', way, { cause });
}

function addressOf(document: JsonDocument, id: string, raw: RawPeer): Address {
  const at = ['peers', id, 'address'];
  const who = `peer "${printable(id)}"`;
  let address: Address;
  try {
    address = parseAddress(raw.address, raw.port);
  } catch (error) {
    throw document.error(at, `${who}: ${(error as Error).message}`);
  }
  if (raw.port !== undefined && address.port !== raw.port) {
    throw document.error(
      ['peers', id, 'port'],
      `${who}: the address says port ${address.port} and "port" says ${raw.port}; leave one of them out`,
    );
  }
  return address;
}

/**
 * A name twice in one object: JSON keeps the last one silently, and a peer would be lost. Elsewhere than among
 * peers and tunnels only keys that mean something matter; comments may repeat.
 */
function checkRepeated(document: JsonDocument): void {
  const meant = {
    0: Object.keys(PEERS_SCHEMA.properties),
    2: Object.keys(PEERS_SCHEMA.definitions.peer.properties),
  };
  const error = document.repetition((path, key) => {
    if (path.length > 0 && path[0] !== 'peers' && path[0] !== 'tunnels') return false;
    if (path.length === 1) return true;
    return (path.length === 0 || path.length === 2) && meant[path.length].includes(key) && key !== 'comment';
  });
  if (error !== undefined) throw error;
}
