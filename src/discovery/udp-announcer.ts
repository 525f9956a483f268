/**
 * The sending half of UDP discovery: one socket per interface address, bound to it, so that a broadcast leaves
 * there also where no route leads to 255.255.255.255. Interfaces come and go; what fails on one is noted for
 * people and does not touch the others. udp.ts owns it.
 */
import type { Clock, Logger, Random, Startable, TimerHandle } from '../shared/index.js';
import type { DiscoverySelf } from './candidate.js';
import type { LocalInterface } from './interfaces.js';
import { encodeDatagram } from './udp-packet.js';
import type { DatagramSocket, OpenDatagramSocket } from './udp-socket.js';

/** The original's interval; ± 10 % so that the nodes of a LAN do not speak in one instant. */
const INTERVAL_MS = 2_500;
const JITTER_SHARE = 0.1;
/** How soon a new interface (Wi-Fi back, cable in) is announced on. */
const SCAN_MS = 1_000;

/** What the announcer needs. */
export interface UdpAnnouncerComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly self: DiscoverySelf;
  interfaces(): readonly LocalInterface[];
  readonly openSocket: OpenDatagramSocket;
}

interface Outlet {
  where: LocalInterface;
  socket: DatagramSocket | undefined;
  /** An announcement is on its way out; a second one does not overtake it. */
  busy: boolean;
  /** Why nothing leaves here; undefined when something did. */
  problem: string | undefined;
}

/** Announces until stopped. */
export class UdpAnnouncer implements Startable {
  readonly #port: number;
  readonly #c: UdpAnnouncerComponents;
  readonly #outlets = new Map<string, Outlet>();
  readonly #work = new Set<Promise<void>>();
  #addresses: ReadonlySet<string> = new Set();
  #round: TimerHandle | undefined;
  #scan: TimerHandle | undefined;
  #running = false;

  constructor(options: { readonly port: number }, components: UdpAnnouncerComponents) {
    this.#port = options.port;
    this.#c = components;
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#scan = this.#c.clock.every(SCAN_MS, () => this.#rescan());
    this.#rescan();
    this.#armRound();
    // The first datagrams are out (or have failed in words) when start resolves.
    await Promise.all(this.#work);
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#round?.cancel();
    this.#scan?.cancel();
    await Promise.all(this.#work);
    const sockets = [...this.#outlets.values()].map((outlet) => outlet.socket);
    this.#outlets.clear();
    await Promise.all(sockets.map((socket) => socket?.close()));
  }

  /** Whether this is an address of this machine. */
  hasAddress(host: string): boolean {
    return this.#addresses.has(host);
  }

  describe(): string {
    const outlets = [...this.#outlets.values()];
    const working = outlets
      .filter((outlet) => outlet.problem === undefined)
      .map((outlet) => outlet.where.name);
    const broken = outlets.filter((outlet) => outlet.problem !== undefined);
    const parts = [
      working.length === 0
        ? `announces on no interface`
        : `announces on ${[...new Set(working)].join(', ')} to port ${this.#port}`,
      ...broken.map((outlet) => `not on ${outlet.where.name} ${outlet.where.address}: ${outlet.problem}`),
    ];
    return parts.join('; ');
  }

  #armRound(): void {
    const delayMs = INTERVAL_MS * (1 + JITTER_SHARE * (2 * this.#c.random.next() - 1));
    this.#round = this.#c.clock.after(delayMs, () => {
      this.#rescan();
      for (const outlet of this.#outlets.values()) this.#do(() => this.#announce(outlet));
      this.#armRound();
    });
  }

  /** Closes the outlets of addresses that are gone, opens and uses at once those of new ones. */
  #rescan(): void {
    const now = new Map(this.#c.interfaces().map((where) => [where.address, where]));
    this.#addresses = new Set(now.keys());
    for (const [address, outlet] of this.#outlets) {
      const where = now.get(address);
      if (where !== undefined) {
        outlet.where = where;
        continue;
      }
      this.#outlets.delete(address);
      this.#c.logger.info('udp-interface-gone', { interface: outlet.where.name, address });
      this.#do(async () => outlet.socket?.close());
      outlet.problem = 'the interface is gone';
    }
    for (const [address, where] of now) {
      if (this.#outlets.has(address)) continue;
      const outlet: Outlet = { where, socket: undefined, busy: false, problem: undefined };
      this.#outlets.set(address, outlet);
      this.#do(() => this.#announce(outlet));
    }
  }

  async #announce(outlet: Outlet): Promise<void> {
    if (outlet.busy) return;
    outlet.busy = true;
    try {
      await this.#send(outlet);
    } finally {
      outlet.busy = false;
    }
  }

  async #send(outlet: Outlet): Promise<void> {
    const { where } = outlet;
    const problems: string[] = [];
    let sent = 0;
    try {
      outlet.socket ??= await this.#openOutlet(outlet);
      const bytes = encodeDatagram({
        nodeId: this.#c.self.nodeId,
        nodePort: this.#c.self.nodePort(),
        capabilities: this.#c.self.capabilities(),
        priority: where.priority,
        interfaceName: where.name,
        interfaceType: where.type,
      });
      for (const host of targetsOf(where)) {
        try {
          await outlet.socket.send(bytes, this.#port, host);
          sent += 1;
        } catch (error) {
          problems.push(`${inWords(error)} (to ${host})`);
        }
      }
    } catch (error) {
      problems.push(inWords(error));
    }
    // Either broadcast form is enough: some systems refuse one of them on some interfaces.
    const problem = sent > 0 ? undefined : problems.join('; ');
    if (problem !== undefined && problem !== outlet.problem) {
      this.#c.logger.info('udp-announce-failed', {
        interface: where.name,
        address: where.address,
        reason: problem,
      });
    }
    outlet.problem = problem;
  }

  async #openOutlet(outlet: Outlet): Promise<DatagramSocket> {
    const socket = await this.#c.openSocket(
      outlet.where.address,
      0,
      () => undefined,
      (error) => {
        // Opened again in the next round.
        outlet.problem = inWords(error);
        outlet.socket = undefined;
        this.#do(() => socket.close());
      },
    );
    if (this.#running && this.#outlets.get(outlet.where.address) === outlet) return socket;
    await socket.close();
    throw new Error('the interface is gone');
  }

  #do(job: () => Promise<void>): void {
    const work = job()
      .catch((error: unknown) => this.#c.logger.debug('udp-announcer-failed', { error }))
      .finally(() => this.#work.delete(work));
    this.#work.add(work);
  }
}

/** The subnet's broadcast address, then everybody; on loopback also the host itself, where systems have no broadcast. */
function targetsOf(where: LocalInterface): string[] {
  const targets = where.broadcast === undefined ? [] : [where.broadcast];
  targets.push('255.255.255.255');
  if (where.type === 'Loopback') targets.push(where.address);
  return targets;
}

const WORDS: Readonly<Record<string, string>> = {
  ENETUNREACH: 'the network cannot be reached',
  EHOSTUNREACH: 'no route leads there',
  ENETDOWN: 'the network is down',
  EADDRNOTAVAIL: 'the address is gone',
  EACCES: 'the system does not allow broadcasts here',
  EPERM: 'a firewall of this machine forbids it',
};

function inWords(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return WORDS[code] ?? (error instanceof Error ? error.message : String(error));
}
