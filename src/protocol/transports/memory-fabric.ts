/**
 * The inside of the in-memory network: its hosts, its links, the streams between them and the dials that wait for
 * a path. `memory-transport.ts` is its outside.
 */
import {
  type Address,
  type Clock,
  ExoError,
  formatAddress,
  isLoopback,
  type Random,
  seededRandom,
} from '../../shared/index.js';
import { type LinkName, type LinkProfile, linkProfile } from '../link-profile.js';
import { MemoryHost } from './memory-host.js';
import { MemoryLink } from './memory-link.js';
import { MemoryPipe, type PipeEvent } from './memory-pipe.js';
import { MemoryScheduler } from './memory-scheduler.js';
import { MemoryStream } from './memory-stream.js';

/** Something that happened on the network, for a log that two runs can be compared by. */
export interface NetworkEvent {
  readonly atMs: number;
  readonly kind: PipeEvent;
  /** Number of the stream, from 1 in the order of being made. */
  readonly stream: number;
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
}

/** Options of `createMemoryNetwork`. */
export interface MemoryNetworkOptions {
  /** How hosts are linked that nothing else was said about. A host's link to itself is perfect. @default 'perfect' */
  readonly link?: LinkName | LinkProfile;
  /** Called at each arrival. */
  readonly onEvent?: (event: NetworkEvent) => void;
}

/** Hosts, links and streams of one network. */
export class MemoryFabric {
  readonly scheduler: MemoryScheduler;
  readonly #random: Random;
  readonly #onEvent: ((event: NetworkEvent) => void) | undefined;
  readonly #hosts = new Map<string, MemoryHost>();
  readonly #links = new Map<MemoryHost, Map<MemoryHost, MemoryLink>>();
  /** Connection attempts that wait for a path. */
  readonly #waiting = new Set<() => void>();
  readonly #defaultLink: LinkProfile;
  #streams = 0;

  constructor(clock: Clock, random: Random, options: MemoryNetworkOptions) {
    this.scheduler = new MemoryScheduler(clock);
    this.#random = random;
    this.#onEvent = options.onEvent;
    this.#defaultLink = linkProfile(options.link ?? 'perfect');
  }

  /** Every direction that was used or set. */
  *links(): Generator<{ from: MemoryHost; to: MemoryHost; link: MemoryLink }> {
    for (const [from, links] of this.#links) {
      for (const [to, link] of links) yield { from, to, link };
    }
  }

  /** The host of that name, or undefined. Loopback names mean `self`. */
  find(name: string, self: MemoryHost): MemoryHost | undefined {
    return isLoopback(name) || name === self.name ? self : this.#hosts.get(name);
  }

  /** The direction between two hosts. */
  link(from: MemoryHost, to: MemoryHost): MemoryLink {
    let links = this.#links.get(from);
    if (links === undefined) {
      links = new Map();
      this.#links.set(from, links);
    }
    let link = links.get(to);
    if (link === undefined) {
      // Each link draws from its own source, so that traffic on one does not change the faults of another.
      const random = seededRandom(Math.floor(this.#random.next() * 2 ** 32));
      link = new MemoryLink(from === to ? {} : this.#defaultLink, random);
      links.set(to, link);
    }
    return link;
  }

  /** Calls `attempt` when a path may be open again. */
  waitForPath(attempt: () => void): void {
    this.#waiting.add(attempt);
  }

  /** `attempt` was given up. */
  forget(attempt: () => void): void {
    this.#waiting.delete(attempt);
  }

  /** Makes a stream; its far end comes into being when the first packet arrives there. */
  connect(
    from: MemoryHost,
    to: MemoryHost,
    target: Address,
    opened: (end: MemoryStream, alive: boolean) => void,
  ): { near: MemoryStream; far: MemoryStream } | undefined {
    const port = from.freePort();
    if (port === undefined) return undefined;
    this.#streams += 1;
    const stream = this.#streams;
    const fromHost = from === to ? target.host : from.name;
    const near = new MemoryStream(this.scheduler, from, formatAddress(target), target.host);
    const far = new MemoryStream(this.scheduler, to, formatAddress({ host: fromHost, port }), fromHost);
    const there = this.#pipe(near, far, stream);
    const back = this.#pipe(far, near, stream);
    there.join(back);
    back.join(there);
    near.join(there, back);
    far.join(back, there);
    there.open((alive) => opened(far, alive));
    return { near, far };
  }

  #pipe(source: MemoryStream, target: MemoryStream, stream: number): MemoryPipe {
    const link = this.link(source.host, target.host);
    const backLink = this.link(target.host, source.host);
    const report = this.#onEvent;
    if (report === undefined) return new MemoryPipe(this.scheduler, { source, target, link, backLink });
    const [from, to] = [source.host.name, target.host.name];
    const onEvent = (kind: PipeEvent, bytes: number) =>
      report({ atMs: this.scheduler.clock.now(), kind, stream, from, to, bytes });
    return new MemoryPipe(this.scheduler, { source, target, link, backLink, onEvent });
  }

  /** The host of that name; it comes into being when it is named. */
  host(name: string): MemoryHost {
    let host = this.#hosts.get(name);
    if (host === undefined) {
      if (isLoopback(name))
        throw new ExoError('internal', `a host cannot be called ${name}: that is everyone`);
      host = new MemoryHost(name);
      this.#hosts.set(name, host);
    }
    return host;
  }

  /** Everything to and from the host looks again at what it can do. */
  wake(host: MemoryHost): void {
    for (const { from, to, link } of this.links()) {
      if (from !== host && to !== host) continue;
      for (const pipe of link.pipes) pipe.wake();
    }
    this.retryDials();
  }

  /** A path may be open again. */
  retryDials(): void {
    const attempts = [...this.#waiting];
    this.#waiting.clear();
    for (const attempt of attempts) attempt();
  }
}
