/**
 * How fast a ring would answer, by what its members offer and the paths between them: the time to the first token, and tokens
 * a second after it. Pure, and cheap enough to be asked some hundred times for one plan.
 *
 * A token of an answer goes through all members one after the other, so that their times add up, with half a round trip for
 * each hop. The parts of a prompt overlap: all members once, and then the slowest for every further part.
 */
import { LIMITS } from '../../shared/index.js';
import type { NodeCosts } from './costs.js';
import type { Paths } from './paths.js';

/** What is asked of the ring. */
export interface Workload {
  readonly promptTokens: number;
  /** Of the answer, as far as it is expected to go. */
  readonly answerTokens: number;
  /** What a step costs a member beside its layers. */
  readonly stepMs: number;
}

/** Layers `start` up to, not with, `end` on one node. */
export interface CostedPlace {
  readonly node: NodeCosts;
  readonly start: number;
  readonly end: number;
}

/** What is predicted of an answer. */
export interface Prediction {
  /** After the first token, one request alone. */
  readonly tokensPerS: number;
  /** Of a token, what the members need beside layers and paths. */
  readonly stepsMs: number;
  /** Fetching what is not on disk, and loading what is not in memory, is in it. */
  readonly firstTokenMs: number;
  readonly fetchMs: number;
  /** The members load at the same time. */
  readonly loadMs: number;
  /** Of the member that loads longest. */
  readonly loadBytes: number;
  /** Paths in it were not measured. */
  readonly isAssumed: boolean;
  /** Files are to be fetched, and how fast they come was not measured. */
  readonly isFetchAssumed: boolean;
  /** Weights are to be loaded, and how fast they come was not measured. */
  readonly isLoadAssumed: boolean;
}

const FLOAT_BYTES = 4;
/** A layer of the Llama family has about so many weights for each square of the width of a hidden state. */
const WEIGHTS_PER_WIDTH_SQUARED = 12;

/** The prediction for a ring of these places, asked by `entryId`. */
export function predict(
  places: readonly CostedPlace[],
  { promptTokens, answerTokens, stepMs }: Workload,
  entryId: string,
  paths: Paths,
): Prediction {
  const positions = promptTokens + answerTokens / 2;
  const tokenBytes = hiddenBytes(places[0]!.node);
  const chunks = Math.max(1, Math.ceil(promptTokens / LIMITS.prefillChunkTokens));
  const chunk = promptTokens / chunks;
  const into = paths.between(entryId, places[0]!.node.nodeId);
  const back = paths.between(places.at(-1)!.node.nodeId, entryId);
  let decodeMs = 0;
  let firstChunkMs = (into.rttMs + back.rttMs) / 2;
  let slowestMs = 0;
  let fetchMs = 0;
  let isAssumed = into.isAssumed || back.isAssumed;
  let isFetchAssumed = false;
  let loadMs = 0;
  let loadBytes = 0;
  let isLoadAssumed = false;
  for (const [index, { node, start, end }] of places.entries()) {
    const next = places[index + 1];
    const prefillMs = node.prefillMs(start, end, chunk) + stepMs;
    decodeMs += node.decodeMs(start, end, positions) + stepMs;
    firstChunkMs += prefillMs;
    slowestMs = Math.max(slowestMs, prefillMs);
    fetchMs = Math.max(fetchMs, node.fetchMs(start, end));
    isFetchAssumed ||= node.isFetchAssumed(start, end);
    const nodeLoadMs = node.loadMs(start, end);
    if (nodeLoadMs > loadMs) [loadMs, loadBytes] = [nodeLoadMs, node.unloadedBytes(start, end)];
    isLoadAssumed ||= node.isLoadAssumed(start, end);
    if (places.length === 1) continue;
    const path = paths.between(node.nodeId, (next ?? places[0]!).node.nodeId);
    isAssumed ||= path.isAssumed;
    // The last one sends a token, the others a hidden state.
    const bytes = next === undefined ? 0 : tokenBytes;
    decodeMs += path.rttMs / 2 + (1_000 * bytes) / path.bytesPerS;
    if (next === undefined) continue;
    const sendMs = (1_000 * bytes * chunk) / path.bytesPerS;
    firstChunkMs += path.rttMs / 2 + sendMs;
    slowestMs = Math.max(slowestMs, sendMs);
  }
  return {
    tokensPerS: 1_000 / decodeMs,
    stepsMs: places.length * stepMs,
    firstTokenMs: firstChunkMs + (chunks - 1) * slowestMs + fetchMs + loadMs,
    fetchMs,
    loadMs,
    loadBytes,
    isAssumed,
    isFetchAssumed,
    isLoadAssumed,
  };
}

/** Of one token; an offer does not say it, but its square is in what a layer costs. */
function hiddenBytes(node: NodeCosts): number {
  return FLOAT_BYTES * Math.sqrt(node.multiplyAdds(0, 1) / WEIGHTS_PER_WIDTH_SQUARED);
}
