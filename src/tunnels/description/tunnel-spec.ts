/**
 * A tunnel as it was described: destination, `-L`, `-R` and options, in the words of ssh, checked. Plain data; made by
 * `parseTunnelSpec` from peers.json, the command line or the API, and read by everything else in this room.
 */

/** One end of a forward. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** One `-L` or `-R`. The listening end of `-L` is here, that of `-R` on the far machine. */
export interface Forward {
  /** Port 0: any free one. The host is `localhost` where none was written. */
  readonly listen: Endpoint;
  readonly target: Endpoint;
  /** As written, for people and as the key in a reload. */
  readonly text: string;
}

/** Where ssh connects to. */
export interface Destination {
  readonly user?: string;
  /** A host name, an address, or a Host of the user's ssh configuration. */
  readonly host: string;
  readonly port?: number;
  /** As written. */
  readonly text: string;
}

/** What carries a tunnel: the system's ssh as a child, or ssh2 in this process. */
export type DriverName = 'openssh' | 'ssh2';

/** Who described it: an entry of peers.json, or a person on the command line (or over the API). */
export type TunnelSource = 'peers-file' | 'command';

/** One tunnel. Two specs are the same tunnel when their names are equal, and unchanged when all of it is deep-equal. */
export interface TunnelSpec {
  /** Its key: the peer's name, the name under `tunnels`, or one made from the destination. */
  readonly name: string;
  readonly source: TunnelSource;
  /** The peer of peers.json that it stands under. */
  readonly peer?: string;
  readonly destination: Destination;
  /** `-L`. */
  readonly forward: readonly Forward[];
  /** `-R`. */
  readonly reverse: readonly Forward[];
  /** `-J`, in order. */
  readonly jump: readonly Destination[];
  /** `-i`: private key files; `~` is resolved. */
  readonly identity: readonly string[];
  /** A known_hosts file in the place of the usual ones; `~` is resolved. */
  readonly knownHosts?: string;
  /** `-F`; `~` is resolved. */
  readonly sshConfig?: string;
  /** Absent: openssh where there is an ssh, else ssh2. */
  readonly driver?: DriverName;
  /** `-o`: only names of the allow-list, in the spelling of ssh_config(5). */
  readonly options: Readonly<Record<string, string>>;
  /** Forwards that do not lead to an exo node (a database, a web page) are opened, not probed. @default true */
  readonly probe: boolean;
}
