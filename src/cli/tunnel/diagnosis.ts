/**
 * What is wrong with a tunnel: its status and its history become one finding, the evidence for it, and the commands that
 * mend it. Decides by codes, never by the text of a message. Pure.
 */
import type { ForwardJson, TunnelDetailJson, TunnelJson } from '../api-shapes.js';

/** Every finding, and what it says of a tunnel. */
export const FINDINGS = {
  'all-well': 'works: a health check comes back through it',
  'not-probed': 'stands: its forwards are open, and it is not to be probed',
  'nothing-seen': 'nothing wrong can be seen without a node',
  'on-its-way': 'is being opened',
  closed: 'was closed by a person',
  'ssh-missing': 'no ssh program on this machine',
  'bad-description': 'the description cannot be used',
  'ssh-down': 'ssh does not get through',
  'host-key': 'the host key is not the known one, or not known',
  auth: 'the server accepts none of the keys',
  'forward-refused': 'the server’s policy forbids a forward',
  'remote-node-down': 'ssh stands, but no exo node answers at the other end',
  'port-mismatch': 'ssh stands, but what answers at the other end is no exo node',
  'port-clash': 'a port is wanted twice on this machine',
  'local-port-busy': 'a port of -L is taken on this machine',
  'local-address-missing': 'the address of a -L is not one of this machine, or its name not known, now',
  'local-port-ephemeral': 'a connection of this machine has a port of -L as its near end',
  'stale-listener': 'a port of -R is still taken on the far machine',
  'path-silent': 'ssh stands, but nothing comes back through it',
} as const;

/** A stable word for what is wrong. */
export type Finding = keyof typeof FINDINGS;

/** What is wrong, how that is known, and what to do. */
export interface Diagnosis {
  readonly finding: Finding;
  /** Nothing needs to be done. */
  readonly ok: boolean;
  readonly evidence: readonly string[];
  /** Sentences; commands to type stand behind a colon. */
  readonly next: readonly string[];
}

const OF_CODE: Readonly<Record<string, Finding>> = {
  'ssh-missing': 'ssh-missing',
  'spec-refused': 'bad-description',
  'port-clash': 'port-clash',
  'host-key-unknown': 'host-key',
  'host-key-changed': 'host-key',
  'host-key-revoked': 'host-key',
  'host-key-unreadable': 'host-key',
  'auth-failed': 'auth',
  'identity-unreadable': 'auth',
  'forward-refused': 'forward-refused',
  'local-port-busy': 'local-port-busy',
  'local-address-missing': 'local-address-missing',
  'local-port-ephemeral': 'local-port-ephemeral',
  'remote-port-busy': 'stale-listener',
  'remote-node-down': 'remote-node-down',
  'port-mismatch': 'port-mismatch',
  'probe-timeout': 'path-silent',
};

const FINE: ReadonlySet<Finding> = new Set(['all-well', 'not-probed', 'closed']);

/** The finding of one tunnel, from what its node says. */
export function diagnose(
  { tunnel, history }: Pick<TunnelDetailJson, 'tunnel' | 'history'>,
  nowMs: number,
): Diagnosis {
  const finding = findingOf(tunnel);
  const evidence = [tunnel.reason, ...evidenceOf(tunnel, finding)].filter((line) => line !== '');
  const recent = history.filter(({ at_ms: atMs, to }) => nowMs - atMs < RECENT_MS && to === 'backoff').length;
  if (recent > 1) evidence.push(`it broke ${recent} times in the last ${RECENT_MS / 60_000} minutes`);
  return { finding, ok: FINE.has(finding), evidence, next: nextSteps(tunnel, finding) };
}

const RECENT_MS = 10 * 60_000;

function findingOf(tunnel: TunnelJson): Finding {
  if (tunnel.state === 'stopped') return 'closed';
  if (tunnel.state === 'up') {
    const isProven = tunnel.forwards.some(({ verdict }) => verdict === 'ok');
    return isProven ? (worst(tunnel) ?? 'all-well') : 'not-probed';
  }
  if (tunnel.code === null) return worst(tunnel) ?? 'on-its-way';
  return OF_CODE[tunnel.code] ?? 'ssh-down';
}

/** A tunnel with several forwards is up when one is; what is wrong with another is worth a finding. */
function worst({ forwards }: TunnelJson): Finding | undefined {
  const has = (verdict: string) => forwards.some((each) => each.verdict === verdict);
  if (has('not-exo')) return 'port-mismatch';
  if (has('closed')) return 'remote-node-down';
  return has('silent') ? 'path-silent' : undefined;
}

function evidenceOf(tunnel: TunnelJson, finding: Finding): string[] {
  const lines = tunnel.forwards
    .filter(({ verdict }) => verdict !== 'untested' || finding === 'not-probed')
    .map(forwardLine);
  return [...lines, ...tunnel.notes];
}

function forwardLine({ kind, text, verdict, rtt_ms: rttMs }: ForwardJson): string {
  const words: Readonly<Record<string, string>> = {
    ok: rttMs === null ? 'a health check came back' : `a health check came back in ${rttMs.toFixed(1)} ms`,
    closed: 'connects, and nothing listens at its target',
    silent: 'connects, and no answer came in time',
    'not-exo': 'connects, and something answers that is no exo node',
    untested: 'open, not probed',
  };
  return `-${kind} ${text}: ${words[verdict] ?? verdict}`;
}

function nextSteps(tunnel: TunnelJson, finding: Finding): string[] {
  const { name, destination } = tunnel;
  const again = `then: exo tunnel reload ${quote(name)}`;
  const later = tunnel.state === 'failed' ? again : AGAIN_BY_ITSELF;
  switch (finding) {
    case 'all-well':
    case 'not-probed':
    case 'nothing-seen':
    case 'closed':
      return finding === 'closed' ? [`to open it again: exo tunnel reload ${quote(name)}`] : [];
    case 'on-its-way':
      return [`watch it: exo tunnel status --watch ${quote(name)}`];
    case 'ssh-missing':
      return ['install OpenSSH’s client, or choose the built-in one: --driver ssh2', again];
    case 'bad-description':
      return [
        'correct it in peers.json, which is read again by itself, or open it anew: exo tunnel open --help',
      ];
    case 'ssh-down':
      return [
        `see what ssh itself says: ${sshTo(destination, '-v')}`,
        tunnel.state === 'failed'
          ? `correct the destination or what is named above, ${again}`
          : 'nothing else needs to be done: it is tried again by itself, and at once when the way is back',
      ];
    case 'host-key':
      return hostKeySteps(tunnel, again);
    case 'auth':
      if (tunnel.code === 'identity-unreadable')
        return [
          'mend the path or mode of the key file, or load the key to the agent of the node: ssh-add',
          again,
        ];
      return [
        `try it by hand: ${sshTo(destination)}`,
        `put your key there: ssh-copy-id ${sshWords(destination)} (or load it: ssh-add)`,
        again,
      ];
    case 'forward-refused':
      return [
        'on the server, allow it in sshd_config (AllowTcpForwarding, PermitOpen, PermitListen), or the key’s own options in authorized_keys',
        again,
      ];
    case 'remote-node-down':
      return [
        `start the node there, on the port of the forward (${targets(tunnel, 'closed')}): exo --node-port …`,
        `what listens there: ${sshTo(destination)} ss -ltn`,
      ];
    case 'port-mismatch':
      return [
        `compare the port with the --node-port of that node (its HTTP port is another one): ${targets(tunnel, 'not-exo')}`,
        'if it is not to lead to an exo node: --no-probe, or "probe": false in peers.json',
      ];
    case 'port-clash':
      return [
        'give one of the two another port in peers.json, or: exo node --help (--node-port, --chatgpt-api-port)',
      ];
    case 'local-port-busy':
      return [
        `see who has it: ${listenerOf(tunnel)}`,
        'end that program (an ssh -L typed by hand?), or take another port; it is tried again by itself',
      ];
    case 'local-port-ephemeral':
      return [...connectionSteps(portsOf(tunnel)), later];
    case 'local-address-missing':
      return [ADDRESS_STEP, later];
    case 'stale-listener':
      return [
        `see who has it: ${sshTo(destination)} ss -ltnp`,
        'a connection of ours that was cut is ended by itself; to have sshd notice sooner, set ClientAliveInterval 10 there',
      ];
    case 'path-silent':
      return [
        `see whether the node there hangs: ${sshTo(destination)} exo status`,
        'the session is opened anew by itself when that may help',
      ];
  }
}

function targets({ forwards }: TunnelJson, verdict: string): string {
  const all = forwards.filter((each) => each.verdict === verdict).map(({ target }) => target);
  return (all.length === 0 ? forwards.map(({ target }) => target) : all).join(', ');
}

/** The message names the file and, for a changed key, the command that removes the old one. */
function hostKeySteps({ code, destination }: TunnelJson, again: string): string[] {
  switch (code) {
    case 'host-key-changed':
      return [
        'find out why the host has another key; only when that is known remove the old one, with the command above',
        `then learn the new one by logging in once: ${sshTo(destination)}`,
        again,
      ];
    case 'host-key-revoked':
      return ['do not connect; ask whoever runs the host for its new key'];
    case 'host-key-unreadable':
      return ['mend the file that is named above', again];
    default:
      return [
        `if you trust the host, learn its key by logging in once (with the -F, -J and known_hosts of the tunnel, if it has its own): ${sshTo(destination)}`,
        again,
      ];
  }
}

/** Which of several -L is taken is said by the message only: all are looked at. */
function listenerOf(tunnel: TunnelJson): string {
  const ports = portsOf(tunnel);
  if (ports.length > 0) return `lsof -nP -iTCP:${ports.join(',')} -sTCP:LISTEN`;
  return ['lsof', ...listensOf(tunnel).map(quote)].join(' ');
}

const AGAIN_BY_ITSELF = 'nothing else needs to be done: it is tried again by itself';

/** About an address that is not there. */
export const ADDRESS_STEP = 'see which addresses this machine has: ip addr (macOS: ifconfig)';

/**
 * About a connection that has one of the ports as its near end. No lsof: what ended within the last minute is no process's any more.
 * Only Linux has such.
 */
export function connectionSteps(ports: readonly number[]): string[] {
  const filter = ports.map((port) => `sport = :${port}`).join(' or ');
  return [
    `see which one: ss -tanp ${quote(filter)}`,
    'for a port that no connection is given, take one outside of this range: sysctl net.ipv4.ip_local_port_range',
  ];
}

function portsOf(tunnel: TunnelJson): number[] {
  return listensOf(tunnel)
    .map((listen) => Number(/:(\d+)$/.exec(listen)?.[1] ?? 0))
    .filter((port) => port !== 0);
}

function listensOf({ forwards }: TunnelJson): string[] {
  return forwards.filter(({ kind }) => kind === 'L').map(({ listen }) => listen);
}

/** A destination as the arguments of ssh, which takes no `host:port`. */
function sshWords(destination: string): string {
  const match = /^(?<who>[^:[\]]*@)?(?<host>[^:@[\]]+|\[[^\]]+\]):(?<port>\d+)$/.exec(destination);
  if (match === null || destination.startsWith('ssh://')) return quote(destination);
  const { who = '', host = '', port } = match.groups!;
  return `-p ${port} ${quote(who + host.replace(/^\[|\]$/g, ''))}`;
}

/** The command line of ssh to a destination. */
export function sshTo(destination: string, flag?: string): string {
  return ['ssh', ...(flag === undefined ? [] : [flag]), sshWords(destination)].join(' ');
}

/** For a shell, where a name or destination is not plain; the last word of a command, because it may be told from its options. */
export function quote(word: string): string {
  if (word.startsWith('-')) return `-- ${quote(`./${word}`).replace('./', '')}`;
  return /^[A-Za-z0-9_.:@/[\]-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
