/**
 * Which `-o` a description may have: a list of what is allowed, each with a check of its value, and a list of what is
 * refused, each with its reason. A description may come from a file of a colleague or over the API; so nothing in it may
 * run a program, read another file, weaken the check of host keys or change what is supervised. In ~/.ssh/config all of it
 * is the user's own business, and a tunnel follows that file.
 */
import { closest, ExoError, printable } from '../../shared/index.js';
import { checkHost } from './destination.js';
import { textFault, wordRefused } from './forbidden-text.js';

/** What is wrong with a value, to be read after it; undefined when nothing is. */
type Check = (value: string) => string | undefined;

const oneOf =
  (...allowed: readonly string[]): Check =>
  (value) =>
    allowed.includes(value.toLowerCase()) ? undefined : `is not one of ${allowed.join(', ')}`;
const yesOrNo = oneOf('yes', 'no');
const number =
  (min: number, max: number, unit: string): Check =>
  (value) =>
    /^\d{1,6}$/.test(value) && Number(value) >= min && Number(value) <= max
      ? undefined
      : `is not a number of ${unit} from ${min} to ${max}`;
const form =
  (pattern: RegExp, what: string): Check =>
  (value) =>
    pattern.test(value) ? undefined : `is not ${what}`;
const algorithms = form(/^[+^]?[A-Za-z0-9@._*?,-]+$/, 'a list of algorithms with commas');
const host: Check = (value) => {
  checkHost(value, value, 'write a host name or an address');
  return undefined;
};
const path = form(/^(?:\/|~\/)[^\s]+$/, 'a full path (from "/" or "~/") without spaces');
const alwaysYes = (why: string): Check => {
  return (value) => (['yes', 'true'].includes(value.toLowerCase()) ? undefined : `is refused: ${why}`);
};

const TRAFFIC_CLASS =
  '(?:af[1-4][1-3]|cs[0-7]|ef|le|lowdelay|throughput|reliability|none|\\d{1,3}|0x[0-9a-f]{1,2})';

const ALLOWED: Readonly<Record<string, Check>> = {
  AddressFamily: oneOf('any', 'inet', 'inet6'),
  BatchMode: alwaysYes('there is nobody to ask'),
  BindAddress: host,
  BindInterface: form(/^[A-Za-z0-9._-]{1,32}$/, 'the name of an interface'),
  CASignatureAlgorithms: algorithms,
  CertificateFile: path,
  CheckHostIP: yesOrNo,
  Ciphers: algorithms,
  Compression: yesOrNo,
  ConnectTimeout: number(1, 300, 'seconds'),
  ExitOnForwardFailure: alwaysYes('without it ssh stays up while a forward is missing'),
  GSSAPIAuthentication: yesOrNo,
  HashKnownHosts: yesOrNo,
  HostKeyAlgorithms: algorithms,
  HostKeyAlias: host,
  HostbasedAcceptedAlgorithms: algorithms,
  HostbasedAuthentication: yesOrNo,
  IPQoS: form(
    new RegExp(`^${TRAFFIC_CLASS}(?: ${TRAFFIC_CLASS})?$`, 'i'),
    'one or two classes of traffic (af21, cs1, ef, none, ...)',
  ),
  IdentitiesOnly: yesOrNo,
  IdentityAgent: form(/^(?:none|SSH_AUTH_SOCK|(?:\/|~\/)\S+)$/, 'none, SSH_AUTH_SOCK or a full path'),
  KexAlgorithms: algorithms,
  MACs: algorithms,
  PreferredAuthentications: form(
    /^(?:publickey|hostbased|gssapi-with-mic|gssapi-keyex)(?:,(?:publickey|hostbased|gssapi-with-mic|gssapi-keyex))*$/,
    'a list of publickey, hostbased, gssapi-with-mic and gssapi-keyex: nobody is there to type a password',
  ),
  PubkeyAcceptedAlgorithms: algorithms,
  PubkeyAuthentication: yesOrNo,
  RekeyLimit: form(
    /^(?:default|none|\d{1,12}[KMG]?)(?: (?:none|\d{1,6}[smhdw]?))?$/i,
    'an amount and a time',
  ),
  RequiredRSASize: number(1024, 16_384, 'bits'),
  ServerAliveCountMax: number(1, 30, 'keepalives'),
  ServerAliveInterval: number(1, 300, 'seconds'),
  StreamLocalBindMask: form(/^0?[0-7]{3}$/, 'an octal mask'),
  StreamLocalBindUnlink: yesOrNo,
  StrictHostKeyChecking: alwaysYes(
    'a host key must be known before anything is sent; connect once by hand (ssh asks and keeps the key), or put the key into known_hosts',
  ),
  TCPKeepAlive: yesOrNo,
  UpdateHostKeys: yesOrNo,
};

const CONFIG = 'put it into your ~/.ssh/config, which is yours and which a tunnel follows';
const RUNS = `it runs a program; ${CONFIG}`;
const LOADS = `it loads a program library; ${CONFIG}`;
const READS = `it makes ssh read other files; ${CONFIG}`;
const DROPPED = 'a tunnel never has it';
const OWN = 'the supervisor sets it itself';
const PASSWORD = 'a tunnel never asks for or sends a password; use a key, or an agent';

const REFUSED: Readonly<Record<string, string>> = {
  ProxyCommand: RUNS,
  LocalCommand: `it runs a program; ${DROPPED}`,
  PermitLocalCommand: `it lets ssh run a program; ${DROPPED}`,
  KnownHostsCommand: RUNS,
  RemoteCommand: `it runs a program on the far machine; ${DROPPED}`,
  XAuthLocation: `it names a program to run; ${DROPPED}`,
  EnableEscapeCommandline: `it changes what runs on this machine; ${DROPPED}`,
  EnableSSHKeysign: `it starts a program with the rights of root; ${CONFIG}`,
  PKCS11Provider: LOADS,
  SecurityKeyProvider: LOADS,
  Include: READS,
  RevokedHostKeys: READS,
  Match: `it can run a program and change everything else; ${CONFIG}`,
  Host: `it begins a block of a file; ${CONFIG}`,
  IgnoreUnknown: `it hides mistakes; ${CONFIG}`,
  ProxyUseFdpass: `it belongs to ProxyCommand; ${CONFIG}`,
  ControlPath: `${OWN}: its control socket belongs to one tunnel`,
  ControlMaster: `${OWN}: its control socket belongs to one tunnel`,
  ControlPersist: `${OWN}: nothing may outlive the node`,
  ForkAfterAuthentication: `${OWN}: nothing may outlive the node`,
  SessionType: OWN,
  RequestTTY: OWN,
  StdinNull: OWN,
  EscapeChar: OWN,
  ClearAllForwardings: OWN,
  ConnectionAttempts: `${OWN}: it tries again without an end`,
  ObscureKeystrokeTiming: OWN,
  ChannelTimeout: 'it would end forwards that are silent; a tunnel keeps them',
  LogLevel: `${OWN}: it reads what ssh says`,
  LogVerbose: `${OWN}: it reads what ssh says`,
  SyslogFacility: `${OWN}: it reads what ssh says`,
  FingerprintHash: `${OWN}: it reads what ssh says`,
  VisualHostKey: `${OWN}: it reads what ssh says`,
  NoHostAuthenticationForLocalhost: 'host keys are always checked',
  VerifyHostKeyDNS: `it lets DNS vouch for host keys; ${CONFIG}`,
  UserKnownHostsFile: 'write the file as "knownHosts"',
  GlobalKnownHostsFile: 'write the file as "knownHosts": it takes the place of all others',
  PasswordAuthentication: PASSWORD,
  KbdInteractiveAuthentication: PASSWORD,
  ChallengeResponseAuthentication: PASSWORD,
  NumberOfPasswordPrompts: PASSWORD,
  SendEnv: `it sends variables of this machine's environment; ${DROPPED}`,
  SetEnv: `it sets variables on the far machine; ${DROPPED}`,
  ForwardAgent: `it lends your keys to the far machine; ${DROPPED}`,
  AddKeysToAgent: `it changes what your agent holds; ${DROPPED}`,
  GSSAPIDelegateCredentials: `it lends your credentials to the far machine; ${DROPPED}`,
  ForwardX11: DROPPED,
  ForwardX11Trusted: DROPPED,
  ForwardX11Timeout: DROPPED,
  Tunnel: `it makes a network device; ${DROPPED}`,
  TunnelDevice: `it makes a network device; ${DROPPED}`,
  GatewayPorts: 'write the address to listen on before the port: 0.0.0.0:50052:localhost:50051',
  LocalForward: 'write it as "forward" (-L)',
  RemoteForward: 'write it as "reverse" (-R)',
  DynamicForward: 'a tunnel leads to a place that is known and can be proven; SOCKS is for ssh itself',
  PermitRemoteOpen: 'it belongs to dynamic forwards, which a tunnel does not have',
  IdentityFile: 'write it as "identity" (-i)',
  ProxyJump: 'write it as "jump" (-J)',
  User: 'write it before the host: user@host',
  Port: 'write it behind the host: user@host:port',
  HostName: 'write it as the destination',
  CanonicalizeHostname: CONFIG,
  CanonicalDomains: CONFIG,
  CanonicalizeFallbackLocal: CONFIG,
  CanonicalizeMaxDots: CONFIG,
  CanonicalizePermittedCNAMEs: CONFIG,
  Tag: CONFIG,
};

const SPELLING = new Map(
  [...Object.keys(ALLOWED), ...Object.keys(REFUSED)].map((name) => [name.toLowerCase(), name]),
);

/** The spelling of ssh_config(5); undefined for a name that is in neither list. */
export function optionSpelling(name: string): string | undefined {
  return SPELLING.get(name.toLowerCase());
}

/** Checks one option; gives its name in the spelling of ssh_config(5) and its value. Throws `tunnel-spec-invalid`. */
export function checkOption(name: string, value: string): readonly [name: string, value: string] {
  const spelling = optionSpelling(name);
  if (spelling === undefined) throw unknownOption(name);
  const refused = Object.hasOwn(REFUSED, spelling) ? REFUSED[spelling] : undefined;
  if (refused !== undefined) throw new ExoError('tunnel-spec-invalid', `${spelling} is refused: ${refused}`);
  const fault =
    textFault(value, { spaces: spelling === 'IPQoS' || spelling === 'RekeyLimit' }) ??
    ALLOWED[spelling]?.(value);
  if (fault !== undefined) throw wordRefused(value, fault, `see ${spelling} in ssh_config(5)`);
  return [spelling, value];
}

/** Every name that a description may have, for documents and completion. */
export const ALLOWED_OPTIONS: readonly string[] = Object.keys(ALLOWED);

function unknownOption(name: string): ExoError {
  const near = closest(name, [...SPELLING.values()]);
  const hint = near === undefined ? `; ${CONFIG}` : `; did you mean ${near}?`;
  return new ExoError(
    'tunnel-spec-invalid',
    `"${printable(name, 60)}" is no option that a tunnel may have${hint}`,
  );
}
