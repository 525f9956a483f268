/** Two hosts of an in-memory network on virtual time, and a log of what arrives. */
import assert from 'node:assert/strict';
import {
  type ByteStream,
  createMemoryNetwork,
  type LinkName,
  type LinkProfile,
  type Listener,
  type MemoryNetwork,
  type NetworkEvent,
} from '../../src/protocol/index.js';
import { seededRandom, VirtualClock } from '../../src/shared/index.js';
import { StreamEnd } from '../compliance/stream-end.js';

export const SECOND_MS = 1_000;
/** Where listeners are that do not care. */
export const PORT = 50_051;

/** The network, its clock and its log. */
export interface Lab {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly events: NetworkEvent[];
}

/** A network whose links are as given. */
export function lab(link: LinkName | LinkProfile = {}, seed = 1): Lab {
  const clock = new VirtualClock();
  const events: NetworkEvent[] = [];
  const network = createMemoryNetwork(
    { clock, random: seededRandom(seed) },
    { link, onEvent: (event) => events.push(event) },
  );
  return { clock, network, events };
}

/** A stream from host `a` to host `b`, with both ends in hand. */
export async function pair({
  clock,
  network,
}: Pick<Lab, 'clock' | 'network'>): Promise<{ a: StreamEnd; b: StreamEnd; listener: Listener }> {
  let b: StreamEnd | undefined;
  const listener = network.transport('b').listen({ host: '0.0.0.0', port: 0 }, (stream) => {
    b = new StreamEnd(stream);
  });
  await listener.start();
  const dialling = dial(network, listener.address.port);
  await clock.advance(2 * SECOND_MS);
  const a = new StreamEnd(await dialling);
  assert.ok(b !== undefined);
  return { a, b, listener };
}

/** Dials `b` from `a`. */
export const dial = (network: MemoryNetwork, port = PORT, timeoutMs = 5 * SECOND_MS): Promise<ByteStream> =>
  network.transport('a').dial({ host: 'b', port }, { timeoutMs });
