/**
 * Where an answer is computed: decides on the ring of each attempt, for the entry node. What is asked for (`placement.ts`)
 * meets who is there (`ring-port.ts`). With an old peer in the mesh nothing is decided: old peers compute their ring
 * themselves, and everybody does as they do. Called by `generation-attempts.ts`.
 */
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import type { ModelEntry } from '../models.js';
import type { PlacedRange, Placement } from '../placement.js';
import { ringError } from '../ring-errors.js';
import { ringFault, ringOf } from '../ring-plan.js';
import type { RingMember, RingPort } from '../ring-port.js';

/** What is to be computed. */
export interface PlanQuestion {
  readonly model: ModelEntry;
  readonly placement: Placement;
}

/** Where it is computed. */
export interface RingPlan {
  /** Told to the members; absent: each of them computes the ring by itself, as the original does. */
  readonly ring?: readonly RingMember[];
}

/** What the planner works with. */
export interface RingPlannerComponents {
  readonly port: RingPort;
}

/** The planner of one node. */
export class RingPlanner {
  readonly #parts: RingPlannerComponents;

  constructor(components: RingPlannerComponents) {
    this.#parts = components;
  }

  /**
   * The ring for an attempt, as the mesh is now. Throws `placement-invalid` (it can never be), or `ring-incomplete` (not with the nodes
   * that are there).
   */
  async plan({ model, placement }: PlanQuestion): Promise<RingPlan> {
    const { port } = this.#parts;
    if (port.hasOldPeer()) return {};
    switch (placement.kind) {
      case 'manual':
        return { ring: this.#manual(model, placement.ranges) };
      case 'solo':
        return { ring: this.#solo(model, placement.nodeId ?? port.selfId) };
      default: {
        const ring = port.ring(model.id, model.layers);
        return ring.length > LIMITS.ringMembersMax ? {} : { ring };
      }
    }
  }

  #solo(model: ModelEntry, nodeId: string): readonly RingMember[] {
    this.#assertPresent([nodeId]);
    return ringOf([{ nodeId, startLayer: 0, endLayer: model.layers - 1 }], model);
  }

  #manual(model: ModelEntry, ranges: readonly PlacedRange[]): readonly RingMember[] {
    const fault = ringFault(ranges, model);
    if (fault !== undefined)
      throw new ExoError('placement-invalid', `the layers do not make a ring: ${fault}`);
    this.#assertPresent(ranges.map(({ nodeId }) => nodeId));
    for (const [place, { nodeId }] of ranges.entries())
      this.#assertLinked(nodeId, ranges[place + 1] ?? ranges[0]);
    return ringOf(ranges, model);
  }

  #assertPresent(nodeIds: readonly string[]): void {
    const present = this.#parts.port.present();
    const missing = nodeIds.find((id) => !present.includes(id));
    if (missing === undefined) return;
    const known = present.map((id) => printable(id, 60)).join(', ');
    throw ringError(
      'ring-incomplete',
      `node ${printable(missing, 60)}, which is to hold layers, is not in the mesh; there are ${known}`,
    );
  }

  #assertLinked(nodeId: string, next: PlacedRange | undefined): void {
    const { port } = this.#parts;
    if (next === undefined || next.nodeId === nodeId || port.isLinked(nodeId, next.nodeId)) return;
    throw ringError(
      'ring-incomplete',
      `${printable(nodeId, 60)} and ${printable(next.nodeId, 60)} are to follow each other in the ring and have no connection`,
    );
  }
}
