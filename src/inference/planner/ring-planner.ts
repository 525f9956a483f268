/**
 * Where an answer is computed: decides on the ring of each attempt, for the entry node. What is asked for (`placement.ts`)
 * meets who is there (`ring-port.ts`) and what they offer (`offer-book.ts`). Where engines measure nothing, and with an old peer in the
 * mesh, the ring is the original's, by memory. Called by `generation-attempts.ts`; answers 0x72 for other planners.
 */
import type { OfferRequest, OfferResponse } from '../../protocol/index.js';
import {
  BoundedMap,
  type Clock,
  ExoError,
  LIMITS,
  type Logger,
  untilAnyAborted,
  withDeadline,
} from '../../shared/index.js';
import type { InferenceEngine } from '../engine.js';
import type { ModelEntry } from '../engine-models.js';
import type { Downloads } from '../node-models/index.js';
import type { PlacedRange } from '../placement.js';
import { type MeshNow, placesOf, type RingPort, ringFault, ringOf } from '../ring/index.js';
import { asideOf, withAside } from './aside.js';
import { reservedPositions, shareInOrder } from './assign.js';
import { type Choice, chooseRing, soloRing, valued } from './choose.js';
import { ChosenRings } from './chosen-rings.js';
import { isMeasured, NodeCosts } from './costs.js';
import { makeOffer, noOffer, tryOffer } from './offer.js';
import { OfferBook } from './offer-book.js';
import { Paths } from './paths.js';
import type { PlanQuestion, RingPlan } from './plan.js';
import {
  assertPlaced,
  assertPresent,
  cannot,
  noRoom,
  type Outsider,
  ownFault,
  tooLarge,
} from './plan-errors.js';
import { PlanRecord } from './plan-record.js';
import { placed, planOf, reasonOf, type Situation } from './situation.js';
import { ToldRates } from './told-rates.js';

/** What the planner works with. */
export interface RingPlannerComponents {
  readonly port: RingPort;
  readonly engine: InferenceEngine;
  readonly clock: Clock;
  /** Who takes no layers is noted when that changes. @default nowhere */
  readonly log?: Logger;
  /** Absent: this node fetches nothing. */
  readonly downloads?: Pick<Downloads, 'fetchRate'> | undefined;
}

/** Of an answer whose length nobody bounds. */
const USUAL_TOKENS = 512;
/** Beyond it, a cache that may never be filled would keep a model out of memory that it fits. */
const RESERVED_TOKENS_MAX = 2_048;

/** The planner of one node. */
export class RingPlanner {
  readonly #parts: RingPlannerComponents;
  /** What was said of the last answers. */
  readonly record = new PlanRecord();
  readonly #book: OfferBook;
  readonly #rings: ChosenRings;
  /** Why this node itself takes no layers, by model. */
  readonly #ownFaults = new BoundedMap<string, ExoError>(LIMITS.ringsRemembered);
  readonly #stopping = new AbortController();
  #answering = 0;

  constructor(components: RingPlannerComponents) {
    this.#parts = components;
    this.#rings = new ChosenRings(components.log);
    this.#book = new OfferBook({
      ...components,
      owner: this.#stopping.signal,
      own: (model, mayFetch, signal) => this.#ownOffer(model, mayFetch, signal),
    });
  }

  /**
   * Has this node measured for a model before somebody waits for it; the first time takes longer than others wait for an offer.
   * Never rejects.
   */
  async warm(modelId: string): Promise<void> {
    const { engine, port } = this.#parts;
    const { signal } = this.#stopping;
    const model = engine.models.list().find(({ id, ready }) => id === modelId && ready);
    if (model === undefined || signal.aborted) return;
    await this.#book
      .offers(model, [port.selfId], { isFresh: true, mayFetch: true, waitMs: LIMITS.offerWaitMs }, signal)
      .catch(() => undefined);
  }

  /** Ends what is being asked and measured; who waits for a plan is told. Idempotent. */
  stop(): void {
    this.#stopping.abort(new ExoError('request-cancelled', 'the node stops'));
  }

  /** 0x72. Throws `overloaded`. */
  async onOffer(message: OfferRequest, from: string | null, signal: AbortSignal): Promise<OfferResponse> {
    if (this.#answering >= LIMITS.offersInFlight) {
      throw new ExoError('overloaded', 'too many questions for offers are being answered', {
        retryable: true,
      });
    }
    const isTrusted = from !== null && this.#parts.port.isTrusted(from);
    const question = { ...message, mayFetch: message.mayFetch !== false && isTrusted };
    // What takes longer is given up, whoever asked.
    const deadline = { clock: this.#parts.clock, timeoutMs: LIMITS.ownOfferMs, owner: signal };
    return withDeadline(deadline, (inner) => {
      const offer = makeOffer(this.#offerParts(), question, inner);
      this.#answering += 1;
      // One that was given up may hang at a dead disk, and holds what it holds.
      const done = () => {
        this.#answering -= 1;
      };
      offer.then(done, done);
      return offer;
    });
  }

  /**
   * The ring for an attempt, as the mesh is now. Throws `placement-invalid` (it can never be), `out-of-memory`, `ring-incomplete` (not
   * with the nodes that are there), what keeps this node from computing the model where no other can, or the signal's reason. It takes
   * no longer than the slowest offer: `LIMITS.offerWaitMs` of the others (where no ring goes without one of them, `LIMITS.offerPatienceMs`),
   * `LIMITS.ownOfferMs` of this node.
   */
  async plan(question: PlanQuestion): Promise<RingPlan> {
    return untilAnyAborted([question.signal, this.#stopping.signal], (signal) =>
      this.#plan(question, signal),
    );
  }

  async #plan(question: PlanQuestion, signal: AbortSignal): Promise<RingPlan> {
    const mesh = this.#parts.port.mesh();
    if (mesh.hasOldPeer) {
      return { reason: 'an old peer is in the mesh: by memory, as it computes it itself', outsiders: [] };
    }
    const { model, placement } = question;
    if (placement.kind === 'manual') {
      const fault = ringFault(placement.ranges, model);
      if (fault !== undefined) {
        throw new ExoError('placement-invalid', `the layers do not make a ring: ${fault}`);
      }
      // Before anybody is asked for an offer, which takes long on a busy machine: who is not there does not come by it.
      assertPlaced(mesh, placement.ranges);
    }
    const plan = await this.#planWithoutSilent(mesh, question, signal);
    if (question.isTrial !== true) this.#rings.note(model.id, plan);
    return plan;
  }

  /** Whoever is silent when a ring broke would be waited for in vain. Where nobody else can hold its layers, it is asked all the same. */
  async #planWithoutSilent(mesh: MeshNow, question: PlanQuestion, signal: AbortSignal): Promise<RingPlan> {
    const { port } = this.#parts;
    const silent = question.isRetry ? mesh.present.filter((id) => port.isSilent(id)) : [];
    if (silent.length > 0) {
      try {
        return this.#decide(await this.#situation(mesh, question, silent, LIMITS.offerWaitMs, signal));
      } catch (error) {
        if (question.isTrial === true || signal.aborted) throw error;
      }
    }
    return this.#planPatiently(mesh, question, signal);
  }

  /** Who has not said in time what it offers is left out, unless nothing goes without: then it has more time. */
  async #planPatiently(mesh: MeshNow, question: PlanQuestion, signal: AbortSignal): Promise<RingPlan> {
    const situation = await this.#situation(mesh, question, [], LIMITS.offerWaitMs, signal);
    try {
      return this.#decide(situation);
    } catch (error) {
      const someAreLate = situation.outsiders.some(({ isLate }) => isLate === true);
      const someLearn = situation.outsiders.some(({ isLearning }) => isLearning === true);
      if (signal.aborted || !someAreLate || (question.isRetry && !someLearn)) throw error;
      return this.#decide(await this.#situation(mesh, question, [], LIMITS.offerPatienceMs, signal));
    }
  }

  #decide(situation: Situation): RingPlan {
    return withAside(this.#place(situation), situation.aside);
  }

  #place(situation: Situation): RingPlan {
    const { question, choice } = situation;
    const { placement } = question;
    switch (placement.kind) {
      case 'manual':
        return this.#named(situation, placement.ranges);
      case 'solo':
        return this.#solo(situation, placement.nodeId);
      case 'split':
        return this.#split(situation);
      default:
        return choice.nodes.length === 0
          ? this.#byMemory(situation, 'nothing is measured')
          : this.#best(situation);
    }
  }

  #best(situation: Situation): RingPlan {
    const { question, choice, outsiders } = situation;
    const chosen = chooseRing(choice);
    if (chosen === undefined) throw noRoom(question.model, choice, outsiders);
    return planOf(situation, chosen, reasonOf(chosen, choice));
  }

  #split(situation: Situation): RingPlan {
    const { question, choice, outsiders } = situation;
    const plan = this.#byMemory(situation, 'split over all that can');
    if (choice.nodes.length === 0 || plan.ring === undefined) return plan;
    const places = placed(choice, placesOf(plan.ring));
    const positions = reservedPositions(choice.workload);
    if (places?.every(({ node, start, end }) => node.fits(start, end, positions)) === true) {
      return planOf(situation, valued(choice, places), plan.reason);
    }
    // Their memories are not what they have free now.
    const order = choice.nodes.filter(({ nodeId }) => plan.ring?.some((member) => member.nodeId === nodeId));
    const shares = order.map(({ offer }) => offer.memoryBytes);
    const shared = order.length === 0 ? undefined : shareInOrder(order, shares, positions);
    if (shared === undefined) throw noRoom(question.model, choice, outsiders);
    return planOf(situation, valued(choice, shared), 'split over all that can, by their free memory');
  }

  #solo(situation: Situation, named: string | undefined): RingPlan {
    const { question, choice, outsiders } = situation;
    const { model } = question;
    const { selfId } = this.#parts.port;
    if (named === undefined && choice.nodes.length > 0) {
      const rings = choice.nodes.flatMap((node) => soloRing(choice, node) ?? []);
      const [best] = rings.sort((a, b) => a.costMs - b.costMs);
      if (best === undefined) throw noRoom(model, choice, outsiders);
      return planOf(
        situation,
        best,
        `all layers on ${best.places[0]!.node.nodeId}: the fastest that can hold them`,
      );
    }
    const nodeId = named ?? selfId;
    return this.#named(situation, [{ nodeId, startLayer: 0, endLayer: model.layers - 1 }]);
  }

  /** Ranges that somebody asked for by name. */
  #named(situation: Situation, ranges: readonly PlacedRange[]): RingPlan {
    const { mesh, question, choice, outsiders } = situation;
    const { model } = question;
    assertPresent(
      mesh,
      ranges.map(({ nodeId }) => nodeId),
    );
    for (const { nodeId } of ranges) {
      const refusal = outsiders.find(({ id }) => id === nodeId);
      if (refusal !== undefined) throw this.#cannot(model, [refusal]);
    }
    const reason = 'as asked for';
    const places = placed(choice, ranges);
    if (places === undefined) return { ring: ringOf(ranges, model), reason, outsiders };
    const positions = reservedPositions(choice.workload);
    const full = places.find(({ node, start, end }) => !node.fits(start, end, positions));
    if (full !== undefined) throw tooLarge(full, positions);
    return planOf(situation, valued(choice, places), reason);
  }

  /** The original's ring, of those that can compute the model. */
  #byMemory({ question, outsiders }: Situation, why: string): RingPlan {
    const { model } = question;
    const { port } = this.#parts;
    const without = new Set(outsiders.map(({ id }) => id));
    if (without.size > 0 && port.mesh().present.every((id) => without.has(id)))
      throw this.#cannot(model, outsiders);
    const ring = port.ring(model.id, model.layers, without);
    const reason = `${why}: by memory`;
    return ring.length > LIMITS.ringMembersMax ? { reason, outsiders } : { ring, reason, outsiders };
  }

  /** What keeps this node from it says more than that nobody can. */
  #cannot(model: ModelEntry, outsiders: readonly Outsider[]): ExoError {
    const isOwn = outsiders.some(({ id }) => id === this.#parts.port.selfId);
    const own = isOwn ? this.#ownFaults.get(model.id) : undefined;
    return own ?? cannot(model, outsiders);
  }

  async #situation(
    mesh: MeshNow,
    question: PlanQuestion,
    silent: readonly string[],
    waitMs: number,
    signal: AbortSignal,
  ): Promise<Situation> {
    const { port } = this.#parts;
    const { model, promptTokens, maxTokens, isRetry, mayFetch = true } = question;
    const reached = mesh.present.filter(
      (id) => id === port.selfId || (port.isConnected(id) && !silent.includes(id)),
    );
    const offers = await this.#book.offers(model, reached, { isFresh: isRetry, mayFetch, waitMs }, signal);
    const outsiders: Outsider[] = silent.map((id) => ({ id, reason: 'has fallen silent' }));
    const nodes: NodeCosts[] = [];
    const stored = [...offers.values()].flatMap((offer) => offer.stored);
    const told = new ToldRates(offers);
    for (const [id, offer] of offers) {
      if (offer.reason !== undefined) {
        const late = this.#book.isLate(offer) ? ({ isLate: true } as const) : {};
        const learning = this.#book.isLearning(offer) ? ({ isLearning: true } as const) : {};
        outsiders.push({ id, reason: offer.reason, ...late, ...learning });
      } else if (isMeasured(offer))
        nodes.push(new NodeCosts(id, offer, stored, this.record.loads.of(model.id, id, told.loadBytesPerS)));
    }
    const answerTokens = Math.min(maxTokens ?? USUAL_TOKENS, RESERVED_TOKENS_MAX);
    const previous = this.#rings.of(model.id);
    const choice: Choice = {
      nodes,
      workload: { promptTokens, answerTokens, stepMs: this.record.steps.of(model.id, told.stepMs) },
      entryId: port.selfId,
      paths: new Paths(port.selfId, offers),
      isLinked: (one, two) => mesh.isLinked(one, two),
      ...(previous === undefined ? {} : { previous }),
    };
    return { mesh, question, outsiders, aside: asideOf(port, mesh, offers), choice };
  }

  async #ownOffer(model: ModelEntry, mayFetch: boolean, signal: AbortSignal): Promise<OfferResponse> {
    try {
      const offer = await tryOffer(
        this.#offerParts(),
        { modelId: model.id, nLayers: model.layers, mayFetch },
        signal,
      );
      this.#ownFaults.delete(model.id);
      return offer;
    } catch (error) {
      const fault = ownFault(error, signal);
      this.#ownFaults.set(model.id, fault);
      return noOffer(this.#parts.engine.name, fault.message);
    }
  }

  #offerParts() {
    const { engine, clock, port, downloads } = this.#parts;
    return {
      ...{ engine, clock, downloads },
      paths: () => port.paths(),
      measurePaths: () => port.measurePaths(),
      learnt: (modelId: string) => this.record.learnt(modelId),
    };
  }
}
