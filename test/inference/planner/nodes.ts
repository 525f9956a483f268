/** Nodes for tests of the planner: figures as machines have them, and nothing else. */

import type { Choice } from '../../../src/inference/planner/choose.js';
import { NodeCosts } from '../../../src/inference/planner/costs.js';
import { Paths } from '../../../src/inference/planner/paths.js';
import type { OfferResponse } from '../../../src/protocol/index.js';

export const GB = 1e9;

/** One node of a table. */
export interface TestNode {
  readonly id: string;
  readonly memoryGb: number;
  /** Weights that it reads in a second. */
  readonly gbPerS: number;
  readonly gigaMultiplyAddsPerS?: number;
  /** Layers that it has on disk. @default all */
  readonly stored?: ReadonlyArray<readonly [number, number]>;
  readonly fetchBytesPerS?: number;
  readonly peerFetchBytesPerS?: number;
}

/** A model of equal layers with a head as large as two of them. */
export interface TestModel {
  readonly layers: number;
  readonly layerGb: number;
}

export function offerOf(node: TestNode, model: TestModel): OfferResponse {
  const weightBytes = model.layerGb * GB;
  // 16-bit weights: two bytes for each multiply-add.
  const layer = { weightBytes, multiplyAdds: weightBytes / 2, cacheBytes: 4_096 };
  return {
    kind: 'offer-response',
    engine: 'ggml',
    memoryBytes: node.memoryGb * GB,
    bytesPerS: node.gbPerS * GB,
    multiplyAddsPerS: (node.gigaMultiplyAddsPerS ?? node.gbPerS * 10) * 1e9,
    layers: Array.from({ length: model.layers }, (_, index) =>
      index === model.layers - 1
        ? { ...layer, weightBytes: 3 * weightBytes, multiplyAdds: 3 * layer.multiplyAdds }
        : layer,
    ),
    stored: node.stored ?? [[0, model.layers - 1]],
    fetchBytesPerS: node.fetchBytesPerS ?? null,
    ...(node.peerFetchBytesPerS === undefined ? {} : { peerFetchBytesPerS: node.peerFetchBytesPerS }),
    paths: [],
  };
}

/** A choice among nodes with this round trip between each two; the first of them asks. */
export function choiceOf(
  nodes: readonly TestNode[],
  model: TestModel,
  rttMs: number | ((one: string, two: string) => number),
  more: Partial<Pick<Choice, 'previous' | 'workload'>> = {},
): Choice {
  const rtt = typeof rttMs === 'number' ? () => rttMs : rttMs;
  const offers = new Map(
    nodes.map((node) => [
      node.id,
      {
        ...offerOf(node, model),
        paths: nodes
          .filter(({ id }) => id !== node.id)
          .map(({ id }) => ({ nodeId: id, rttMs: rtt(node.id, id), bytesPerS: 100e6 })),
      },
    ]),
  );
  const stored = [...offers.values()].flatMap((offer) => offer.stored);
  return {
    nodes: nodes.map(({ id }) => new NodeCosts(id, offers.get(id)!, stored)),
    workload: { promptTokens: 100, answerTokens: 512, stepMs: 0.3 },
    entryId: nodes[0]!.id,
    paths: new Paths(nodes[0]!.id, offers),
    isLinked: () => true,
    ...more,
  };
}
