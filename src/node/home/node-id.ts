/** What a node id may look like. It names files and stands in other people's terminals. Pure. */
import { idFault, printable } from '../../shared/index.js';

/** Why a node id cannot be used; undefined when it can. It names a file and stands in URLs, logs and tables. */
export function nodeIdFault(id: string): string | undefined {
  const fault = idFault(id);
  if (fault !== undefined) return fault;
  if (/[\\/,]/.test(id)) return `"${printable(id, 60)}" has a slash, backslash or comma in it`;
  if (/^\.+$/.test(id) || id.trim() !== id) return `"${printable(id, 60)}" is not a name`;
  return undefined;
}
