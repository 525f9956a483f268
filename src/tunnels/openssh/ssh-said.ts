/**
 * What ssh tells at LogLevel DEBUG1 under LC_ALL=C while it goes on: about the login, its session and forwards. Pure;
 * `ssh/ssh-exit.ts` reads why it ended.
 */
import { printable } from '../../shared/index.js';

/** The cipher in use, and what the server calls itself. */
export function readLogin(stderr: string): { cipher?: string; serverVersion?: string } {
  const cipher = /^debug1: kex: server->client cipher: (\S+)/m.exec(stderr)?.[1];
  const serverVersion = /^debug1: Remote protocol version \S+, remote software version (.+)$/m.exec(
    stderr,
  )?.[1];
  return {
    ...(cipher === undefined ? {} : { cipher: printable(cipher, 64) }),
    ...(serverVersion === undefined ? {} : { serverVersion: printable(serverVersion.trim(), 128) }),
  };
}

/** The key that the server showed (`ssh-ed25519 SHA256:…`), and whether ssh has just added it to a known_hosts file. */
export function readHostKey(stderr: string): { hostKey?: string; hostKeyAdded: boolean } {
  const hostKey = /^debug1: Server host key: (\S+ \S+)$/m.exec(stderr)?.[1];
  const hostKeyAdded = /^Warning: Permanently added .+ to the list of known hosts\.$/m.test(stderr);
  return { ...(hostKey === undefined ? {} : { hostKey: printable(hostKey, 128) }), hostKeyAdded };
}

/**
 * Whether the session of the connection has ended, or was never allowed, while the connection goes on. Only ends a wait
 * for the anchor early; a text that is missed costs that wait.
 */
export function isSessionOver(stderr: string): boolean {
  // Its number, so that a connection through a forward that nobody takes is not read as the session's.
  const session = /^debug1: channel (\d+): new (?:session )?\[client-session\]/m.exec(stderr)?.[1];
  if (session === undefined) return false;
  return new RegExp(
    `^(?:debug1: client_input_channel_req: channel ${session} rtype exit-s|channel ${session}: open failed: )`,
    'm',
  ).test(stderr);
}

/** Why the server refused a `-R`, from what ssh wrote between asking and the answer; busy where no policy is named. */
export function explainRemoteRefusal(stderr: string): 'forward-refused' | 'remote-port-busy' {
  return REMOTE_POLICY.test(stderr) ? 'forward-refused' : 'remote-port-busy';
}

/** Why a connection that we opened on the far side was refused; undefined when ssh has not said so. */
export function explainFarRefusal(
  stderr: string,
): { readonly kind: 'policy' | 'refused'; readonly text: string } | undefined {
  const match = /^channel \d+: open failed: ([a-z ]+): (.*)$/m.exec(stderr);
  if (match === null) return undefined;
  const [, reason, text = ''] = match;
  return { kind: reason === 'connect failed' || reason === 'resource shortage' ? 'refused' : 'policy', text };
}

/** Local ports whose connections the policy of the server has forbidden (OpenSSH 6.2+). */
export function prohibitedPorts(stderr: string): number[] {
  const lines = stderr.matchAll(
    /^channel (\d+): open failed: administratively prohibited: .*\n(?:.*\n)??debug1: channel \1: free: direct-tcpip: listening port (\d+) for /gm,
  );
  return Array.from(lines, ([, , port]) => Number(port));
}

/** sshd says these as debug messages of the protocol (sshd 3.0+, the second 7.8+); for a port that is taken it says nothing. */
const REMOTE_POLICY =
  /^debug1: Remote: (?:Server has disabled (?:port|streamlocal) forwarding\.|port forwarding refused.*)$/m;
