/** One round trip with a peer, over the connection that answers health: how the peer table and whoever asks it measure a path. */
import { type Clock, ExoError } from '../shared/index.js';
import { addRttSample } from '../topology/index.js';
import type { Peer } from './peer.js';

/** Resolves to the round trip in ms and notes it in the peer. Rejects with `peer-unreachable` or `request-timeout`. */
export async function pingPeer(
  clock: Clock,
  peer: Peer,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<number> {
  const isOld = peer.protocol === 'legacy';
  const via = isOld ? peer.health : peer.link?.connection;
  if (via === undefined) {
    throw new ExoError('peer-unreachable', `${peer.id} is ${peer.state}: ${peer.reason}`, {
      retryable: true,
    });
  }
  const startedAtMs = clock.now();
  peer.lastPingAtMs = startedAtMs;
  await via.request(
    isOld ? { kind: 'health-request' } : { kind: 'ping', data: EMPTY },
    signal === undefined ? { timeoutMs } : { timeoutMs, signal },
  );
  const rttMs = clock.now() - startedAtMs;
  peer.rtt = addRttSample(peer.rtt, rttMs);
  return rttMs;
}

const EMPTY = Buffer.alloc(0);
