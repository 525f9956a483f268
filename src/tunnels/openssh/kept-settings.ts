/**
 * Which settings of the user's ssh configuration a tunnel keeps, and how each is written: where to, as whom, with which
 * keys, against which known hosts, with which algorithms. A list of what is kept and not of what is dropped: a setting
 * of a later ssh that runs a program or opens a port is then dropped by itself.
 */
import { splitFiles } from '../ssh/config-dump.js';
import { configWord, percentFree, replaceTokens } from '../ssh/quoting.js';

/** The tokens of one hop that only its old name can answer. */
type Tokens = Readonly<Record<string, string>>;

type Form = (values: readonly string[], tokens: Tokens) => readonly string[];

/** One value that ssh has expanded already: its `%` are plain characters. */
const expanded: Form = (values) => values.slice(0, 1).map((value) => configWord(percentFree(value)));
/** One value, which ssh reads again as it was. */
const word: Form = (values) => values.slice(0, 1).map(configWord);
/** Several words without blanks of their own. */
const words: Form = (values) => values.slice(0, 1);
/** A line each, with tokens that are expanded when they are used. */
const lines: Form = (values, tokens) => values.map((value) => configWord(replaceTokens(value, tokens)));
/** A command: the rest of the line as it is, because a shell reads its quotes. */
const command: Form = (values, tokens) => values.slice(0, 1).map((value) => replaceTokens(value, tokens));
/** Files in one line, expanded, and printed without their quotes. */
const files: Form = (values) => [
  splitFiles(values[0] ?? '')
    .map((file) => configWord(percentFree(file)))
    .join(' '),
];
const filesRaw: Form = (values) => [
  splitFiles(values[0] ?? '')
    .map(configWord)
    .join(' '),
];

/** Lower-case name → spelling of ssh_config(5), and how its values are written. */
export const KEPT_SETTINGS: Readonly<Record<string, readonly [name: string, form: Form]>> = {
  hostname: ['HostName', expanded],
  port: ['Port', word],
  user: ['User', word],
  addressfamily: ['AddressFamily', word],
  bindaddress: ['BindAddress', word],
  bindinterface: ['BindInterface', word],
  identityfile: ['IdentityFile', lines],
  certificatefile: ['CertificateFile', lines],
  identitiesonly: ['IdentitiesOnly', word],
  identityagent: ['IdentityAgent', expanded],
  pkcs11provider: ['PKCS11Provider', word],
  securitykeyprovider: ['SecurityKeyProvider', word],
  preferredauthentications: ['PreferredAuthentications', word],
  pubkeyauthentication: ['PubkeyAuthentication', word],
  pubkeyacceptedalgorithms: ['PubkeyAcceptedAlgorithms', word],
  hostbasedauthentication: ['HostbasedAuthentication', word],
  hostbasedacceptedalgorithms: ['HostbasedAcceptedAlgorithms', word],
  gssapiauthentication: ['GSSAPIAuthentication', word],
  gssapikeyexchange: ['GSSAPIKeyExchange', word],
  gssapikexalgorithms: ['GSSAPIKexAlgorithms', word],
  gssapiclientidentity: ['GSSAPIClientIdentity', word],
  gssapiserveridentity: ['GSSAPIServerIdentity', word],
  gssapitrustdns: ['GSSAPITrustDns', word],
  userknownhostsfile: ['UserKnownHostsFile', files],
  globalknownhostsfile: ['GlobalKnownHostsFile', filesRaw],
  knownhostscommand: ['KnownHostsCommand', command],
  revokedhostkeys: ['RevokedHostKeys', word],
  hostkeyalias: ['HostKeyAlias', word],
  hashknownhosts: ['HashKnownHosts', word],
  checkhostip: ['CheckHostIP', word],
  verifyhostkeydns: ['VerifyHostKeyDNS', word],
  updatehostkeys: ['UpdateHostKeys', word],
  hostkeyalgorithms: ['HostKeyAlgorithms', word],
  casignaturealgorithms: ['CASignatureAlgorithms', word],
  kexalgorithms: ['KexAlgorithms', word],
  ciphers: ['Ciphers', word],
  macs: ['MACs', word],
  requiredrsasize: ['RequiredRSASize', word],
  rekeylimit: ['RekeyLimit', words],
  compression: ['Compression', word],
  ipqos: ['IPQoS', words],
  tcpkeepalive: ['TCPKeepAlive', word],
  streamlocalbindmask: ['StreamLocalBindMask', word],
  streamlocalbindunlink: ['StreamLocalBindUnlink', word],
  proxycommand: ['ProxyCommand', command],
  proxyusefdpass: ['ProxyUseFdpass', word],
};

/** Whether a value is ssh's way to say "as always": writing it would change something, or nothing. */
export function isUnset(name: string, values: readonly string[]): boolean {
  const value = values[0] ?? '';
  if (value === '') return true;
  if (name === 'identityfile') return isDefaultIdentities(values);
  if (name === 'rekeylimit') return value === '0 0';
  if (name === 'securitykeyprovider') return value === 'internal';
  return value === 'none' && NONE_IS_UNSET.has(name);
}

const NONE_IS_UNSET: ReadonlySet<string> = new Set([
  'bindaddress',
  'bindinterface',
  'pkcs11provider',
  'proxycommand',
  'knownhostscommand',
  'revokedhostkeys',
  'hostkeyalias',
]);

/**
 * Without an IdentityFile ssh prints its own list. Written out, each file of it that is missing would be complained
 * about as if a person had named it.
 */
function isDefaultIdentities(values: readonly string[]): boolean {
  const usual = ['id_rsa', 'id_ecdsa', 'id_ed25519'].map((name) => `~/.ssh/${name}`);
  return (
    usual.every((file) => values.includes(file)) && values.every((file) => file.startsWith('~/.ssh/id_'))
  );
}
