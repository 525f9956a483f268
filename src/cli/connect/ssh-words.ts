/** The destination and ssh flags of `exo connect` as the `tunnel` of a peers.json entry, and checked as one. Pure. */
import { parseTunnelSpec, type TunnelSpec } from '../../tunnels/index.js';
import type { Values } from '../command-spec.js';
import { tunnelRequest } from '../tunnel/request.js';

/** A tunnel as in peers.json, without its forwards. */
export type SshWords = Readonly<Record<string, unknown>> & { readonly ssh: string };

/** A tunnel has forwards; this one stands for those that are chosen later. */
const SOME_FORWARD = '0:localhost:1';

/** From the command line. Throws `option-*` or `tunnel-spec-invalid`. */
export function sshWords(destination: string, values: Values, cwd: string): SshWords {
  const { forward: _, ...words } = tunnelRequest(destination, { ...values, L: [SOME_FORWARD] }, cwd);
  specOf(words as SshWords);
  return words as SshWords;
}

/** The words as a checked tunnel without forwards. Throws `tunnel-spec-invalid`. */
export function specOf(words: SshWords): TunnelSpec {
  const spec = parseTunnelSpec({ ...words, forward: [SOME_FORWARD] }, { name: 'connect', source: 'command' });
  return { ...spec, forward: [] };
}
