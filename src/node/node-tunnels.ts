/**
 * The tunnels as this node has them: what peers.json says of them is read and applied, what is wrong is told in words, and
 * what is heard passes between tunnels and dialling (a tunnel that is up is dialled through at once; a peer that dials in
 * has its tunnels tried again). The supervision itself is in `tunnels`.
 */
import type { Candidate, PeerEntry } from '../discovery/index.js';
import {
  type Address,
  type Clock,
  formatAddress,
  isLoopback,
  type Logger,
  parseAddress,
  printable,
  type Random,
  type Startable,
} from '../shared/index.js';
import {
  type createTunnels,
  findClashes,
  listensAt,
  type TunnelManager,
  type TunnelSpec,
  type TunnelStatus,
  type Tunnels,
  type TunnelsComponents,
  type TunnelsOptions,
} from '../tunnels/index.js';
import type { Dialer } from './dialer.js';
import { NO_TUNNELS } from './no-tunnels.js';
import type { Link, Peer } from './peer.js';
import type { Target } from './target.js';
import { readTunnels } from './tunnel-config.js';
import { createTunnelProbe } from './tunnel-probe.js';
import type { Warnings } from './warnings.js';

/** What it works with. */
export interface NodeTunnelsComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly warnings: Warnings;
  readonly ownPorts: TunnelsComponents['ownPorts'];
  readonly create: typeof createTunnels;
  /** Folder of peers.json. */
  readonly baseFolder: string;
  /** Made after this, so asked for when it is needed. */
  readonly dialer: () => Dialer;
  /** Those that are connected, or were. */
  readonly peers: () => Iterable<Peer>;
  /** Something that people look at has changed. */
  onChange(): void;
}

/** Under this topic the faults of the file stand among the warnings. */
const TOPIC = 'tunnels';

/** The tunnels of one node. Without options it has none, and says so where a file describes some. */
export class NodeTunnels implements Startable {
  /** For everybody above the node. */
  readonly view: Tunnels;
  readonly #manager: TunnelManager | undefined;
  readonly #c: NodeTunnelsComponents;

  constructor(options: TunnelsOptions | undefined, components: NodeTunnelsComponents) {
    this.#c = components;
    const { clock, random, logger, ownPorts } = components;
    this.#manager =
      options === undefined
        ? undefined
        : components.create(options, {
            clock,
            random,
            logger,
            ownPorts,
            probe: createTunnelProbe(clock),
            isInUse: (spec) => this.#isInUse(spec),
            onUp: (spec) => this.#dialThrough(spec),
          });
    this.view = this.#manager ?? NO_TUNNELS;
    this.view.onChange(() => components.onChange());
  }

  async start(): Promise<void> {
    await this.#manager?.start();
  }

  async stop(): Promise<void> {
    await this.#manager?.stop();
  }

  /** What peers.json says now. Only what changed is touched; what cannot be used becomes a warning. */
  apply(tunnels: Readonly<Record<string, unknown>>, peers: readonly PeerEntry[]): void {
    const { specs, faults } = readTunnels(tunnels, peers, this.#c.baseFolder);
    const found: Array<{ code: string; message: string }> = faults.map(({ error }) => ({
      code: error.code,
      message: error.message,
    }));
    if (this.#manager === undefined) {
      if (specs.length > 0) found.push({ code: 'state-unwritable', message: NO_FOLDER });
    } else {
      this.#manager.apply(specs);
    }
    const clashes = findClashes({
      specs,
      ownPorts: this.#c.ownPorts(),
      peers: specs.length === 0 ? [] : peers.map(({ id, address }) => ({ name: id, address })),
    });
    found.push(...clashes);
    const fresh = this.#c.warnings.stand(
      TOPIC,
      found.map(({ code, message }) => ({ code, message: printable(message, 400) })),
    );
    for (const { code, message } of fresh) this.#c.logger.warn(code, { message });
    this.#c.onChange();
  }

  /** A peer dialled in: the tunnels to it, under any name it is configured by, do not wait any longer. */
  heard(peerId: string): void {
    if (this.#manager === undefined) return;
    const names = new Set([peerId]);
    for (const target of this.#c.dialer().targets()) {
      if (target.peerId === peerId) names.add(target.candidate.claimedId);
    }
    for (const name of names) this.#manager.hint(name);
  }

  /** Why an address cannot be reached yet: its tunnel is not up, in words. Undefined when no tunnel is in the way. */
  waitsFor({ claimedId, address, tunnel }: Candidate): string | undefined {
    for (const status of this.view.list()) {
      const isOwn = tunnel !== undefined && status.peer === claimedId;
      if (status.state === 'up' || !(isOwn || leadsFrom(status, address))) continue;
      return `its tunnel "${status.name}" is not up (${status.state}): ${status.reason}`;
    }
    return undefined;
  }

  #isInUse(spec: TunnelSpec): boolean {
    for (const peer of this.#c.peers()) {
      if (peer.links.some((link) => this.#mayRunThrough(spec, peer, link))) return true;
    }
    return false;
  }

  /** What was dialled shows its address; what came in over loopback may have come through any `-R` of its peer. */
  #mayRunThrough({ forward, reverse, peer: name }: TunnelSpec, peer: Peer, link: Link): boolean {
    if (link.outgoing) {
      const target = link.targetKey === undefined ? undefined : this.#c.dialer().get(link.targetKey);
      return (
        target !== undefined && forward.some(({ listen }) => listensAt(listen, target.candidate.address))
      );
    }
    const isOfPeer = name === undefined || name === peer.id || peer.aliases.has(name);
    return reverse.length > 0 && isOfPeer && isLoopback(link.connection.remoteHost);
  }

  #dialThrough(spec: TunnelSpec): void {
    this.#c.dialer().retry(({ candidate }: Target) => {
      if (spec.peer !== undefined && candidate.claimedId === spec.peer) return true;
      return spec.forward.some(({ listen }) => listensAt(listen, candidate.address));
    });
  }
}

const NO_FOLDER = 'the tunnels of peers.json are not opened: this node was started without a folder for them';

/** Whether the address is the listening end of one of the `-L` of a tunnel. */
function leadsFrom(status: TunnelStatus, address: Address): boolean {
  return status.forwards.some(({ kind, listen }) => {
    if (kind !== 'L') return false;
    if (listen === formatAddress(address)) return true;
    try {
      return listensAt({ kind: 'tcp', ...parseAddress(listen) }, address);
    } catch {
      // A unix socket, or a port that is not known yet.
      return false;
    }
  });
}
