/**
 * The argument lists of ssh, as pure functions: the tunnel itself, sessions beside it and commands to its control socket.
 * Everything about the host stands in the `-F` file (ssh-config.ts); what is left for the argument list are forwards, paths
 * of ours and one name behind `--`. No element that comes from a description begins with "-".
 */
import { formatEndpoint } from '../endpoint.js';
import { formatForward } from '../forward.js';
import type { Endpoint, Forward, TunnelSpec } from '../tunnel-spec.js';
import { percentFree } from './quoting.js';

/** The driver's files of one session. */
export interface SshFiles {
  readonly configFile: string;
  readonly controlPath: string;
}

/** How the session of a tunnel is held. */
export interface TunnelArgsOptions {
  /** A pty session, without which ssh never sets TCP_NODELAY. */
  readonly pty: boolean;
  /** A fixed command of ours that holds the session; without one there is none (`-N`). Never from user input. */
  readonly command?: string;
  /** Ports in the place of port 0 of a `-L`, in the order of `spec.forward`: ssh takes no 0 there. */
  readonly forwardPorts?: ReadonlyArray<number | undefined>;
}

/** The ssh child of a tunnel: master of its own control socket, all forwards. */
export function tunnelArgs(spec: TunnelSpec, files: SshFiles, options: TunnelArgsOptions): string[] {
  const args = ['-F', files.configFile, '-M', '-S', percentFree(files.controlPath)];
  args.push(options.pty && options.command !== undefined ? '-tt' : '-T');
  if (options.command === undefined) args.push('-N');
  spec.forward.forEach((forward, index) => {
    args.push('-L', formatForward(withListenPort(forward, options.forwardPorts?.[index])));
  });
  for (const forward of spec.reverse) args.push('-R', formatForward(forward));
  return [...args, '--', spec.destination.host, ...(options.command === undefined ? [] : [options.command])];
}

/** A new connection without forwards that runs one fixed command (to end a stale session of ours). */
export function plainSessionArgs(spec: TunnelSpec, configFile: string, command: string): string[] {
  const { host } = spec.destination;
  return ['-F', configFile, '-S', 'none', '-T', '-o', 'ClearAllForwardings=yes', '--', host, command];
}

/** A fixed command over the connection of the tunnel. */
export function sharedSessionArgs(spec: TunnelSpec, files: SshFiles, command: string): string[] {
  return [...sharedOnly(files), '-T', '--', spec.destination.host, command];
}

/** `ssh -W` over the connection of the tunnel: a stream to an address as the far machine sees it. */
export function connectFarArgs(
  spec: TunnelSpec,
  files: SshFiles,
  target: Extract<Endpoint, { kind: 'tcp' }>,
): string[] {
  return [...sharedOnly(files), '-W', formatEndpoint(reachable(target)), '--', spec.destination.host];
}

/** `ssh -O`: asks the ssh child whether it lives, or ends it. */
export function controlArgs(spec: TunnelSpec, files: SshFiles, command: 'check' | 'exit' | 'stop'): string[] {
  const socket = ['-F', files.configFile, '-S', percentFree(files.controlPath)];
  return [...socket, '-O', command, '--', spec.destination.host];
}

/** `ssh -O cancel`/`-O forward` for one forward. */
export function controlForwardArgs(
  spec: TunnelSpec,
  files: SshFiles,
  command: 'forward' | 'cancel',
  kind: 'L' | 'R',
  forward: Forward,
): string[] {
  const socket = ['-F', files.configFile, '-S', percentFree(files.controlPath), '-O', command];
  return [...socket, `-${kind}`, formatForward(forward), '--', spec.destination.host];
}

/** An address to connect to where something listens: "every interface" is reached at the loopback one. */
export function reachable(endpoint: Extract<Endpoint, { kind: 'tcp' }>): Extract<Endpoint, { kind: 'tcp' }> {
  if (endpoint.host === '*' || endpoint.host === '0.0.0.0') return { ...endpoint, host: 'localhost' };
  return endpoint.host === '::' ? { ...endpoint, host: '::1' } : endpoint;
}

/** Where the control socket is gone ssh would connect anew; with this it fails instead. */
function sharedOnly(files: SshFiles): string[] {
  const socket = ['-F', files.configFile, '-S', percentFree(files.controlPath)];
  return [...socket, '-o', 'ProxyCommand=false', '-o', 'ControlMaster=no'];
}

function withListenPort(forward: Forward, port: number | undefined): Forward {
  if (port === undefined || forward.listen.kind !== 'tcp' || forward.listen.port !== 0) return forward;
  return { ...forward, listen: { ...forward.listen, port } };
}
