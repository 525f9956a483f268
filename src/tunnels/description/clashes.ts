/**
 * What can be seen to go wrong before any ssh starts: two things on one port, and peers whose address passes by the tunnel
 * that was made for them. Pure; the manager asks before it opens, the node and `exo doctor` show the result.
 *
 * An error is what can never work: it keeps the tunnel that is named from starting. A warning may be meant so (another
 * program may listen there), so it is only said.
 */
import { type Address, formatAddress, isLoopback, printable } from '../../shared/index.js';
import { isEvery, listensAt, overlap } from './listening.js';
import type { Forward, TunnelSpec } from './tunnel-spec.js';

/** One thing that two want, or a way that leads past a tunnel. */
export interface Clash {
  readonly severity: 'error' | 'warning';
  /** Name of the tunnel; of two, the later one. Null where a peer has no tunnel and needs one. */
  readonly tunnel: string | null;
  /** The peer whose address is meant, where it is about one. */
  readonly peer?: string;
  readonly code: 'tunnel-clash';
  /** A sentence with the way out. */
  readonly message: string;
}

/** What the tunnels are held against. */
export interface ClashInput {
  readonly specs: readonly TunnelSpec[];
  /** Ports of this machine that the node itself uses, and for what ("the HTTP API"). */
  readonly ownPorts: ReadonlyArray<{ readonly port: number; readonly what: string }>;
  /** The peers of peers.json and where they are dialled. */
  readonly peers: ReadonlyArray<{ readonly name: string; readonly address: Address }>;
}

/** All clashes: errors first, each in the order of the specs. */
export function findClashes(input: ClashInput): readonly Clash[] {
  const found = [
    ...ownPortClashes(input),
    ...sharedListens(input.specs),
    ...reverseTargets(input),
    ...peerClashes(input),
  ];
  return [...found.filter(isError), ...found.filter((clash) => !isError(clash))];
}

const isError = ({ severity }: Clash) => severity === 'error';

/** A `-L` on a port that the node or its API uses: the example of the first exo has 52415, which is the API's default. */
function ownPortClashes({ specs, ownPorts }: ClashInput): Clash[] {
  return specs.flatMap((spec) =>
    spec.forward.flatMap(({ listen, text }) => {
      const own = ownPorts.find(({ port }) => listen.kind === 'tcp' && port === listen.port);
      if (own === undefined || listen.kind !== 'tcp') return [];
      // On an address of its own it may fit beside a listener on 127.0.0.1: that is for bind(2) to say.
      const severity = isLoopback(listen.host) || isEvery(listen.host) ? 'error' : 'warning';
      return [
        clash(
          severity,
          spec,
          `"-L ${text}" listens on port ${listen.port} of this machine, which ${own.what} uses: take another port in front, ` +
            'and the same one in the address of the peer',
        ),
      ];
    }),
  );
}

/** Two listeners on one place: here for `-L`, on one far machine for `-R`. */
function sharedListens(specs: readonly TunnelSpec[]): Clash[] {
  const found: Clash[] = [];
  // By port or path: the manager asks before every session, and all pairs of 256 tunnels would be many.
  const seen = new Map<string, Array<{ spec: TunnelSpec; forward: Forward }>>();
  for (const spec of specs) {
    for (const kind of ['L', 'R'] as const) {
      for (const forward of kind === 'L' ? spec.forward : spec.reverse) {
        const { listen } = forward;
        if (listen.kind === 'tcp' && listen.port === 0) continue;
        const key = `${kind} ${listen.kind === 'tcp' ? listen.port : listen.path}`;
        const others = seen.get(key) ?? [];
        seen.set(key, others);
        const other = others.find(
          (one) => overlap(one.forward.listen, listen) && (kind === 'L' || sameFarMachine(one.spec, spec)),
        );
        if (other !== undefined) found.push(listenClash(spec, forward, kind, other));
        others.push({ spec, forward });
      }
    }
  }
  return found;
}

function listenClash(
  spec: TunnelSpec,
  forward: Forward,
  kind: 'L' | 'R',
  other: { readonly spec: TunnelSpec; readonly forward: Forward },
): Clash {
  const whose = other.spec === spec ? 'itself' : `the tunnel "${shown(other.spec.name)}"`;
  const where = kind === 'L' ? 'on this machine' : `on ${shown(spec.destination.text)}`;
  return clash(
    'error',
    spec,
    `"-${kind} ${forward.text}" listens ${where} where "-${kind} ${other.forward.text}" of ${whose} does: ` +
      'take another port in front of one of them',
  );
}

/** A `-R` leads back to this machine; where nothing of this node listens the far side finds no node. */
function reverseTargets({ specs, ownPorts }: ClashInput): Clash[] {
  return specs.flatMap((spec) =>
    spec.reverse.flatMap(({ target, text }) => {
      if (!spec.probe || target.kind !== 'tcp' || !isLoopback(target.host)) return [];
      if (ownPorts.length === 0 || ownPorts.some(({ port }) => port === target.port)) return [];
      const ports = ownPorts.map(({ port, what }) => `${port} (${what})`).join(', ');
      return [
        clash(
          'warning',
          spec,
          `"-R ${text}" leads to port ${target.port} of this machine, where nothing of this node listens (it has ${ports}): ` +
            'correct the last number, or write "probe": false if another program is meant',
        ),
      ];
    }),
  );
}

function peerClashes({ specs, peers, ownPorts }: ClashInput): Clash[] {
  return peers.flatMap((peer): Clash[] => {
    const { host, port } = peer.address;
    if (specs.some(({ forward }) => forward.some(({ listen }) => listensAt(listen, peer.address)))) return [];
    const at = `peer "${shown(peer.name)}" is at ${formatAddress(peer.address)}`;
    const warn = (spec: TunnelSpec | null, message: string) => [
      {
        severity: 'warning',
        tunnel: spec?.name ?? null,
        peer: peer.name,
        code: 'tunnel-clash',
        message,
      } as const,
    ];
    const own = specs.find((spec) => spec.peer === peer.name);
    const ports = listenPorts(own === undefined ? specs.filter((spec) => spec.peer === undefined) : [own]);
    const write = `write "address": "127.0.0.1:${ports[0]}"`;
    if (own !== undefined && ports.length > 0) {
      return isLoopback(host)
        ? warn(own, `${at}, where its tunnel does not listen (it listens on ${ports.join(', ')}): ${write}`)
        : warn(own, `${at}, which passes by its tunnel: ${write}`);
    }
    if (!isLoopback(host)) {
      const leading = leadsTo(specs, peer.address);
      return leading === undefined
        ? []
        : warn(
            leading.spec,
            `${at}, though the tunnel "${shown(leading.spec.name)}" leads there: write "address": "127.0.0.1:${leading.port}"`,
          );
    }
    const self = ownPorts.find((one) => one.port === port);
    if (self !== undefined) {
      return warn(
        own ?? null,
        `${at}, which ${self.what} of this machine uses: write the port of a tunnel that leads there`,
      );
    }
    // Without tunnels in the file, or with one that only has -R, somebody else may open the way.
    if (own !== undefined || ports.length === 0) return [];
    return warn(
      null,
      `${at}, where no tunnel listens (they listen on ${ports.join(', ')}): correct the port, unless an ssh of your own or another node of this machine is there`,
    );
  });
}

/** The `-L` whose target is this very address. */
function leadsTo(
  specs: readonly TunnelSpec[],
  address: Address,
): { spec: TunnelSpec; port: number } | undefined {
  for (const spec of specs) {
    for (const { listen, target } of spec.forward) {
      if (listen.kind !== 'tcp' || target.kind !== 'tcp' || listen.port === 0) continue;
      if (target.host === address.host && target.port === address.port) return { spec, port: listen.port };
    }
  }
  return undefined;
}

function listenPorts(specs: readonly TunnelSpec[]): number[] {
  return specs.flatMap(({ forward }) =>
    forward.flatMap(({ listen }) => (listen.kind === 'tcp' && listen.port !== 0 ? [listen.port] : [])),
  );
}

/** By what was written: an alias may hide that two are one, and then the far sshd says so (`remote-port-busy`). */
function sameFarMachine(a: TunnelSpec, b: TunnelSpec): boolean {
  const [one, two] = [a.destination, b.destination];
  return a === b || (one.host === two.host && (one.port ?? 22) === (two.port ?? 22));
}

function clash(severity: Clash['severity'], spec: TunnelSpec, message: string): Clash {
  return { severity, tunnel: spec.name, code: 'tunnel-clash', message };
}

function shown(text: string): string {
  return printable(text, 60);
}
