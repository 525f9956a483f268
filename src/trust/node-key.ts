/**
 * The key of a node: who it is, while its id is only a name. Made once, in the node's own folder, and read back at every start.
 * Beside it lies a mark of the machine, by which a copied folder is noticed. Not a mesh key: those are shared (`mesh-keys.ts`).
 */
import { createHash, createPrivateKey } from 'node:crypto';
import { linkSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { LIMITS, type Random } from '../shared/index.js';
import { type NodeKey, nodeKeyFromSeed, SEED_BYTES, toNodeKey } from './ed25519.js';
import { machineId } from './machine-id.js';
import {
  ensurePrivateFolder,
  readPrivateFile,
  unusable,
  unwritable,
  writePrivateFile,
} from './private-file.js';

/** A key that was read or made. */
export interface LoadedNodeKey {
  readonly nodeKey: NodeKey;
  /** It was made just now. */
  readonly isNew: boolean;
  /** In words, where the folder seems to come from another machine. To be shown at every start until it is settled. */
  readonly copyWarning?: string;
}

/** What the key is made of; tests pass their own. */
export interface NodeKeyComponents {
  readonly random: Random;
  /** @default what the system says */
  readonly machineId?: () => string | undefined;
}

const DRAFT_BYTES = 6;
const KEY_FILE = 'key.pem';
const MARK_FILE = 'machine';

/**
 * Reads the key in `folder`, or makes it there: of several starts at the same instant all get the same one. Throws
 * `trust-file-invalid` (damaged, somebody else’s, open to others) or `state-unwritable`.
 */
export function loadNodeKey(folder: string, components: NodeKeyComponents): LoadedNodeKey {
  ensurePrivateFolder(folder);
  const file = path.join(folder, KEY_FILE);
  const kept = readKey(file);
  const isNew = kept === undefined && writeNew(file, components.random);
  const nodeKey = kept ?? readKey(file);
  if (nodeKey === undefined) throw unwritable(file, new Error('it was removed while it was made'));
  const isCopy = !matchesMachine(folder, nodeKey, components.machineId ?? machineId);
  return { nodeKey, isNew, ...(isCopy ? { copyWarning: copyWarning(folder) } : {}) };
}

function readKey(file: string): NodeKey | undefined {
  const text = readPrivateFile(file, { bytesMax: LIMITS.nodeKeyFileBytesMax });
  if (text === undefined) return undefined;
  try {
    return toNodeKey(createPrivateKey(text));
  } catch {
    // Without the cause: what a parser says may hold a piece of the key.
    throw unusable(
      file,
      'holds no Ed25519 private key any more; put it back from a backup, or move it away: then this node gets a new key, and others need: exo trust remove <id of this node>',
    );
  }
}

/** False where another start was first. */
function writeNew(file: string, random: Random): boolean {
  const { privateKey } = nodeKeyFromSeed(random.bytes(SEED_BYTES));
  const draft = `${file}.${process.pid}.${random.bytes(DRAFT_BYTES).toString('hex')}`;
  try {
    writeFileSync(draft, privateKey.export({ format: 'pem', type: 'pkcs8' }), {
      mode: 0o600,
      flag: 'wx',
      flush: true,
    });
    // A link is made only where no file of the name is, and the file is complete at once.
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw unwritable(file, error);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Compares the mark with this machine; makes it where there is none. True where the system does not say who it is. */
function matchesMachine(folder: string, nodeKey: NodeKey, ask: () => string | undefined): boolean {
  const machine = ask();
  if (machine === undefined) return true;
  // With the key in it: the mark says nothing about the machine to those who read the folder.
  const mark = createHash('sha256')
    .update('exo machine')
    .update(machine)
    .update(nodeKey.publicKey)
    .digest('hex');
  const file = path.join(folder, MARK_FILE);
  const kept = readPrivateFile(file, { bytesMax: LIMITS.nodeKeyFileBytesMax })?.trim();
  if (kept === undefined) writePrivateFile(file, `${mark}\n`);
  return kept === undefined || kept === mark;
}

function copyWarning(folder: string): string {
  const key = path.join(folder, KEY_FILE);
  const mark = path.join(folder, MARK_FILE);
  return (
    `the folder ${folder} comes from another machine, and two machines with one key are taken for each other. ` +
    `If the other one is gone for good, run: rm ${mark}. If it still runs, give this one a key of its own: rm ${key} ${mark}`
  );
}
