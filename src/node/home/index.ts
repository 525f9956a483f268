/**
 * What a node keeps in `$EXO_HOME`: its id, and the run file by which commands find it. Apart from the node itself,
 * because every command reads it.
 */
export { ensureHome, exoHome, runFolder, tunnelFolder } from './home.js';
export { type NodeIdentity, restingIdentity, takeIdentity } from './identity.js';
export { nodeIdFault } from './node-id.js';
export type { RunFile } from './run-claim.js';
export { isLive, listRunning, type RunRecord } from './run-file.js';
export { meshKeysFile, nodeFolder, trustFile } from './trust-places.js';
