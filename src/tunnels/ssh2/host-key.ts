/** The host key of one machine held against known_hosts: which types to ask for, and in words what is wrong and what to do. */
import { createHash } from 'node:crypto';
import type { HopSettings } from './hop-settings.js';
import {
  checkHostKey,
  type HostKeyTarget,
  type HostKeyVerdict,
  type KnownHosts,
  knownKeyTypes,
  lookupName,
} from './known-hosts.js';
import { SessionFailed } from './session-failed.js';

/** Signature algorithms of ssh2 by type of key. Not `ssh-rsa`: it signs with SHA-1. */
const ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

function targetOf({ host, port, hostKeyAlias }: HopSettings): HostKeyTarget {
  return { host, port, ...(hostKeyAlias === undefined ? {} : { alias: hostKeyAlias }) };
}

/** The algorithms to offer: those of keys that are known for the host first, so that it shows one of these. */
export function hostKeyAlgorithms(files: readonly KnownHosts[], settings: HopSettings): string[] {
  const known = knownKeyTypes(files, targetOf(settings)).flatMap((type) => ALGORITHMS[type] ?? []);
  return [...new Set([...known, ...Object.values(ALGORITHMS).flat()])];
}

/** Why the key must not be trusted; undefined when it is known. */
export function hostKeyFault(
  files: readonly KnownHosts[],
  settings: HopSettings,
  key: Buffer,
): SessionFailed | undefined {
  const target = targetOf(settings);
  return explainVerdict(checkHostKey(files, target, key), settings, lookupName(target), key);
}

/** A verdict in words. */
function explainVerdict(
  verdict: HostKeyVerdict,
  settings: HopSettings,
  name: string,
  key: Buffer,
): SessionFailed | undefined {
  const type = key.length >= 4 ? key.toString('latin1', 4, 4 + Math.min(64, key.readUInt32BE(0))) : '';
  const print = `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
  switch (verdict.kind) {
    case 'known':
      return undefined;
    case 'unknown': {
      const file = settings.knownHostsFiles.find((path) => path !== 'none' && path !== '/dev/null');
      const others =
        verdict.otherTypes.length === 0
          ? ''
          : ` (${verdict.otherTypes.join(', ')} is known, and the host does not show it)`;
      return new SessionFailed(
        'host-key-unknown',
        `the host key of ${name}, ${type} ${print}, is in no known_hosts file${others}: compare it with the machine's own (ssh-keygen -lf /etc/ssh/ssh_host_${shortType(type)}_key.pub there), then add this line to ${file ?? 'a known_hosts file'}: ${name} ${type} ${key.toString('base64')}${scanCommand(settings, shortType(type), file)}`,
      );
    }
    case 'changed':
      return new SessionFailed(
        'host-key-changed',
        `${name} shows another host key (${type} ${print}) than the one in ${verdict.file} line ${verdict.line}. If it was installed anew, run: ssh-keygen -f "${verdict.file}" -R "${name}" - otherwise somebody may be posing as it`,
      );
    case 'revoked':
      return new SessionFailed(
        'host-key-revoked',
        `${name} shows a host key that ${verdict.file} line ${verdict.line} marks as @revoked. Somebody may be posing as that host; ask who runs it`,
      );
    default:
      return new SessionFailed(
        'host-key-unreadable',
        `the known_hosts file ${verdict.file}${verdict.line === undefined ? '' : ` line ${verdict.line}`} cannot be used for ${name}: ${verdict.reason}`,
      );
  }
}

/** For names that mean themselves in a shell; others are not put into a command that a person may copy. */
function scanCommand({ host, port }: HopSettings, type: string, file = '~/.ssh/known_hosts'): string {
  if (!/^[A-Za-z0-9._:-]+$/.test(host) || !/^[A-Za-z0-9._~/-]+$/.test(file)) return '';
  return ` - or run "ssh-keyscan -t ${type} -p ${port} ${host} >> ${file}" where the network is trusted`;
}

/** As in the names of host key files. */
function shortType(type: string): string {
  if (type === 'ssh-rsa') return 'rsa';
  return type.startsWith('ecdsa') ? 'ecdsa' : 'ed25519';
}
