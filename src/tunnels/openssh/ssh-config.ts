/**
 * Writes the `-F` file of a tunnel: one Host block for the destination and one for each jump host, from what `ssh -G`
 * said about them (route.ts), then our own rules for all. Pure; the driver puts the text into its state folder.
 *
 * With `-F` ssh reads neither ~/.ssh/config nor /etc/ssh/ssh_config, so nothing of the user's that a tunnel must not have
 * (other forwards, a shared control socket, commands, agent forwarding) comes back. The first value wins in ssh_config; the
 * blocks and the rules have no name in common.
 *
 * A jump host is a ProxyCommand of ours and not a ProxyJump: for a ProxyJump ssh hands the path of the `-F` file to a shell
 * without quotes, and macOS keeps state under "Application Support". Jump hosts go by names that no person can have written,
 * so that one machine may be jump host and destination, or jump host twice, with other users and ports.
 */
import type { TunnelSpec } from '../description/tunnel-spec.js';
import { splitFiles } from '../ssh/config-dump.js';
import { configWord, percentFree, shellWord } from '../ssh/quoting.js';
import type { Hop, Route } from '../ssh/route.js';
import { type SessionTimes, sessionTimes } from '../ssh/session-times.js';
import { SSH_PROGRAM } from '../ssh/ssh-program.js';
import { isUnset, KEPT_SETTINGS } from './kept-settings.js';

/** Of the destination. Below it ssh does not say which server answered, nor why a web server is no sshd. */
const LOG_LEVEL = 'DEBUG1';

/** What the text depends on besides the description and the way. */
export interface SshConfigOptions {
  readonly session: SessionTimes;
  /** Where the text will lie: the ssh of a jump host reads it too. */
  readonly configFile: string;
  /** Ciphers to put in front where the list has them, unless the description names ciphers. */
  readonly preferredCiphers?: readonly string[];
}

/** The whole file, with a line break at its end. */
export function sshConfigText(spec: TunnelSpec, route: Route, options: SshConfigOptions): string {
  const last = route.hops.length - 1;
  const blocks = route.hops.map((hop, index) => {
    const isDestination = index === last;
    const own = isDestination ? destinationLines(spec, hop, options) : jumpLines(spec, hop);
    const through = index === 0 ? [] : [`ProxyCommand ${hopCommand(options, jumpName(index - 1))}`];
    return block(isDestination ? hop.name : jumpName(index), [...own, ...through]);
  });
  const head = '# Made by exo from what "ssh -G" says; it is written again at every start of the tunnel.\n';
  return head + [...blocks.reverse(), block('*', rules(spec, options))].join('\n');
}

/** Name of a jump host in the file; `checkHost` of destination.ts takes no "+". */
function jumpName(index: number): string {
  return `exo+jump${index + 1}`;
}

function destinationLines(spec: TunnelSpec, hop: Hop, options: SshConfigOptions): string[] {
  const settings = new Map(hop.settings);
  if (spec.knownHosts !== undefined) {
    settings.delete('userknownhostsfile');
    settings.delete('globalknownhostsfile');
    settings.delete('updatehostkeys');
  }
  if (spec.options['Ciphers'] === undefined) preferCiphers(settings, options.preferredCiphers ?? []);
  const lines = keptLines(settings, hop.jump === '' ? {} : { j: hop.jump }, hop.jump !== '');
  if (spec.knownHosts !== undefined) {
    const file = configWord(percentFree(spec.knownHosts));
    // A file that somebody pinned is not to grow by itself.
    lines.push(`UserKnownHostsFile ${file}`, 'GlobalKnownHostsFile /dev/null', 'UpdateHostKeys no');
  }
  return [...lines, `LogLevel ${LOG_LEVEL}`];
}

/** A jump host has its own keys and known hosts, and those of the description besides. */
function jumpLines(spec: TunnelSpec, hop: Hop): string[] {
  const settings = new Map(hop.settings);
  const known = settings.get('userknownhostsfile')?.[0] ?? '';
  settings.delete('userknownhostsfile');
  if (spec.knownHosts !== undefined) settings.set('updatehostkeys', ['no']);
  const alias = settings.get('hostkeyalias')?.[0] ?? hop.name;
  const lines = keptLines(settings, { n: hop.name, k: alias, j: hop.jump }, hop.jump !== '');
  if (spec.identity.length > 0) {
    if (!lines.some((line) => line.startsWith('IdentityFile '))) {
      for (const file of settings.get('identityfile') ?? []) lines.push(`IdentityFile ${configWord(file)}`);
    }
    for (const file of spec.identity) lines.push(`IdentityFile ${configWord(percentFree(file))}`);
  }
  const own = splitFiles(known).filter((file) => spec.knownHosts === undefined || file !== 'none');
  const files = spec.knownHosts === undefined ? own : [spec.knownHosts, ...own];
  if (files.length > 0) {
    lines.push(`UserKnownHostsFile ${files.map((file) => configWord(percentFree(file))).join(' ')}`);
  }
  // Enough for "open failed", by which a machine behind it that does not answer is known.
  return [...lines, 'LogLevel INFO'];
}

function keptLines(
  settings: ReadonlyMap<string, readonly string[]>,
  tokens: Readonly<Record<string, string>>,
  jumps: boolean,
): string[] {
  const lines: string[] = [];
  for (const [name, values] of settings) {
    const kept = Object.hasOwn(KEPT_SETTINGS, name) ? KEPT_SETTINGS[name] : undefined;
    if (kept === undefined || isUnset(name, values)) continue;
    if (jumps && (name === 'proxycommand' || name === 'proxyusefdpass')) continue;
    // There is nobody to ask.
    const asked = name === 'updatehostkeys' && values[0] === 'ask' ? ['no'] : values;
    for (const value of kept[1](asked, tokens)) lines.push(`${kept[0]} ${value}`);
  }
  return lines;
}

function hopCommand(options: SshConfigOptions, through: string): string {
  const program = percentFree(shellWord(SSH_PROGRAM));
  const file = percentFree(shellWord(options.configFile));
  return `${program} -F ${file} -W '[%h]:%p' -- ${through}`;
}

function preferCiphers(settings: Map<string, readonly string[]>, preferred: readonly string[]): void {
  const list = settings.get('ciphers')?.[0]?.split(',');
  if (list === undefined) return;
  const first = preferred.filter((name) => list.includes(name));
  settings.set('ciphers', [[...first, ...list.filter((name) => !first.includes(name))].join(',')]);
}

/** For every hop: nobody is asked, no key is taken unseen, a forward that fails ends the session, silence ends it too. */
function rules(spec: TunnelSpec, { session }: SshConfigOptions): string[] {
  const times = sessionTimes(spec, session);
  const seconds = (ms: number) => Math.max(1, Math.ceil(ms / 1000));
  return [
    'BatchMode yes',
    'StrictHostKeyChecking yes',
    'NoHostAuthenticationForLocalhost no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'ExitOnForwardFailure yes',
    'GatewayPorts no',
    'ForwardAgent no',
    'ForwardX11 no',
    'PermitLocalCommand no',
    'EscapeChar none',
    'ConnectionAttempts 1',
    `ConnectTimeout ${seconds(times.connectTimeoutMs)}`,
    `ServerAliveInterval ${seconds(times.keepaliveIntervalMs)}`,
    `ServerAliveCountMax ${times.keepaliveCountMax}`,
  ];
}

function block(pattern: string, lines: readonly string[]): string {
  return `Host ${pattern}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
