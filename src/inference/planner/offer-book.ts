/**
 * The offers of all nodes for the models that are asked for, as of a moment ago. Asks those that are connected, all at once, and
 * waits for none longer than a person notices. Called by `ring-planner.ts`.
 */
import type { OfferResponse } from '../../protocol/index.js';
import {
  BoundedMap,
  type Clock,
  LIMITS,
  printable,
  toExoError,
  unlessAborted,
  withDeadline,
} from '../../shared/index.js';
import type { ModelEntry } from '../engine-models.js';
import type { RingPort } from '../ring/index.js';
import { noOffer } from './offer.js';

/** What the book asks. */
export interface OfferBookComponents {
  readonly port: Pick<RingPort, 'selfId' | 'askOffer'>;
  readonly clock: Clock;
  /** Aborted when the node stops: whoever waits for an offer may leave, others wait for the same one. */
  readonly owner: AbortSignal;
  /** Of this node. */
  own(model: ModelEntry, mayFetch: boolean, signal: AbortSignal): Promise<OfferResponse>;
}

/** How an offer is asked for. */
export interface OfferTerms {
  /** What was heard before does not count: the ring that was made of it broke. */
  readonly isFresh: boolean;
  /** The small files of a model that a node does not know may be fetched there. */
  readonly mayFetch: boolean;
  /** For another node, which has no layers then. */
  readonly waitMs: number;
}

/** A refusal holds shorter: a model is learnt, a measurement done, in a moment. */
const REFUSAL_KEPT_MS = 1_000;

interface Entry {
  readonly atMs: number;
  readonly waitMs: number;
  readonly offer: OfferResponse;
  /** When the node said last that it learns about the model. */
  readonly learningMs?: number | undefined;
}

/** Offers by node and model. */
export class OfferBook {
  readonly #parts: OfferBookComponents;
  readonly #entries = new BoundedMap<string, Entry>(LIMITS.offersKeptMax);
  readonly #asked = new Map<string, Promise<OfferResponse>>();
  readonly #late = new WeakSet<OfferResponse>();
  readonly #learning = new WeakSet<OfferResponse>();

  constructor(components: OfferBookComponents) {
    this.#parts = components;
  }

  /**
   * The offers of these nodes, one each; from a node that does not answer one with the reason. Throws nothing but the signal's
   * reason.
   */
  async offers(
    model: ModelEntry,
    nodeIds: readonly string[],
    terms: OfferTerms,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, OfferResponse>> {
    signal.throwIfAborted();
    const offers = Promise.all(nodeIds.map(async (id) => [id, await this.#offer(model, id, terms)] as const));
    return new Map(await unlessAborted(offers, signal));
  }

  /** Whether this one stands for a node that has not answered in time. */
  isLate(offer: OfferResponse): boolean {
    return this.#late.has(offer);
  }

  /** Whether this one stands for a node to which the small files of the model are on their way. */
  isLearning(offer: OfferResponse): boolean {
    return this.#learning.has(offer);
  }

  #offer(model: ModelEntry, nodeId: string, terms: OfferTerms): Promise<OfferResponse> | OfferResponse {
    const { isFresh, mayFetch, waitMs } = terms;
    const key = JSON.stringify([nodeId, model.id, mayFetch]);
    const known = this.#entries.get(key);
    const hasMoreTime = known !== undefined && this.isLate(known.offer) && waitMs > known.waitMs;
    if (known !== undefined && !isFresh && !hasMoreTime) {
      const keptMs = known.offer.reason === undefined ? LIMITS.offersKeptMs : REFUSAL_KEPT_MS;
      if (this.#parts.clock.now() - known.atMs < keptMs) return known.offer;
    }
    const question = `${waitMs} ${key}`;
    let asked = this.#asked.get(question);
    if (asked === undefined) {
      asked = this.#ask(model, nodeId, terms).then((offer) => {
        this.#asked.delete(question);
        const atMs = this.#parts.clock.now();
        this.#entries.set(key, { atMs, waitMs, offer, learningMs: this.#learningMs(offer, known, atMs) });
        return offer;
      });
      this.#asked.set(question, asked);
    }
    return asked;
  }

  /** Who learns says so late: one that was asked again, with less time, learns still. */
  #learningMs(offer: OfferResponse, before: Entry | undefined, atMs: number): number | undefined {
    if (this.isLearning(offer)) return atMs;
    const learningMs = before?.learningMs;
    const isRecent = learningMs !== undefined && atMs - learningMs < LIMITS.ownOfferMs;
    if (!isRecent || !this.isLate(offer)) return undefined;
    this.#learning.add(offer);
    return learningMs;
  }

  async #ask(model: ModelEntry, nodeId: string, { mayFetch, waitMs }: OfferTerms): Promise<OfferResponse> {
    const { port, clock, owner, own } = this.#parts;
    const isOwn = nodeId === port.selfId;
    try {
      if (isOwn) {
        return await withDeadline({ clock, timeoutMs: LIMITS.ownOfferMs, owner }, (signal) =>
          own(model, mayFetch, signal),
        );
      }
      const request = { kind: 'offer-request', modelId: model.id, nLayers: model.layers } as const;
      const asked = mayFetch ? request : { ...request, mayFetch };
      const offer = await port.askOffer(nodeId, asked, waitMs, owner);
      const isWhole = offer.reason !== undefined || offer.layers.length === model.layers;
      return isWhole ? offer : noOffer(offer.engine, `its offer is for ${offer.layers.length} layers`);
    } catch (error) {
      const { code, message } = toExoError(error);
      if (code === 'model-fetching') {
        const learning = noOffer('', printable(message, 400));
        this.#learning.add(learning);
        return learning;
      }
      if (isOwn || code !== 'request-timeout') {
        const late = `did not say within ${LIMITS.ownOfferMs / 1000} s what it offers`;
        return noOffer('', code === 'request-timeout' ? late : printable(message, 400));
      }
      const offer = noOffer('', `did not say within ${waitMs / 1000} s what it offers`);
      this.#late.add(offer);
      return offer;
    }
  }
}
