/** The model that the demo's nodes answer with: the one that comes with the program, or the dummy where no engine of this machine computes it. */

import type { EngineName } from '../../inference/index.js';
import { canComputeGgml, DEMO_MODEL } from '../../inference/index.js';
import { Checkpoint, DEMO_DIRECTORY } from '../../models/index.js';
import { assignShards } from '../../topology/index.js';
import type { TopologyJson } from '../api-shapes.js';

/** What answers. */
export interface DemoModel {
  readonly engine: EngineName;
  /** Its name in requests. */
  readonly id: string;
  readonly layers: number;
}

const DUMMY: DemoModel = { engine: 'dummy', id: 'dummy', layers: 8 };

/** The dummy where the native libraries of this platform are not installed. */
export async function demoModel(signal: AbortSignal): Promise<DemoModel> {
  if (!canComputeGgml()) return DUMMY;
  const { architecture } = await Checkpoint.open(DEMO_DIRECTORY, signal);
  return { engine: 'ggml', id: DEMO_MODEL, layers: architecture.layers.length };
}

/** For people: which node computed which layers, in the order of the ring. */
export function whereItRan({ partitions }: TopologyJson, { engine, layers, id }: DemoModel): string {
  const ring = partitions.map(({ node_id, start, end }) => ({ nodeId: node_id, start, end }));
  const places = assignShards(ring, id, layers).map(
    ({ nodeId, shard }) => `${shard.startLayer}-${shard.endLayer} on ${nodeId}`,
  );
  const model =
    engine === 'dummy'
      ? 'the dummy model answers every question with its name'
      : `the model ${id} is small and knows only exo-mesh`;
  return `${model}; each token went through layers ${places.join(', then ')}`;
}
