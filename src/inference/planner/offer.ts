/**
 * What a node says it can do for a model, about itself: to others that ask (0x72), and to its own planner. Loads and fetches no
 * weights.
 */
import type { OfferedPath, OfferRequest, OfferResponse } from '../../protocol/index.js';
import { type Clock, ExoError, LIMITS, toExoError, waitAtMost } from '../../shared/index.js';
import type { InferenceEngine } from '../engine.js';
import { learnWithin } from '../engine-models.js';
import type { Downloads } from '../node-models/index.js';
import { isMeasured } from './costs.js';
import type { LearntRates } from './told-rates.js';

/** What an offer is made of. */
export interface OfferComponents {
  readonly engine: InferenceEngine;
  readonly clock: Clock;
  /** To the nodes that this one is connected to. */
  paths(): readonly OfferedPath[];
  measurePaths(): Promise<void>;
  /** What answers that this node served have shown of a model. */
  learnt(modelId: string): LearntRates;
  /** Absent: this node fetches nothing. */
  readonly downloads?: Pick<Downloads, 'fetchRate'> | undefined;
}

/** What is asked. */
export interface OfferQuestion extends Pick<OfferRequest, 'modelId' | 'nLayers'> {
  /** The small files of a model that is not here may be fetched: a trusted node asks. */
  readonly mayFetch: boolean;
}

/** A tokenizer that opens has no answer by then; one that is missing has. Well within what the asking node waits. */
const TOKENIZER_WAIT_MS = 200;
/** Before the end of the patience of who asks: it hears how far the files are, not nothing. */
const LEARN_MARGIN_MS = 1_000;
/** In a room it takes 20 ms; what takes longer stands in the next offer. */
const PATHS_WAIT_MS = 150;

/**
 * The offer of this node. What is wrong is the reason for taking no layers; throws only `model-fetching`, of a model whose small files
 * are on their way.
 */
export async function makeOffer(
  parts: OfferComponents,
  question: OfferQuestion,
  signal: AbortSignal,
): Promise<OfferResponse> {
  try {
    return await tryOffer(parts, question, signal);
  } catch (error) {
    const fault = toExoError(error);
    if (fault.code === 'model-fetching') throw fault;
    return noOffer(parts.engine.name, fault.message);
  }
}

/** As `makeOffer`; throws what keeps the node from computing the model. */
export async function tryOffer(
  { engine, clock, paths, measurePaths, learnt, downloads }: OfferComponents,
  { modelId, nLayers, mayFetch }: OfferQuestion,
  signal: AbortSignal,
): Promise<OfferResponse> {
  const patienceMs = LIMITS.offerPatienceMs - LEARN_MARGIN_MS;
  await learnWithin(engine.models, clock, { id: modelId, mayFetch, patienceMs }, signal);
  const model = engine.models.find(modelId);
  if (model.layers !== nLayers) {
    throw new ExoError('model-unknown', `${model.id} has ${model.layers} layers here, not ${nLayers}`);
  }
  const profile = await engine.profile(model.id, signal);
  await Promise.all([
    // Whoever holds the last layer needs it; any node may.
    waitAtMost(clock, TOKENIZER_WAIT_MS, engine.tokenizer(model.id, signal)),
    isMeasured(profile) ? waitAtMost(clock, PATHS_WAIT_MS, measurePaths()) : undefined,
  ]);
  const fromPeers = downloads?.fetchRate('peers');
  return {
    kind: 'offer-response',
    engine: engine.name,
    ...profile,
    stored: model.storedLayers ?? (model.ready ? [[0, nLayers - 1]] : []),
    fetchBytesPerS: downloads?.fetchRate('hub') ?? null,
    ...(fromPeers == null ? {} : { peerFetchBytesPerS: fromPeers }),
    ...learnt(model.id),
    paths: paths(),
  };
}

/** The offer of a node that takes no layers. */
export function noOffer(engine: string, reason: string): OfferResponse {
  return {
    kind: 'offer-response',
    engine,
    reason,
    memoryBytes: 0,
    bytesPerS: 0,
    multiplyAddsPerS: 0,
    layers: [],
    stored: [],
    fetchBytesPerS: null,
    paths: [],
  };
}
