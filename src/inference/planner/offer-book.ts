/**
 * The offers of all nodes for the models that are asked for, as of a moment ago. Asks those that are connected, all at once, and
 * waits for none longer than a person notices. Called by `ring-planner.ts`.
 */
import type { OfferResponse } from '../../protocol/index.js';
import { type Clock, LIMITS, printable, toExoError } from '../../shared/index.js';
import type { ModelEntry } from '../models.js';
import type { RingPort } from '../ring-port.js';
import { noOffer } from './offer.js';

/** What the book asks. */
export interface OfferBookComponents {
  readonly port: Pick<RingPort, 'selfId' | 'askOffer'>;
  readonly clock: Clock;
  /** Of this node. */
  own(model: ModelEntry, signal: AbortSignal): Promise<OfferResponse>;
}

/** A refusal holds shorter: a model is learnt, a measurement done, in a moment. */
const REFUSAL_KEPT_MS = 1_000;

interface Entry {
  readonly atMs: number;
  readonly offer: OfferResponse;
}

/** Offers by node and model. */
export class OfferBook {
  readonly #parts: OfferBookComponents;
  readonly #entries = new Map<string, Entry>();
  readonly #asked = new Map<string, Promise<OfferResponse>>();

  constructor(components: OfferBookComponents) {
    this.#parts = components;
  }

  /**
   * The offers of these nodes, one each; from a node that does not answer one with the reason. Never throws.
   * @param isFresh what was heard before does not count: the ring that was made of it broke
   */
  async offers(
    model: ModelEntry,
    nodeIds: readonly string[],
    isFresh: boolean,
  ): Promise<ReadonlyMap<string, OfferResponse>> {
    const offers = await Promise.all(
      nodeIds.map(async (id) => [id, await this.#offer(model, id, isFresh)] as const),
    );
    return new Map(offers);
  }

  #offer(model: ModelEntry, nodeId: string, isFresh: boolean): Promise<OfferResponse> | OfferResponse {
    const key = JSON.stringify([nodeId, model.id]);
    const known = this.#entries.get(key);
    if (known !== undefined && !isFresh) {
      const keptMs = known.offer.reason === undefined ? LIMITS.offersKeptMs : REFUSAL_KEPT_MS;
      if (this.#parts.clock.now() - known.atMs < keptMs) return known.offer;
    }
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      asked = this.#ask(model, nodeId).then((offer) => {
        this.#asked.delete(key);
        this.#note(key, offer);
        return offer;
      });
      this.#asked.set(key, asked);
    }
    return asked;
  }

  async #ask(model: ModelEntry, nodeId: string): Promise<OfferResponse> {
    const { port } = this.#parts;
    const { signal } = new AbortController();
    try {
      if (nodeId === port.selfId) return await this.#parts.own(model, signal);
      const offer = await port.askOffer(nodeId, {
        kind: 'offer-request',
        modelId: model.id,
        nLayers: model.layers,
      });
      const isWhole = offer.reason !== undefined || offer.layers.length === model.layers;
      return isWhole ? offer : noOffer(offer.engine, `its offer is for ${offer.layers.length} layers`);
    } catch (error) {
      const { code, message } = toExoError(error);
      const late = `did not say within ${LIMITS.offerWaitMs / 1000} s what it offers`;
      return noOffer('', code === 'request-timeout' ? late : printable(message, 400));
    }
  }

  #note(key: string, offer: OfferResponse): void {
    this.#entries.delete(key);
    this.#entries.set(key, { atMs: this.#parts.clock.now(), offer });
    if (this.#entries.size <= LIMITS.offersKeptMax) return;
    const oldest = this.#entries.keys().next();
    if (!oldest.done) this.#entries.delete(oldest.value);
  }
}
