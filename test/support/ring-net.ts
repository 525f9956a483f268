/**
 * Rings in one process: every node is a real `Ring` with real `Generations`, the mesh between them is this file. Messages
 * take random times on virtual time, in order on each link; the bytes of a tensor turn to garbage when its handler has
 * answered, as those of a connection do. Members named in `legacy` are `LegacyMember`s.
 */
import {
  ActiveNode,
  createEngine,
  Generations,
  type GenerationsOptions,
  type InferenceEngine,
  Ring,
  type RingMember,
  type RingOptions,
  RingPlanner,
  type RingPort,
} from '../../src/inference/index.js';
import type {
  Message,
  OfferRequest,
  OfferResponse,
  Prompt,
  Result,
  TensorRequest,
} from '../../src/protocol/index.js';
import {
  ExoError,
  type Random,
  randomInt,
  seededRandom,
  silentLogger,
  toExoError,
  VirtualClock,
} from '../../src/shared/index.js';
import { LegacyMember } from './legacy-member.js';

export interface RingNetOptions {
  /** Ids in ring order. */
  readonly ids: readonly string[];
  readonly legacy?: readonly string[];
  /** Tokens that an old member makes of a prompt. @default 1, as ours */
  readonly legacyPromptTokens?: number;
  /** Ids that hold no layer. */
  readonly outside?: readonly string[];
  /** Pairs of ids with a connection. @default every node with every other */
  readonly links?: ReadonlyArray<readonly [string, string]>;
  /** What the nodes say of the mesh. @default true */
  readonly steady?: boolean;
  readonly seed?: number;
  /** @default the dummy engine */
  readonly engine?: (id: string) => InferenceEngine;
  readonly ring?: Partial<RingOptions>;
  readonly generations?: Partial<GenerationsOptions>;
  /** False: entry nodes tell nobody of the ring, as where an old peer is in the mesh. @default true */
  readonly told?: boolean;
  /** Results may overtake each other. */
  readonly reorder?: boolean;
}

export interface RingNode {
  readonly id: string;
  readonly ring: Ring;
  readonly generations: Generations;
  readonly planner: Pick<RingPlanner, 'plan' | 'onOffer' | 'record'>;
  readonly engine: InferenceEngine;
  readonly activeNode: ActiveNode;
}

/** What travelled, for tests that look. */
export interface Sent {
  readonly from: string;
  readonly to: string;
  readonly message: Message;
}

export class RingNet {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly sent: Sent[] = [];
  readonly #options: RingNetOptions;
  readonly #nodes = new Map<string, RingNode>();
  readonly #legacy = new Map<string, LegacyMember>();
  readonly #lost = new Set<string>();
  /** Pairs whose connection is gone, as `a-b` and `b-a`. */
  readonly #parted = new Set<string>();
  /** `from>to` to the time at which the last message on it arrives. */
  readonly #lastMs = new Map<string, number>();
  /** Changes what a node sees as the ring. */
  view: ((selfId: string, members: readonly RingMember[]) => readonly RingMember[]) | undefined;
  /** Called before a message is delivered; false drops it. */
  filter: ((sent: Sent) => boolean) | undefined;
  /** What a node's port says of peers that cannot compute at the moment. */
  away: ReadonlyArray<{ readonly nodeId: string; readonly reason: string }> = [];

  constructor(options: RingNetOptions) {
    this.#options = options;
    this.random = seededRandom(options.seed ?? 1);
    for (const id of options.ids) {
      if (options.legacy?.includes(id))
        this.#legacy.set(id, new LegacyMember(id, this, options.legacyPromptTokens));
      else this.#nodes.set(id, this.#makeNode(id));
    }
  }

  node(id: string): RingNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  nodes(): readonly RingNode[] {
    return [...this.#nodes.values()];
  }

  legacy(id: string): LegacyMember {
    const member = this.#legacy.get(id);
    if (member === undefined) throw new Error(`no legacy member ${id}`);
    return member;
  }

  /** Even shards over all members, in order. */
  members(modelId: string, layers: number, without?: ReadonlySet<string>): readonly RingMember[] {
    const { ids: all, outside } = this.#options;
    const ids = all.filter((id) => outside?.includes(id) !== true && without?.has(id) !== true);
    return ids.map((nodeId, place) => ({
      nodeId,
      shard: {
        modelId,
        startLayer: Math.floor((place * layers) / ids.length),
        endLayer: Math.floor(((place + 1) * layers) / ids.length) - 1,
        nLayers: layers,
      },
    }));
  }

  /** Ids of the nodes of this version that are there. */
  get here(): readonly string[] {
    return [...this.#nodes.keys()].filter((id) => !this.#lost.has(id));
  }

  /** Ids of all others that are there and connected with this one. */
  others(id: string): readonly string[] {
    return this.#options.ids.filter((other) => this.isConnected(id, other));
  }

  /** Whether messages pass between two nodes. */
  isConnected(one: string, two: string): boolean {
    if (one === two || this.#lost.has(one) || this.#lost.has(two)) return false;
    if (this.#parted.has(`${one}-${two}`)) return false;
    const { links, ids } = this.#options;
    if (links === undefined) return ids.includes(one) && ids.includes(two);
    return links.some(([a, b]) => (a === one && b === two) || (a === two && b === one));
  }

  /** The node is gone; the others hear of it. */
  lose(id: string): void {
    const others = this.others(id);
    this.#lost.add(id);
    for (const other of others) this.#nodes.get(other)?.ring.onPeerLost(id);
  }

  /** The path between two nodes is gone, and only the first one has noticed. */
  part(one: string, two: string): void {
    this.#parted.add(`${one}-${two}`).add(`${two}-${one}`);
    this.#nodes.get(one)?.ring.onPeerLost(two);
  }

  /** Passes virtual time until `work` is settled. Fails after ten virtual minutes. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isSettled = false;
    const done = work.finally(() => {
      isSettled = true;
    });
    done.catch(() => undefined);
    for (let step = 0; !isSettled && step < 120_000; step += 1) await this.clock.advance(5);
    if (!isSettled) throw new Error('the work did not settle within ten virtual minutes');
    return done;
  }

  async stop(): Promise<void> {
    for (const node of this.#nodes.values()) {
      await node.generations.stop();
      await this.run(node.ring.stop());
      await node.engine.stop();
    }
    // A lost node is not told that it is; what it sends at its end is still on its way.
    await this.clock.advance(20);
  }

  /** Delivers a message to its handler after a random time. Resolves with the answer; rejects as a connection does. */
  send(from: string, to: string, message: Message, signal?: AbortSignal): Promise<Message | undefined> {
    const link = `${from}>${to}`;
    const isResult = message.kind === 'result';
    const arrivalMs = this.clock.now() + randomInt(this.random, 1, 15);
    const free = this.#options.reorder === true && isResult;
    const atMs = free ? arrivalMs : Math.max(arrivalMs, this.#lastMs.get(link) ?? 0);
    if (!free) this.#lastMs.set(link, atMs);
    const wire = copyOf(message, this.#legacy.has(to) || this.#legacy.has(from));
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(new ExoError('request-cancelled', 'cancelled'));
      if (signal?.aborted) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      this.clock.after(atMs - this.clock.now(), () => {
        const sent = { from, to, message: wire };
        if (!this.isConnected(from, to)) {
          reject(new ExoError('connection-closed', 'closed'));
          return;
        }
        if (this.filter !== undefined && !this.filter(sent)) return;
        this.sent.push(sent);
        this.#handle(sent)
          .then(
            (answer) => this.clock.after(randomInt(this.random, 1, 5), () => resolve(answer)),
            // An error crosses the wire as code and message.
            (error) => {
              const { code, message: text, retryable } = toExoError(error);
              reject(new ExoError(code, text, { retryable }));
            },
          )
          .finally(() => {
            signal?.removeEventListener('abort', onAbort);
            if (wire.kind === 'tensor-request') wire.tensor.data.fill(0xff);
          });
      });
    });
  }

  async #handle({ from, to, message }: Sent): Promise<Message | undefined> {
    const legacy = this.#legacy.get(to);
    if (legacy !== undefined) return legacy.onMessage(message);
    const { ring, planner } = this.node(to);
    const signal = new AbortController().signal;
    // An old peer's connection is anonymous.
    const sender = this.#legacy.has(from) ? null : from;
    switch (message.kind) {
      case 'prompt':
        return ring.onPrompt(message, sender, signal);
      case 'tensor-request':
        try {
          return await ring.onTensor(message, sender, signal);
        } catch (error) {
          if (sender === null) return { kind: 'tensor-response', tensor: null };
          throw error;
        }
      case 'result':
        ring.onResult(message, sender);
        return undefined;
      case 'offer-request':
        return planner.onOffer(message, sender, signal);
      case 'opaque-status':
        ring.onStatus(message);
        return undefined;
      case 'cancel-request':
        ring.onCancel(message, from);
        return undefined;
      default:
        throw new Error(`no handler for ${message.kind}`);
    }
  }

  #makeNode(id: string): RingNode {
    const { clock, random } = this;
    const engine = this.#options.engine?.(id) ?? createEngine('dummy');
    const activeNode = new ActiveNode();
    const port = this.#makePort(id);
    const whole = new RingPlanner({ port, engine, clock });
    const isTold = this.#options.told !== false;
    const planner = {
      onOffer: whole.onOffer.bind(whole),
      record: whole.record,
      plan: isTold ? whole.plan.bind(whole) : async () => ({ reason: 'by each', outsiders: [] }),
    };
    const components = { engine, port, activeNode, clock, random, log: silentLogger };
    const timeouts = { responseTimeoutMs: 60_000 };
    const ring = new Ring(
      { maxGenerateTokens: 10_000, defaultTemperature: 0, ...timeouts, ...this.#options.ring },
      components,
    );
    const generations = new Generations(
      { ...timeouts, ...this.#options.generations },
      { ring, planner, engine, clock, random, log: silentLogger },
    );
    return { id, ring, generations, planner, engine, activeNode };
  }

  /** A member that has gone away says nothing. */
  async #askOffer(
    from: string,
    to: string,
    message: OfferRequest,
    waitMs: number,
    owner: AbortSignal,
  ): Promise<OfferResponse> {
    const abort = new AbortController();
    const timer = this.clock.after(waitMs, () => abort.abort());
    try {
      const answer = await this.send(from, to, message, AbortSignal.any([owner, abort.signal]));
      if (answer?.kind === 'offer-response') return answer;
      throw new Error('no offer');
    } catch (error) {
      throw abort.signal.aborted ? new ExoError('request-timeout', 'late') : error;
    } finally {
      timer.cancel();
    }
  }

  #makePort(selfId: string): RingPort {
    const notify = (to: string, message: Message) => {
      if (to === selfId) throw new Error(`${selfId} sends ${message.kind} to itself`);
      this.send(selfId, to, message).catch(() => undefined);
    };
    const request = async (to: string, message: Prompt | TensorRequest, signal: AbortSignal) => {
      if (to === selfId) throw new Error(`${selfId} sends ${message.kind} to itself`);
      if (!this.isConnected(selfId, to)) throw new ExoError('peer-unreachable', 'no connection');
      const sent = this.send(selfId, to, message, signal);
      // An old peer does not answer a prompt.
      if (this.#legacy.has(to) && message.kind === 'prompt') sent.catch(() => undefined);
      else await sent;
    };
    const broadcast = (message: Message) => {
      for (const id of this.others(selfId)) notify(id, message);
    };
    return {
      selfId,
      ring: (modelId, layers, without) => {
        const members = this.members(modelId, layers, without);
        return this.view?.(selfId, members) ?? members;
      },
      mesh: () => ({
        present: this.#options.ids.filter((id) => id === selfId || !this.#lost.has(id)),
        hasOldPeer: this.#legacy.size > 0,
        isLinked: (one, two) => this.isConnected(one, two),
      }),
      paths: () => this.others(selfId).map((nodeId) => ({ nodeId, rttMs: 15, bytesPerS: null })),
      measurePaths: async () => undefined,
      askOffer: (to, message, waitMs, signal) => this.#askOffer(selfId, to, message, waitMs, signal),
      isNew: (nodeId) => this.#nodes.has(nodeId) && this.isConnected(selfId, nodeId),
      isTrusted: () => false,
      isConnected: (nodeId) => this.isConnected(selfId, nodeId),
      away: () => this.away,
      isSilent: () => false,
      isSteady: () => this.#options.steady ?? true,
      sendPrompt: request,
      sendTensor: request,
      sendResult: notify,
      broadcastResult: (message: Result) => broadcast(message),
      broadcastStatus: broadcast,
      sendCancel: notify,
    };
  }
}

/** What arrives: own bytes, and between old and new only what the base form has. */
function copyOf(message: Message, isBase: boolean): Message {
  const copy =
    message.kind === 'tensor-request'
      ? { ...message, tensor: { ...message.tensor, data: Buffer.from(message.tensor.data) } }
      : { ...message };
  if (!isBase) return copy;
  const base = { ...copy } as Record<string, unknown>;
  for (const field of ['origin', 'error', 'index', 'tokens', 'first', 'more', 'logprobs']) delete base[field];
  return base as unknown as Message;
}
