/**
 * Who a node is: its id (given, or generated once and kept in `$EXO_HOME`), which start of it this is, and the claim
 * on the id among the nodes of this machine. The id is a name; keys come with the trust between nodes.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { type Clock, ExoError, formatAddress, LIMITS, type Random, randomUuid } from '../../shared/index.js';
import { ensureHome } from './home.js';
import { nodeIdFault } from './node-id.js';
import { claimRunFile, type RunFile } from './run-claim.js';
import { type RunRecord, runFileHolder } from './run-file.js';

/** This start of this node. */
export interface NodeIdentity {
  readonly id: string;
  /** Random per start, 16 hex digits: tells two machines with one id apart. */
  readonly instance: string;
  /** `clock.wall()` at the start. */
  readonly epoch: number;
}

/** What decides who the node is. */
export interface IdentityOptions {
  readonly home: string;
  /** `--node-id`; null: the kept one. */
  readonly nodeId: string | null;
  readonly version: string;
}

/** The identity, and what holds it. */
export interface TakenIdentity {
  readonly identity: NodeIdentity;
  readonly runFile: RunFile;
  /** The living process that has the kept id, where this one got another for that reason. */
  readonly firstHolder?: RunRecord;
}

const INSTANCE_BYTES = 8;

/**
 * Finds the id, claims it and begins a run file. A kept id that is in use makes this the second node on the machine,
 * with an id of its own (`node-id-2`, …). Throws `option-conflict` (a given id is in use), `option-invalid` (a kept id
 * was edited) or `state-unwritable`.
 */
export function takeIdentity(
  options: IdentityOptions,
  components: { readonly clock: Clock; readonly random: Random },
): TakenIdentity {
  const { home, nodeId, version } = options;
  const { clock, random } = components;
  ensureHome(home);
  const epoch = clock.wall();
  const instance = random.bytes(INSTANCE_BYTES).toString('hex');
  const claim = (id: string) =>
    claimRunFile(home, { id, instance, startedAt: new Date(epoch).toISOString(), version });
  if (nodeId !== null) {
    const claimed = claim(nodeId);
    if ('holder' in claimed) throw inUse(nodeId, claimed.holder);
    return { identity: { id: nodeId, instance, epoch }, runFile: claimed.runFile };
  }
  let firstHolder: RunRecord | undefined;
  for (let place = 1; place <= LIMITS.homeNodesMax; place += 1) {
    const id = keptId(keptFile(home, place), random);
    const claimed = claim(id);
    if ('runFile' in claimed) {
      const identity = { id, instance, epoch };
      return { identity, runFile: claimed.runFile, ...(firstHolder === undefined ? {} : { firstHolder }) };
    }
    firstHolder ??= claimed.holder;
  }
  throw tooMany(home);
}

/**
 * The id that the next start here takes, made where there is none yet. For commands that work on the files of a resting node: it
 * holds nothing, so a start in the same moment gets its id. Throws `option-conflict` where a node has the given id or is about
 * to run with a kept one, else as `takeIdentity`.
 */
export function restingIdentity(
  { home, nodeId }: Pick<IdentityOptions, 'home' | 'nodeId'>,
  { random }: { readonly random: Random },
): string {
  ensureHome(home);
  if (nodeId !== null) {
    const holder = runFileHolder(home, nodeId);
    if (holder !== undefined) throw inUse(nodeId, holder);
    return nodeId;
  }
  for (let place = 1; place <= LIMITS.homeNodesMax; place += 1) {
    const id = keptId(keptFile(home, place), random);
    const holder = runFileHolder(home, id);
    if (holder === undefined) return id;
    if (holder.nodePort !== null) continue;
    throw new ExoError(
      'option-conflict',
      `the node ${id} is starting here (pid ${holder.pid}) and cannot be asked yet; try again in a moment, or name another with --node-id`,
    );
  }
  throw tooMany(home);
}

function keptFile(home: string, place: number): string {
  return path.join(home, place === 1 ? 'node-id' : `node-id-${place}`);
}

/** The id in the file, or a new one written to it. */
function keptId(file: string, random: Random): string {
  const kept = readKept(file);
  if (kept !== '') {
    const fault = nodeIdFault(kept);
    if (fault === undefined) return kept;
    throw new ExoError(
      'option-invalid',
      `the node id in ${file} ${fault}; correct or delete the file, or give --node-id`,
    );
  }
  const id = randomUuid(random);
  try {
    writeFileAtomic.sync(file, `${id}\n`, { mode: 0o600 });
  } catch (error) {
    throw new ExoError(
      'state-unwritable',
      `cannot write ${file} (${(error as Error).message}); set EXO_HOME to a folder that you may write to`,
      { cause: error },
    );
  }
  return id;
}

/** Empty when there is none. */
function readKept(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new ExoError(
      'state-unwritable',
      `cannot read ${file} (${(error as Error).message}); correct its permissions, or set EXO_HOME to another folder`,
      { cause: error },
    );
  }
}

function tooMany(home: string): ExoError {
  return new ExoError(
    'option-conflict',
    `${LIMITS.homeNodesMax} nodes run with the folder ${home} already; give this one --node-id`,
  );
}

function inUse(id: string, holder: RunRecord): ExoError {
  const where = holder.api === null ? '' : `, API ${formatAddress(holder.api)}`;
  return new ExoError(
    'option-conflict',
    `--node-id ${id} is used by a node that runs here (pid ${holder.pid}${where}); stop that one or give this one another --node-id`,
  );
}
