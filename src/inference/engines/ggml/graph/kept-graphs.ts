/**
 * Graphs of the last steps, each with memory of its own for intermediate results: building one for four requests takes as long as a
 * tenth of its step, and the groups of requests that take turns in a ring would have it built for every step. Only of few tokens:
 * what a part of a prompt needs is large and seldom needed again, so there is one place for all of those. Called by `../shard.ts`.
 */
import type { Device, Pointer } from '../library/index.js';
import { buildStepGraph, type GraphSource, type StepGraph } from './step-graph.js';
import { type StepPart, shapeKey } from './step-shape.js';

/** Groups of requests that go around a ring; there are not more. */
export const GRAPHS_KEPT = 4;
/** Logits are most of what a graph of few tokens needs: 10 MB of so many, for 150,000 tokens each. */
const KEPT_TOKENS_MAX = 16;

interface Place {
  readonly allocator: Pointer;
  readonly key: string;
  readonly graph: StepGraph;
}

/** Graphs of one shard. */
export class KeptGraphs {
  readonly #device: Device;
  readonly #source: GraphSource;
  /** The one that was used last at the end. */
  readonly #small: Place[] = [];
  readonly #large: Place[] = [];

  constructor(device: Device, source: GraphSource) {
    this.#device = device;
    this.#source = source;
  }

  /** The graph for these parts, valid until the next call; their caches must have the room already. Throws `out-of-memory`. */
  get(parts: readonly StepPart[]): StepGraph {
    const key = shapeKey(parts);
    const tokens = parts.reduce((sum, { sequence }) => sum + sequence, 0);
    const [places, placesMax] = tokens > KEPT_TOKENS_MAX ? [this.#large, 1] : [this.#small, GRAPHS_KEPT];
    const at = places.findIndex((place) => place.key === key);
    const [known] = at === -1 ? [] : places.splice(at, 1);
    const place = known ?? this.#build(key, parts, places.length < placesMax ? undefined : places.shift());
    places.push(place);
    return place.graph;
  }

  close(): void {
    for (const place of [...this.#small.splice(0), ...this.#large.splice(0)]) {
      place.graph.close();
      this.#device.ggml.ggml_gallocr_free(place.allocator);
    }
  }

  /** @param before makes room, and leaves its memory */
  #build(key: string, parts: readonly StepPart[], before: Place | undefined): Place {
    const { ggml, bufferType } = this.#device;
    before?.graph.close();
    const allocator = before?.allocator ?? ggml.ggml_gallocr_new(bufferType);
    try {
      return { allocator, key, graph: buildStepGraph(this.#device, allocator, this.#source, parts) };
    } catch (error) {
      ggml.ggml_gallocr_free(allocator);
      throw error;
    }
  }
}
