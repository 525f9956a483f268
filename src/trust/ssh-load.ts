/** Loads the ssh2 package with its first use here: only nodes that prove who they are by an ssh key pay for it. */
import type * as Ssh2 from 'ssh2';

/** The package as a module object. */
export type Ssh2Module = typeof Ssh2;

let loaded: Promise<Ssh2Module> | undefined;

/** Resolves to the package; loaded once. */
export function loadSsh2(): Promise<Ssh2Module> {
  // A CommonJS package: what it exports is the default of the imported namespace.
  loaded ??= import('ssh2').then((module) => (module as unknown as { default: Ssh2Module }).default);
  return loaded;
}
