/**
 * What connections are made with: their options, their components, and what all connections of a node share.
 */

import { type Clock, LIMITS, type Logger, Sheds, SourceLimiter } from '../shared/index.js';
import type { AccessLevel } from './access.js';
import type { ConnectionHandlers, ConnectionRole } from './connection-api.js';
import { ConnectionTicks } from './connection-ticks.js';
import { MemoryBudget } from './memory-budget.js';
import { PayloadPool } from './payload-pool.js';
import { SendLedger } from './send-ledger.js';
import { SlabAllocator } from './slab.js';

/** How a connection begins. */
export interface ConnectionOptions {
  readonly role: ConnectionRole;
  /** Loopback or a configured address: an old peer may send large bodies. */
  readonly trusted: boolean;
  /** What the other end may say before anything is proven. @default 'member' */
  readonly access?: AccessLevel;
}

/** Memory for small pieces. Two, because frames are written one behind the other. */
export interface WireSlabs {
  /** Small bodies that came. */
  readonly bodies: SlabAllocator;
  /** Frames that leave. */
  readonly frames: SlabAllocator;
}

/** What all connections of a node share. */
export interface WireShared {
  readonly budget: MemoryBudget;
  readonly pool: PayloadPool;
  readonly slabs: WireSlabs;
  /** Which refused sources may be logged now. */
  readonly rejections: SourceLimiter;
  readonly nextSerial: () => number;
  /** What waits to be sent. */
  readonly ledger: SendLedger;
  /** Whose deadlines are looked at. */
  readonly ticks: ConnectionTicks;
  /** Where connections that are closed for their slowness are counted. */
  readonly sheds: Sheds;
}

/** What a connection works with. */
export interface ConnectionComponents extends WireShared {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly handlers: ConnectionHandlers;
}

/** One line about a refused source in ten seconds. */
const REJECTIONS_PER_SECOND = 0.1;

/** Budget, memory and counters for one node. */
export function createWireShared(sheds: Sheds = new Sheds()): WireShared {
  let serial = 0;
  return {
    budget: new MemoryBudget({ onRefused: () => sheds.add('overloaded') }),
    ledger: new SendLedger(),
    ticks: new ConnectionTicks(),
    sheds,
    pool: new PayloadPool(),
    slabs: { bodies: new SlabAllocator(), frames: new SlabAllocator() },
    rejections: new SourceLimiter(REJECTIONS_PER_SECOND, 1, LIMITS.acceptedConnections),
    nextSerial: () => {
      serial += 1;
      return serial;
    },
  };
}
