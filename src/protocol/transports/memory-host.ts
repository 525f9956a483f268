/** One simulated machine: its state, its ports and who listens at them. */
import { LIMITS } from '../../shared/index.js';
import type { ByteStream } from './transport.js';

/** Someone who listens at a port. */
export interface PortOwner {
  readonly loopbackOnly: boolean;
  /** Streams that were made and not yet handed out. */
  readonly backlog: Set<ByteStream>;
  readonly onStream: (stream: ByteStream) => void;
}

/** First and last port of those that the system gives out (IANA). */
const EPHEMERAL_MIN = 49_152;
const EPHEMERAL_MAX = 65_535;

/** A machine of the in-memory network. */
export class MemoryHost {
  readonly name: string;
  /** False after the power was cut. */
  up = true;
  /** The program is stopped (SIGSTOP); the machine's kernel goes on. */
  frozen = false;
  /** Counts starts of the machine: streams of an earlier life are unknown to it. */
  life = 0;
  readonly ports = new Map<number, PortOwner>();
  #nextPort = EPHEMERAL_MIN;

  constructor(name: string) {
    this.name = name;
  }

  /** A free port. Undefined when none is left. */
  freePort(): number | undefined {
    for (let tried = EPHEMERAL_MIN; tried <= EPHEMERAL_MAX; tried += 1) {
      const port = this.#nextPort;
      this.#nextPort = port === EPHEMERAL_MAX ? EPHEMERAL_MIN : port + 1;
      if (!this.ports.has(port)) return port;
    }
    return undefined;
  }

  /** Who would take a connection to the port. */
  ownerOf(port: number, fromSelf: boolean): PortOwner | undefined {
    const owner = this.ports.get(port);
    return owner?.loopbackOnly && !fromSelf ? undefined : owner;
  }

  /** Whether one more connection fits into the owner's queue. */
  static hasRoom(owner: PortOwner): boolean {
    return owner.backlog.size < LIMITS.acceptBacklog;
  }
}
