/** A tunnel in the words of ssh, for people: what they would type to have it without exo. And whether two are the same. */
import { isDeepStrictEqual } from 'node:util';
import type { TunnelSpec } from './tunnel-spec.js';

/** `ssh -N -L 50052:localhost:50051 -R … user@host`; one line that a shell takes. */
export function userTextOf(spec: TunnelSpec): string {
  return ['ssh', ...userWordsOf(spec)].map(quoted).join(' ');
}

/** The same as a list of words, without the program. */
export function userWordsOf(spec: TunnelSpec): string[] {
  const { user, host, port } = spec.destination;
  const words = ['-N'];
  if (spec.sshConfig !== undefined) words.push('-F', spec.sshConfig);
  for (const file of spec.identity) words.push('-i', file);
  if (spec.jump.length > 0) words.push('-J', spec.jump.map(({ text }) => text).join(','));
  for (const [name, value] of Object.entries(spec.options)) words.push('-o', `${name}=${value}`);
  if (spec.knownHosts !== undefined) words.push('-o', `UserKnownHostsFile=${sshQuoted(spec.knownHosts)}`);
  for (const { text } of spec.forward) words.push('-L', text);
  for (const { text } of spec.reverse) words.push('-R', text);
  if (port !== undefined) words.push('-p', String(port));
  return [...words, user === undefined ? host : `${user}@${host}`];
}

/** Whether nothing has changed that ssh would notice, so that a reload need not touch the tunnel; who described it may have. */
export function sameSpec(a: TunnelSpec, b: TunnelSpec): boolean {
  const plain = ({ source: _source, peer: _peer, ...rest }: TunnelSpec) => rest;
  return isDeepStrictEqual(plain(a), plain(b));
}

/** For people, so only where a shell needs it. */
function quoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function sshQuoted(path: string): string {
  return /\s/.test(path) ? `"${path}"` : path;
}
