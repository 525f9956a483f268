/** What the tests of this room share: a node to work for, a candidate, a pool that records, waiting for a condition. */
import type { Candidate, CandidateSink, DiscoverySelf, Refusal } from '../../src/discovery/candidate.js';
import { CandidatePool, type CandidatePoolOptions } from '../../src/discovery/candidate-pool.js';
import type { LocalInterface } from '../../src/discovery/interfaces.js';
import { type Clock, seededRandom, silentLogger } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';

export const CAPABILITIES = {
  model: 'Test Box',
  chip: 'Test Chip',
  memory: 1024,
  flops: { fp32: 1, fp16: 2, int8: 4 },
};

/** The only interface that tests announce on. */
export const LOOPBACK: LocalInterface = {
  name: 'lo',
  address: '127.0.0.1',
  prefixBits: 8,
  broadcast: '127.255.255.255',
  type: 'Loopback',
  priority: 6,
};

export function selfOf(nodeId: string, nodePort = 50051, peerHosts: readonly string[] = []): DiscoverySelf {
  return {
    nodeId,
    nodePort: () => nodePort,
    capabilities: () => CAPABILITIES,
    peerHosts: () => peerHosts,
  };
}

export function candidate(overrides: Partial<Candidate> = {}): Candidate {
  return {
    key: 'udp:b@10.0.0.2:50051',
    module: 'udp',
    address: { host: '10.0.0.2', port: 50051 },
    claimedId: 'b',
    description: 'Ethernet (eth0)',
    priority: 4,
    configured: false,
    ...overrides,
  };
}

/** A pool for node `a` whose callbacks are kept. */
export function recordingPool(clock: Clock, options: Partial<CandidatePoolOptions> = {}) {
  const told = {
    candidates: [] as Candidate[],
    heard: [] as Candidate[],
    withdrawn: [] as string[],
    duplicates: [] as Candidate[],
  };
  const pool = new CandidatePool(
    { nodeId: 'a', nodeIdFilter: [], interfaceTypeFilter: [], ...options },
    {
      clock,
      random: seededRandom(1),
      logger: silentLogger,
      onCandidate: (one) => told.candidates.push(one),
      onHeard: (one) => told.heard.push(one),
      onWithdrawn: (key) => told.withdrawn.push(key),
      onDuplicateId: (one) => told.duplicates.push(one),
    },
  );
  return { pool, told };
}

/** A sink that keeps what it gets, and lets a test wait for it. */
export class RecordingSink implements CandidateSink {
  readonly offers: Candidate[] = [];
  readonly withdrawn: string[] = [];
  readonly refusals: Array<Omit<Refusal, 'atMs'>> = [];
  readonly unrefused: string[] = [];
  readonly #waiting = new Set<() => void>();

  offer(candidate: Candidate): void {
    this.offers.push(candidate);
    this.#wake();
  }

  withdraw(key: string): void {
    this.withdrawn.push(key);
    this.#wake();
  }

  refuse(refusal: Omit<Refusal, 'atMs'>): void {
    this.refusals.push(refusal);
    this.#wake();
  }

  unrefuse(subject: string): void {
    this.unrefused.push(subject);
    this.#wake();
  }

  /** Resolves when `condition` holds; it is looked at after every call of this sink. Rejects after `timeoutMs`. */
  until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`not within ${inTime(timeoutMs)} ms: ${condition}`));
      }, inTime(timeoutMs));
      const look = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }
}
