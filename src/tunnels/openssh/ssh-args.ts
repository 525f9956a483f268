/**
 * The argument lists of ssh, as pure functions: the tunnel itself and sessions beside it. Everything about the host stands in
 * the `-F` file (ssh-config.ts), forwards are asked for over the control socket (control.ts); what is left for the argument
 * list are paths of ours and one name behind `--`. No element that comes from a description begins with "-".
 */
import type { TunnelSpec } from '../description/tunnel-spec.js';
import { percentFree } from '../ssh/quoting.js';

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
}

/** The ssh child of a tunnel: master of its own control socket, no forwards yet. */
export function tunnelArgs(spec: TunnelSpec, files: SshFiles, options: TunnelArgsOptions): string[] {
  const args = ['-F', files.configFile, '-M', '-S', percentFree(files.controlPath)];
  args.push(options.pty && options.command !== undefined ? '-tt' : '-T');
  if (options.command === undefined) args.push('-N');
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

/** Where the control socket is gone ssh would connect anew; with this it fails instead. */
function sharedOnly(files: SshFiles): string[] {
  const socket = ['-F', files.configFile, '-S', percentFree(files.controlPath)];
  return [...socket, '-o', 'ProxyCommand=false', '-o', 'ControlMaster=no'];
}
