/**
 * The way of a tunnel: the jump hosts and the destination, each with the settings that the user's ssh configuration
 * gives it. Asks `ssh -G` through a function, so this file starts no process.
 *
 * ssh resolves a jump host by starting a second ssh with the same `-F` file. Ours is generated, so it must hold the jump
 * hosts too: every hop is asked for here, also the jump hosts of the first jump host.
 */
import { ExoError, LIMITS } from '../../shared/index.js';
import { formatDestination, parseJumps } from '../description/destination.js';
import type { Destination, TunnelSpec } from '../description/tunnel-spec.js';
import { type ConfigDump, dumped, parseConfigDump } from './config-dump.js';
import { configWord, percentFree } from './quoting.js';

/** One machine on the way. */
export interface Hop {
  /** As a person names it: what `%n` stands for. */
  readonly name: string;
  /** What `%j` stands for; empty where nothing is jumped through. */
  readonly jump: string;
  readonly settings: ConfigDump;
}

/** Dialled in this order; the last hop is the destination, those before it are jump hosts. */
export interface Route {
  readonly hops: readonly Hop[];
}

/** Runs `ssh` with these arguments and gives its standard output; rejects when ssh says no. */
export type QueryConfig = (args: readonly string[]) => Promise<string>;

/** Resolves the whole way. Rejects with `tunnel-spec-invalid` for a circle, and with what `query` rejects with. */
export async function resolveRoute(spec: TunnelSpec, query: QueryConfig): Promise<Route> {
  const settings = parseConfigDump(await query(configQueryArgs(spec)));
  const jump = dumped(settings, 'proxyjump') ?? '';
  const hops: Hop[] = [{ name: spec.destination.host, jump, settings }];
  // From the destination backwards; `waiting` is what still lies before the first of `hops`.
  let waiting = jumpsOf(jump);
  for (let next = waiting.at(-1); next !== undefined; next = waiting.at(-1)) {
    if (hops.length > LIMITS.tunnelJumpsMax) throw tooManyJumps(spec);
    waiting = waiting.slice(0, -1);
    const before = waiting.map(formatDestination).join(',');
    const dump = parseConfigDump(await query(jumpQueryArgs(spec, next, before)));
    const own = dumped(dump, 'proxyjump') ?? '';
    // The first of a list has the jump hosts of its own configuration; the others go through the one before them.
    if (waiting.length === 0) waiting = jumpsOf(own);
    hops.unshift({ name: next.host, jump: own, settings: dump });
  }
  return { hops };
}

/** The address that is dialled first; undefined behind a ProxyCommand. */
export function firstAddress(route: Route): { readonly host: string; readonly port: number } | undefined {
  const settings = route.hops[0]?.settings;
  if (settings === undefined || dumped(settings, 'proxycommand') !== undefined) return undefined;
  const host = dumped(settings, 'hostname');
  const port = Number(dumped(settings, 'port') ?? 22);
  return host === undefined ? undefined : { host, port };
}

/** `ssh -G` for the destination, under everything that the description says. */
export function configQueryArgs(spec: TunnelSpec): string[] {
  const { user, host, port } = spec.destination;
  const args = ['-G', '-T', ...configFlag(spec)];
  if (user !== undefined) args.push('-l', user);
  if (port !== undefined) args.push('-p', String(port));
  if (spec.jump.length > 0) args.push('-J', spec.jump.map(formatDestination).join(','));
  // Not `-i`: it drops a file that is missing with a warning only, and other keys would be tried in its place.
  for (const file of spec.identity) args.push('-o', `IdentityFile=${configWord(percentFree(file))}`);
  // Their values have been checked (ssh-options.ts) and some are several words: no quotes.
  for (const [name, value] of Object.entries(spec.options)) args.push('-o', `${name}=${value}`);
  return [...args, '--', host];
}

function jumpQueryArgs(spec: TunnelSpec, hop: Destination, before: string): string[] {
  const args = ['-G', '-T', ...configFlag(spec)];
  if (hop.user !== undefined) args.push('-l', hop.user);
  if (hop.port !== undefined) args.push('-p', String(hop.port));
  if (before !== '') args.push('-J', before);
  return [...args, '--', hop.host];
}

function configFlag(spec: TunnelSpec): string[] {
  return spec.sshConfig === undefined ? [] : ['-F', spec.sshConfig];
}

function jumpsOf(text: string): readonly Destination[] {
  return text === '' ? [] : parseJumps(text);
}

function tooManyJumps(spec: TunnelSpec): ExoError {
  return new ExoError(
    'tunnel-spec-invalid',
    `the way to "${spec.destination.text}" has more than ${LIMITS.tunnelJumpsMax} jump hosts, or they lead in a circle; ` +
      'look at ProxyJump in your ssh configuration',
  );
}
