/**
 * Direct discovery: the one peer named by `--peer-host` and `--peer-port`. The node's dialer tries it for as
 * long as the node runs (the original asked once).
 */
import { type Address, formatAddress } from '../shared/index.js';
import type { CandidateSink, DiscoveryModule } from './candidate.js';

/** The peer. */
export interface DirectOptions {
  readonly address: Address;
  /** `--peer-id`; without it `peer-<host>`, until the peer tells its own. */
  readonly peerId?: string;
}

const KEY = 'direct';
/** As an Ethernet address: the user named it, nothing more is known. */
const PRIORITY = 4;

/** One configured candidate. */
export class DirectDiscovery implements DiscoveryModule {
  readonly name = 'direct';
  readonly #options: DirectOptions;
  readonly #sink: CandidateSink;

  constructor(options: DirectOptions, components: { readonly sink: CandidateSink }) {
    this.#options = options;
    this.#sink = components.sink;
  }

  async start(): Promise<void> {
    const { address, peerId } = this.#options;
    this.#sink.offer({
      key: KEY,
      module: 'direct',
      address,
      claimedId: peerId ?? `peer-${address.host}`,
      description: `DIRECT (${address.host})`,
      priority: PRIORITY,
      configured: true,
    });
  }

  async stop(): Promise<void> {
    this.#sink.withdraw(KEY);
  }

  describe(): string {
    return `dials ${formatAddress(this.#options.address)}`;
  }
}
