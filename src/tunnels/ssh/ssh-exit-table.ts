/**
 * The texts of ssh and what each means, most telling first: ssh-exit.ts looks for them in this order. Data, and the
 * sentences that go with it.
 */
import type { TunnelFailureCode } from '../failure.js';

/** For the sentences. */
export interface SshExitContext {
  /** As a person wrote it. */
  readonly destination: string;
  /** The file that the tunnel's description names in the place of the usual ones. */
  readonly knownHosts?: string;
  readonly identity: readonly string[];
}

/** The server does not allow what the session of the connection asked for; the driver opens it in a plainer way. */
export interface SessionRefused {
  readonly refused: 'pty' | 'session';
}

/** One text. */
export interface ExitRow {
  /** The reason, or which session the server refused. */
  readonly code: TunnelFailureCode | SessionRefused['refused'];
  /** A whole line of stderr, or the beginning of one. */
  readonly line: RegExp;
  /** Releases of OpenSSH that write it so, as far as known. The tests see with 9.2 what a server can be made to cause. */
  readonly since: string;
  /** `established`: only after the login; `connecting`: only before; both where absent. */
  readonly phase?: 'connecting' | 'established';
  /** Read only where this stands beside it. */
  readonly beside?: RegExp;
  /** Read only where this does not. */
  readonly without?: RegExp;
  readonly say: (match: RegExpExecArray, context: SshExitContext) => string;
}

/** A key that cannot be used is why a login failed only if the login failed. */
const DENIED = /^\S+: Permission denied \(/m;
/** Some key was there: it is not the missing ones. */
const OFFERED = /^debug1: Offering public key: /m;

/** Names as ssh writes them into its messages; anything else is not put into a command that a person may copy. */
const PLAIN_NAME = /^[A-Za-z0-9._:%[\]-]+$/;

/** All of them. */
export const EXIT_ROWS: readonly ExitRow[] = [
  // ------------------------------------------------------------------ what ssh was given
  {
    code: 'spec-refused',
    line: /^(?:.*: line \d+|.*:\d+): (?:Bad configuration option|unsupported option|Unsupported option|Bad .* spec|bad .*|keyword .* extra arguments).*$/im,
    since: '5.0+',
    say: (match) => `ssh does not take its configuration: ${match[0]}`,
  },
  {
    code: 'spec-refused',
    line: /^Bad owner or permissions on .+$/m,
    since: '3.0+',
    say: (match) =>
      `ssh does not take its configuration: ${match[0]}; only its owner may be able to write it`,
  },
  {
    code: 'spec-refused',
    line: /^hostname contains invalid characters$/m,
    since: '9.6+',
    say: (_, { destination }) => `ssh does not take ${destination} as the name of a host`,
  },
  // ------------------------------------------------------------------ host keys; before anything is offered to the host
  {
    code: 'host-key-revoked',
    line: /^@\s+WARNING: REVOKED HOST KEY DETECTED!\s+@$/m,
    since: '5.4+',
    say: (_, { destination }) =>
      `${destination} shows a host key that a known_hosts file marks as @revoked. Somebody may be posing as that host; ask who runs it`,
  },
  {
    code: 'host-key-changed',
    line: /^Host key for (\S+) has changed and you have requested strict checking\.$/m,
    since: '3.0+',
    say: sayChanged,
  },
  {
    code: 'host-key-changed',
    line: /^@\s+WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\s+@$/m,
    since: '3.0+',
    say: sayChanged,
  },
  {
    code: 'host-key-unreadable',
    line: /^debug1: load_hostkeys: fopen (.+): (?!No such file)(.+)$/m,
    since: '8.4+',
    phase: 'connecting',
    beside: /^Host key verification failed\.$/m,
    say: (match) => `the known_hosts file ${match[1]} cannot be read (${match[2]})`,
  },
  {
    code: 'host-key-unknown',
    line: /^No \S+ host key is known for (\S+) and you have requested strict checking\.$/m,
    since: '3.0+',
    say: sayUnknown,
  },
  {
    // All that is left of the host key check: @cert-authority mismatches and what later versions may add.
    code: 'host-key-unknown',
    line: /^Host key verification failed\.$/m,
    since: '2.0+',
    say: sayUnknown,
  },
  // ------------------------------------------------------------------ the way there
  {
    code: 'resolve-failed',
    line: /^ssh: Could not resolve hostname (\S+): (.*)$/m,
    since: '2.0+',
    say: (match) => `the name ${match[1]} leads nowhere (${match[2]}); check it, or the name server`,
  },
  {
    code: 'connect-refused',
    line: /^ssh: connect to host (\S+) port (\d+): Connection refused$/m,
    since: '3.0+',
    say: (match) =>
      `nothing listens on port ${match[2]} of ${match[1]}: is sshd running there, and on that port?`,
  },
  {
    code: 'connect-timeout',
    line: /^ssh: connect to host (\S+) port (\d+): (?:Connection|Operation) timed out$/m,
    since: '3.0+',
    say: (match) =>
      `${match[1]} port ${match[2]} does not answer: the machine may be off, or a firewall may be in between`,
  },
  {
    code: 'network-unreachable',
    line: /^ssh: connect to host (\S+) port \d+: (.+)$/m,
    since: '3.0+',
    say: (match) => `there is no way to ${match[1]} now (${match[2]})`,
  },
  // Behind a jump host: what its sshd said about the next hop.
  {
    code: 'resolve-failed',
    line: /^channel \d+: open failed: connect failed: (.*(?:not known|resolve|name resolution|No address).*)$/im,
    since: '5.4+',
    phase: 'connecting',
    say: (match, { destination }) => `the jump host cannot resolve the name of ${destination} (${match[1]})`,
  },
  {
    code: 'connect-refused',
    line: /^channel \d+: open failed: connect failed: Connection refused$/m,
    since: '5.4+',
    phase: 'connecting',
    say: (_, { destination }) => `the jump host finds nothing that listens at ${destination}`,
  },
  {
    code: 'connect-timeout',
    line: /^channel \d+: open failed: connect failed: (?:Connection|Operation) timed out$/m,
    since: '5.4+',
    phase: 'connecting',
    say: (_, { destination }) => `the jump host gets no answer from ${destination}`,
  },
  {
    code: 'network-unreachable',
    line: /^channel \d+: open failed: connect failed: (No route to host|Network is unreachable)$/m,
    since: '5.4+',
    phase: 'connecting',
    say: (match, { destination }) => `the jump host has no way to ${destination} (${match[1]})`,
  },
  // ------------------------------------------------------------------ what answers is no ssh, or none for us
  {
    code: 'not-ssh',
    line: /^debug1: kex_exchange_identification: banner line \d+: (HTTP\/.*|<(?:!doctype|html).*)$/im,
    since: '7.9+',
    say: (match, { destination }) =>
      `a web server answers at ${destination} (${match[1]}); give the port that sshd listens on`,
  },
  {
    code: 'not-ssh',
    line: /^kex_exchange_identification: (?:banner line contains invalid characters|banner line too long|No SSH identification string received.*)$/m,
    since: '7.9+',
    say: (_, { destination }) =>
      `what answers at ${destination} does not speak ssh; give the port that sshd listens on`,
  },
  {
    code: 'not-ssh',
    line: /^Protocol major versions differ: .*$/m,
    since: '3.0+',
    say: (_, { destination }) => `what answers at ${destination} speaks an ssh that is too old (version 1)`,
  },
  {
    code: 'no-common-algorithm',
    line: /^Unable to negotiate with .*: no matching ([a-z ]+) found\. Their offer: (.*)$/im,
    since: '6.9+',
    say: (match, { destination }) =>
      `${destination} and this machine have no ${match[1]} in common; it offers ${match[2]}`,
  },
  {
    code: 'server-silent',
    line: /^Connection timed out during banner exchange$/m,
    since: '6.0+',
    say: (_, { destination }) => `${destination} accepts the connection and says nothing`,
  },
  // ------------------------------------------------------------------ logging in
  {
    code: 'identity-unreadable',
    line: /^Load key "(.+)": (.+)$/m,
    since: '6.7+',
    phase: 'connecting',
    beside: DENIED,
    say: (match) =>
      match[2] === 'bad permissions'
        ? `the key ${match[1]} may be read by others, so ssh ignores it: chmod 600 ${match[1]}`
        : `the key ${match[1]} cannot be used (${match[2]})`,
  },
  {
    code: 'identity-unreadable',
    line: /^Warning: Identity file (.+) not accessible: (.*)\.$/m,
    since: '4.0+',
    phase: 'connecting',
    beside: DENIED,
    without: OFFERED,
    say: (match) => `the key ${match[1]} cannot be read (${match[2]})`,
  },
  {
    code: 'identity-unreadable',
    line: /^no such identity: (.+): (.*)$/m,
    since: '6.7+',
    phase: 'connecting',
    beside: DENIED,
    without: OFFERED,
    say: (match) => `the key ${match[1]} cannot be read (${match[2]})`,
  },
  {
    // In batch mode ssh says nothing of the passphrase: the server wants the key, and then nothing is signed.
    code: 'identity-unreadable',
    line: /^debug1: Server accepts key: (.+?) (?:\S+ )?SHA256:\S+.*\n(?:debug1: (?!Offering|Trying|Authenticated|Server accepts|Next).*\n)*debug1: No more authentication methods to try\.$/m,
    since: '7.6+',
    phase: 'connecting',
    beside: DENIED,
    say: (match) =>
      `the server accepts the key ${match[1]}, which needs a passphrase that no agent holds: ssh-add ${match[1]}`,
  },
  {
    code: 'auth-failed',
    line: /^(?:Received disconnect|Disconnected) from .*Too many authentication failures.*$/m,
    since: '3.0+',
    phase: 'connecting',
    say: (_, { destination }) =>
      `${destination} refused the login after too many keys; name the right one with identity (-i), and only that one is offered`,
  },
  {
    code: 'auth-failed',
    line: /^\S+: Permission denied \((.*)\)\.$/m,
    since: '3.0+',
    phase: 'connecting',
    say: (match, { destination, identity }) =>
      `${destination} accepts none of the keys (it allows: ${match[1]}); ${
        identity.length > 0
          ? `is ${identity[0]}.pub in its authorized_keys?`
          : 'put the public key there: ssh-copy-id'
      }`,
  },
  // ------------------------------------------------------------------ the session of the connection
  {
    code: 'pty',
    line: /^PTY allocation request failed on channel \d+$/m,
    since: '2.0+',
    say: () => 'the server allows no pty',
  },
  {
    code: 'session',
    line: /^(?:exec|shell|subsystem) request failed on channel \d+.*$/m,
    since: '4.0+',
    say: () => 'the server allows no command',
  },
  // ------------------------------------------------------------------ the end of a connection
  {
    code: 'keepalive-timeout',
    line: /^Timeout, server .* not responding\.$/m,
    since: '3.8+',
    say: (_, { destination }) => `${destination} has not answered keepalives`,
  },
  {
    code: 'forward-refused',
    line: /^channel \d+: open failed: administratively prohibited: .*$/m,
    since: '5.4+',
    phase: 'connecting',
    say: (_, { destination }) => `the policy of the jump host forbids to connect to ${destination}`,
  },
  {
    code: 'killed',
    line: /^Killed by signal (\d+)\.$/m,
    since: '2.0+',
    say: (match) => `ssh was ended by signal ${match[1]}`,
  },
  {
    code: 'server-closed',
    line: /^Received disconnect from .*$/m,
    since: '2.0+',
    say: (match) => `the server ended the connection: ${match[0]}`,
  },
  {
    code: 'server-closed',
    line: /^Connection to \S+ closed by remote host\.$/m,
    since: '3.0+',
    say: (_, { destination }) =>
      `${destination} closed the connection (its sshd ended, or the machine restarts)`,
  },
  {
    code: 'connection-lost',
    line: /^.*(?:Connection reset by peer|Broken pipe|Bad packet length.*|message authentication code incorrect|Corrupted .* on input.*|No route to host|Network is unreachable|Connection timed out|Operation timed out)$/m,
    since: '3.0+',
    say: (match) => `the connection broke (${match[0]})`,
  },
  {
    code: 'server-closed',
    line: /^debug1: kex_exchange_identification: banner line \d+: (.+)$/m,
    since: '7.9+',
    phase: 'connecting',
    say: (match, { destination }) =>
      `${destination} ended the connection before ssh began, saying: ${match[1]}`,
  },
  {
    code: 'server-closed',
    line: /^(?:kex_exchange_identification: )?Connection closed by .*$/m,
    since: '3.0+',
    say: (_, { destination }) =>
      `${destination} ended the connection during the login (its sshd may be busy, or refuse this address)`,
  },
];

function sayUnknown(match: RegExpExecArray, { destination, knownHosts }: SshExitContext): string {
  const named = match[1] !== undefined && PLAIN_NAME.test(match[1]) ? match[1] : undefined;
  const [, host, port] = /^\[(.+)\]:(\d+)$/.exec(named ?? '') ?? [undefined, named, undefined];
  const file = knownHosts ?? '~/.ssh/known_hosts';
  const ways =
    host === undefined
      ? 'connect once with ssh by hand and check the fingerprint'
      : `run "ssh${port === undefined ? '' : ` -p ${port}`}${knownHosts === undefined ? '' : ` -o UserKnownHostsFile=${knownHosts}`} ${host}" once and check the fingerprint, or "ssh-keyscan${port === undefined ? '' : ` -p ${port}`} ${host} >> ${file}" where the network is trusted`;
  return `the host key of ${named ?? destination} is in no known_hosts file: ${ways}`;
}

function sayChanged(match: RegExpExecArray, { destination, knownHosts }: SshExitContext): string {
  const named =
    match[1] ??
    /^Host key for (\S+) has changed/m.exec(match.input)?.[1] ??
    /-R "?([^"\s]+)"?/.exec(match.input)?.[1];
  const file = /^Offending \S+ key in (.+):\d+$/m.exec(match.input)?.[1] ?? knownHosts;
  const plain = named !== undefined && PLAIN_NAME.test(named);
  const command = plain
    ? `ssh-keygen${file === undefined ? '' : ` -f "${file}"`} -R "${named}"`
    : 'ssh-keygen -R with its name';
  return `${plain ? named : destination} shows another host key than the known one. If it was installed anew, run: ${command} - otherwise somebody may be posing as it`;
}
