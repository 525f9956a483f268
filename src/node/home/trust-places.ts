/** Where keys and trust lie in `$EXO_HOME`. Nothing is created here. */

import { createHash } from 'node:crypto';
import path from 'node:path';
import { LIMITS } from '../../shared/index.js';

/** The mesh keys of this account, which all its nodes share. */
export function meshKeysFile(home: string): string {
  return path.join(home, 'mesh-keys.json');
}

/** What one node keeps for itself: its key, and whom it trusts. */
export function nodeFolder(home: string, nodeId: string): string {
  const escaped = encodeURIComponent(nodeId);
  const isShort = escaped.length <= LIMITS.fileNameCharsMax;
  return path.join(home, 'nodes', isShort ? escaped : createHash('sha256').update(nodeId).digest('hex'));
}

/** Whom a node trusts. */
export function trustFile(home: string, nodeId: string): string {
  return path.join(nodeFolder(home, nodeId), 'trust.json');
}
