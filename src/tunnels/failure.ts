/**
 * Why a tunnel is not up, as one list: what each reason is called, what the supervisor does about it, and what a person
 * can do. Drivers report these codes, and nothing decides by the text of a message but the two files that find out the code
 * where another program gives none: ssh/ssh-exit-table.ts (ssh) and ssh2/login-failure.ts (one text of ssh2).
 */

/**
 * What the supervisor does: `fatal` stays down until the description changes or a person reloads; `retry` is tried again
 * after a delay; `busy` waits for a port, and evicts whoever holds it where it can.
 */
export type Verdict = 'fatal' | 'retry' | 'busy';

/** Every code: verdict, and one line about when it is used. */
export const TUNNEL_FAILURES = {
  'ssh-missing': ['fatal', 'there is no ssh program on this machine'],
  'spec-refused': ['fatal', 'the description cannot be used as it is'],
  'port-clash': ['fatal', 'a port is wanted twice: by two forwards, or by a forward and the node itself'],
  'resolve-failed': ['retry', 'the name of the host leads nowhere'],
  'connect-refused': ['retry', 'nothing listens on the ssh port'],
  'connect-timeout': ['retry', 'the host does not answer'],
  'network-unreachable': ['retry', 'there is no way to the host now'],
  'server-silent': ['retry', 'the server accepts and says nothing'],
  'not-ssh': ['fatal', 'what answers on the port does not speak ssh'],
  'no-common-algorithm': ['fatal', 'the two sides have no cipher, key exchange or host key type in common'],
  'host-key-unknown': ['fatal', 'the host key is in no known_hosts file'],
  'host-key-changed': ['fatal', 'the host shows another key than the known one'],
  'host-key-revoked': ['fatal', 'the key of the host is marked as revoked'],
  'host-key-unreadable': ['fatal', 'a known_hosts file cannot be read or used'],
  'auth-failed': ['fatal', 'the server accepts none of the keys'],
  'identity-unreadable': ['fatal', 'a key file cannot be read, or needs a passphrase that no agent holds'],
  'forward-refused': ['fatal', 'the policy of the server forbids a forward'],
  'local-port-busy': ['busy', 'a port of -L is taken on this machine'],
  'local-address-missing': [
    'busy',
    'the address of a -L is not one of this machine, or its name not known, now',
  ],
  'local-port-ephemeral': ['busy', 'a connection of this machine has a port of -L as its near end'],
  'remote-port-busy': ['busy', 'a port of -R is taken on the far machine'],
  'connection-lost': ['retry', 'the ssh connection broke'],
  'keepalive-timeout': ['retry', 'the server has not answered keepalives'],
  'probe-timeout': ['retry', 'nothing comes back through the tunnel any more'],
  'server-closed': ['retry', 'the server ended the connection'],
  killed: ['retry', 'the ssh process was ended by a signal'],
  'driver-fault': ['retry', 'the driver failed in a way that is not known'],
} as const satisfies Record<string, readonly [Verdict, string]>;

/** A stable reason. */
export type TunnelFailureCode = keyof typeof TUNNEL_FAILURES;

/** Why a session ended or could not be opened. */
export interface TunnelFailure {
  readonly code: TunnelFailureCode;
  /** A sentence for a person, with the way out (for a host key: the command that mends it). No secrets, printable. */
  readonly message: string;
  /** The forwards concerned, as written (`forward-refused`, or about a port). */
  readonly forwards?: readonly string[];
}

/** What the supervisor does about a code. */
export function verdictOf(code: TunnelFailureCode): Verdict {
  return TUNNEL_FAILURES[code][0];
}

/** The system's codes of a TCP connect that failed. */
const OF_CONNECT: Readonly<Record<string, TunnelFailureCode>> = {
  ENOTFOUND: 'resolve-failed',
  EAI_AGAIN: 'resolve-failed',
  EAI_FAIL: 'resolve-failed',
  EAI_NODATA: 'resolve-failed',
  EAI_NONAME: 'resolve-failed',
  ECONNREFUSED: 'connect-refused',
  ETIMEDOUT: 'connect-timeout',
  EHOSTUNREACH: 'network-unreachable',
  ENETUNREACH: 'network-unreachable',
  EHOSTDOWN: 'network-unreachable',
  ENETDOWN: 'network-unreachable',
  EADDRNOTAVAIL: 'network-unreachable',
};

/** The reason behind an error code of the system (`ECONNREFUSED`); undefined for one that says nothing about the way. */
export function codeOfConnect(systemCode: string | undefined): TunnelFailureCode | undefined {
  return systemCode !== undefined && Object.hasOwn(OF_CONNECT, systemCode)
    ? OF_CONNECT[systemCode]
    : undefined;
}

/** What a person must change comes before what may pass by itself. */
const GRAVEST_FIRST: readonly TunnelFailureCode[] = [
  'connection-lost',
  'spec-refused',
  'forward-refused',
  'local-address-missing',
  'local-port-busy',
  'local-port-ephemeral',
  'remote-port-busy',
];

/** The failures of several forwards as one: the gravest reason, and all forwards that have it. At least one is needed. */
export function gravest(failures: readonly TunnelFailure[]): TunnelFailure {
  // A reason that is not in the list is a fault of the driver, which hides nothing else.
  const rank = ({ code }: TunnelFailure) => GRAVEST_FIRST.indexOf(code);
  const [first] = [...failures].sort((a, b) => rank(a) - rank(b));
  const alike = failures.filter(({ code }) => code === first!.code);
  const forwards = alike.flatMap((failure) => failure.forwards ?? []);
  return {
    code: first!.code,
    message: [...new Set(alike.map(({ message }) => message))].join('; '),
    ...(forwards.length === 0 ? {} : { forwards }),
  };
}
