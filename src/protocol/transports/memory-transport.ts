/**
 * A network in memory: simulated machines, links between them with seeded faults, and a `Transport` for each machine.
 * The same seed under a virtual clock gives the same run, event by event. Shipped: simulations, demos and tests of
 * whole meshes in one process use it in the place of TCP.
 */
import type { Clock, Random } from '../../shared/index.js';
import { type LinkName, type LinkProfile, linkProfile } from '../link-profile.js';
import { dialFrom } from './memory-dial.js';
import { MemoryFabric, type MemoryNetworkOptions } from './memory-fabric.js';
import type { MemoryLink } from './memory-link.js';
import { MemoryListener } from './memory-listener.js';
import type { Transport } from './transport.js';

/** Makes a network. Hosts come into being when they are named. */
export function createMemoryNetwork(
  components: { readonly clock: Clock; readonly random: Random },
  options: MemoryNetworkOptions = {},
): MemoryNetwork {
  return new MemoryNetwork(components.clock, components.random, options);
}

/** The network and its faults. Every fault can be set and taken back at any time, and acts on open streams too. */
export class MemoryNetwork {
  readonly #fabric: MemoryFabric;

  constructor(clock: Clock, random: Random, options: MemoryNetworkOptions) {
    this.#fabric = new MemoryFabric(clock, random, options);
  }

  /** The way out of one machine, and in. Addresses are `{ host: <name of a machine>, port }`; loopback names mean itself. */
  transport(hostName: string): Transport {
    const host = this.#fabric.host(hostName);
    return {
      dial: (address, how) => dialFrom(this.#fabric, host, address, how),
      listen: (address, onStream) => new MemoryListener(host, address, onStream),
    };
  }

  /** What the direction from one host to another is like from now on. */
  setLink(from: string, to: string, link: LinkName | LinkProfile): void {
    this.#link(from, to).profile = linkProfile(link);
  }

  /** Both directions between two hosts. */
  setLinks(a: string, b: string, link: LinkName | LinkProfile): void {
    this.setLink(a, b, link);
    this.setLink(b, a, link);
  }

  /** Holds back what travels in this direction; connections cannot be made in either. */
  cut(from: string, to: string): void {
    this.#link(from, to).cut = true;
  }

  /** Takes `cut` back: what was held back sets out now. */
  heal(from: string, to: string): void {
    const link = this.#link(from, to);
    if (!link.cut) return;
    link.cut = false;
    for (const pipe of [...link.pipes]) pipe.restart();
    for (const pipe of [...this.#link(to, from).pipes]) pipe.settle();
    this.#fabric.retryDials();
  }

  /** Cuts both directions between each host of the one group and each of the other. */
  partition(groupA: readonly string[], groupB: readonly string[]): void {
    for (const a of groupA) {
      for (const b of groupB) {
        this.cut(a, b);
        this.cut(b, a);
      }
    }
  }

  /** Takes back every cut. */
  healAll(): void {
    for (const { from, to } of [...this.#fabric.links()]) this.heal(from.name, to.name);
  }

  /** Breaks every stream between two hosts: both ends get a reset. */
  reset(a: string, b: string): void {
    for (const link of [this.#link(a, b), this.#link(b, a)]) {
      for (const pipe of [...link.pipes]) pipe.breakNow();
    }
  }

  /** Streams between two hosts that are open in the direction from `a` to `b`. */
  openStreams(a: string, b: string): number {
    return this.#link(a, b).pipes.size;
  }

  /** Stops the host's program as SIGSTOP does: its kernel goes on taking bytes and connections, nothing is delivered. */
  freeze(hostName: string): void {
    this.#fabric.host(hostName).frozen = true;
  }

  /** Takes `freeze` back. */
  thaw(hostName: string): void {
    this.#fabric.host(hostName).frozen = false;
    this.#fabric.wake(this.#fabric.host(hostName));
  }

  /** Cuts the host's power: no FIN, no reset; others are left with half-open streams and dials without an answer. */
  vanish(hostName: string): void {
    const host = this.#fabric.host(hostName);
    if (!host.up) return;
    host.up = false;
    host.life += 1;
    host.ports.clear();
    for (const { from, link } of this.#fabric.links()) {
      if (from === host) for (const pipe of [...link.pipes]) pipe.lose();
    }
  }

  /** The host is back, with no memory of its streams: bytes that still come for them are answered with a reset. */
  restore(hostName: string): void {
    const host = this.#fabric.host(hostName);
    if (host.up) return;
    host.up = true;
    this.#fabric.wake(host);
  }

  #link(from: string, to: string): MemoryLink {
    return this.#fabric.link(this.#fabric.host(from), this.#fabric.host(to));
  }
}
