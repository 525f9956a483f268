/**
 * What the ssh2 driver takes from the user's ssh configuration for one machine on the way, out of what `ssh -G` says (or the
 * reader in its place, ssh-config-subset.ts). Pure. Settings that decide about trust or about the way, and that ssh2 cannot
 * follow, are refused by name; settings of comfort are left out.
 */
import { userInfo } from 'node:os';
import type { TunnelSpec } from '../description/tunnel-spec.js';
import { dumped, splitFiles } from '../ssh/config-dump.js';
import type { Hop as RouteHop } from '../ssh/route.js';
import { SessionFailed } from './session-failed.js';

/** One machine: where, as whom, with which keys, known how. */
export interface HopSettings {
  /** As a person names it. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Address of this machine to connect from. */
  readonly localAddress?: string;
  readonly addressFamily: 0 | 4 | 6;
  /** Key files in the order in which they are tried. */
  readonly identities: readonly string[];
  /** Those of them that the description of the tunnel names: one that is missing is told. */
  readonly namedIdentities: readonly string[];
  readonly identitiesOnly: boolean;
  /** Socket of the agent. */
  readonly agent?: string;
  readonly knownHostsFiles: readonly string[];
  /** The one of them that the description names: it must be there. */
  readonly namedKnownHosts?: string;
  readonly hostKeyAlias?: string;
  /** Those that the configuration allows; absent: any. */
  readonly ciphers?: readonly string[];
}

/** What the settings depend on besides the configuration. */
export interface HopSurroundings {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Settings that ssh2 cannot follow, with the word that switches each off. */
const REFUSED: ReadonlyArray<readonly [name: string, spelling: string, why: string]> = [
  ['proxycommand', 'ProxyCommand', 'the driver ssh2 starts no programs'],
  ['revokedhostkeys', 'RevokedHostKeys', 'the driver ssh2 cannot read revocation lists'],
  ['knownhostscommand', 'KnownHostsCommand', 'the driver ssh2 starts no programs'],
];

/** Reads the settings of one hop; `last`: it is the destination. Throws `SessionFailed` (`spec-refused`). */
export function hopSettings(
  hop: RouteHop,
  spec: TunnelSpec,
  last: boolean,
  around: HopSurroundings,
): HopSettings {
  const { settings } = hop;
  for (const [name, spelling, why] of REFUSED) {
    if (dumped(settings, name) === undefined) continue;
    throw new SessionFailed(
      'spec-refused',
      `your ssh configuration has ${spelling} for ${hop.name}, and ${why}; use the driver openssh for this tunnel`,
    );
  }
  const host = dumped(settings, 'hostname') ?? hop.name;
  const port = Number(dumped(settings, 'port') ?? 22);
  const user = dumped(settings, 'user') ?? userInfo().username;
  const tokens: Readonly<Record<string, string>> = {
    d: around.home,
    h: host,
    n: hop.name,
    p: String(port),
    r: user,
    u: userInfo().username,
    i: String(userInfo().uid),
    j: hop.jump,
    k: dumped(settings, 'hostkeyalias') ?? host,
    '%': '%',
  };
  const files = (settings.get('identityfile') ?? [])
    .filter((file) => file !== 'none')
    .map((file) => expandPath(file, tokens, around));
  const agent = agentSocket(settings.get('identityagent')?.[0], tokens, around);
  const alias = dumped(settings, 'hostkeyalias');
  const localAddress = dumped(settings, 'bindaddress');
  const family = dumped(settings, 'addressfamily');
  const ciphers = dumped(settings, 'ciphers');
  const knownBy = (name: string): readonly string[] =>
    splitFiles(settings.get(name)?.[0] ?? '').map((file) => expandPath(file, tokens, around));
  const usual = [...knownBy('userknownhostsfile'), ...knownBy('globalknownhostsfile')];
  const pinned = spec.knownHosts === undefined ? [] : [spec.knownHosts];
  // A file in the place of the usual ones is meant for the destination; jump hosts may stand in it, or where they always do.
  const known = last && pinned.length > 0 ? pinned : [...pinned, ...usual];
  return {
    name: hop.name,
    host,
    port,
    user,
    ...(localAddress === undefined ? {} : { localAddress }),
    addressFamily: family === 'inet' ? 4 : family === 'inet6' ? 6 : 0,
    // The query for the destination has the named ones in front already; a jump host has its own, and those besides.
    identities: [...new Set([...(last ? spec.identity : []), ...files, ...spec.identity])],
    namedIdentities: spec.identity,
    identitiesOnly: dumped(settings, 'identitiesonly') === 'yes',
    ...(agent === undefined ? {} : { agent }),
    knownHostsFiles: known,
    ...(spec.knownHosts === undefined ? {} : { namedKnownHosts: spec.knownHosts }),
    ...(ciphers === undefined || /^[+^-]/.test(ciphers) ? {} : { ciphers: ciphers.split(',') }),
    ...(alias === undefined ? {} : { hostKeyAlias: alias }),
  };
}

/** IdentityAgent: a path, `none`, `SSH_AUTH_SOCK`, or `$VARIABLE`; without it the usual variable. */
function agentSocket(
  value: string | undefined,
  tokens: Readonly<Record<string, string>>,
  around: HopSurroundings,
): string | undefined {
  if (value === 'none') return undefined;
  if (value === undefined || value === '' || value === 'SSH_AUTH_SOCK')
    return around.env['SSH_AUTH_SOCK'] || undefined;
  if (value.startsWith('$')) return around.env[value.slice(1).replace(/^\{(.*)\}$/, '$1')] || undefined;
  return expandPath(value, tokens, around);
}

/** `~/`, `%x` and `${NAME}`, as ssh_config(5) expands them. */
function expandPath(path: string, tokens: Readonly<Record<string, string>>, around: HopSurroundings): string {
  const full = path === '~' || path.startsWith('~/') ? around.home + path.slice(1) : path;
  return full
    .replace(/%(.)/g, (whole, letter: string) => tokens[letter] ?? whole)
    .replace(/\$\{([A-Za-z0-9_]+)\}/g, (_, name: string) => around.env[name] ?? '');
}
