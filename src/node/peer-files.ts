/**
 * Files of models between nodes: what this one asks of trusted peers, and how it answers them. Which files there are is
 * `inference`'s matter (`Downloads`); who may ask is settled before a message gets here (they are of the class `trusted`).
 */
import type { Downloads, DownloadsMesh } from '../inference/index.js';
import type { BytesRequest, Connection, FilesRequest, Message } from '../protocol/index.js';
import { type Clock, ExoError, LIMITS } from '../shared/index.js';
import type { PeerTable } from './peer-table.js';

/** The peers as places where files are. */
export function createPeerFiles(selfId: string, peers: PeerTable, clock: Clock): DownloadsMesh['files'] {
  const ask = async (nodeId: string, message: Message, signal: AbortSignal): Promise<Message> => {
    const peer = peers.get(nodeId);
    const connection = peer?.link?.connection;
    if (peer === undefined || connection === undefined) {
      throw new ExoError('peer-unreachable', `node ${nodeId} is not connected`, { retryable: true });
    }
    const startedMs = clock.now();
    const answer = await connection.request(message, { timeoutMs: LIMITS.peerFilesTimeoutMs, signal });
    if (answer.kind === 'bytes-response')
      peers.rates.carried(peer, connection, answer.data.length, clock.now() - startedMs);
    return answer;
  };
  return {
    selfId,
    peers: () =>
      [...peers.all()]
        .filter((peer) => peer.present && peer.link?.connection.access === 'trusted')
        .map(({ id }) => id),
    ask: async (nodeId, question, signal) => {
      const answer = await ask(nodeId, { kind: 'files-request', ...question }, signal);
      if (answer.kind === 'files-response') return answer;
      throw new ExoError('protocol-violation', `a question about files was answered by ${answer.kind}`);
    },
    read: async (nodeId, question, signal) => {
      const answer = await ask(nodeId, { kind: 'bytes-request', ...question }, signal);
      if (answer.kind === 'bytes-response') return answer.data;
      throw new ExoError('protocol-violation', `a question for bytes was answered by ${answer.kind}`);
    },
  };
}

/** The answer to a peer that asks about files. Throws `request-unsupported` where this node has none, and `overloaded`. */
export async function answerFiles(
  downloads: Downloads | undefined,
  connection: Connection,
  message: FilesRequest | BytesRequest,
  signal: AbortSignal,
): Promise<Message> {
  const server = downloads?.server;
  if (server === undefined) {
    throw new ExoError('request-unsupported', 'this node keeps no files of models');
  }
  const nodeId = connection.hello?.nodeId ?? connection.remote;
  if (message.kind === 'files-request') {
    return { kind: 'files-response', ...(await server.list(nodeId, message)) };
  }
  // What it has asked for and not taken yet waits in memory.
  if (connection.stats.queuedBytes > LIMITS.sendQueueBytesSoft) {
    throw new ExoError('overloaded', 'the answers to earlier questions were not taken yet', {
      retryable: true,
    });
  }
  return { kind: 'bytes-response', data: await server.read(nodeId, message, signal) };
}
