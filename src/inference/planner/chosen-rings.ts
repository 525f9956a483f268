/** The rings that were chosen last, by model: the next one stays with it where that is no worse, and the log says when others are left out. */
import { BoundedMap, LIMITS, type Logger } from '../../shared/index.js';
import type { PlacedRange } from '../placement.js';
import { placesOf } from '../ring/index.js';
import type { RingPlan } from './plan.js';

/** Of one entry node. */
export class ChosenRings {
  readonly #rings = new BoundedMap<string, readonly PlacedRange[]>(LIMITS.ringsRemembered);
  /** And without whom. */
  readonly #without = new BoundedMap<string, string>(LIMITS.ringsRemembered);
  readonly #log: Logger | undefined;

  constructor(log: Logger | undefined) {
    this.#log = log;
  }

  /** Where a model was computed last. */
  of(model: string): readonly PlacedRange[] | undefined {
    return this.#rings.get(model);
  }

  /** Nothing happens where each node sees to its ring itself. */
  note(model: string, { ring, outsiders }: RingPlan): void {
    if (ring === undefined) return;
    this.#rings.set(model, placesOf(ring));
    const without = outsiders.map(({ id, reason }) => `${id}: ${reason}`).join('; ');
    if (without !== (this.#without.get(model) ?? '')) {
      this.#log?.info('ring-members', { model, members: ring.map(({ nodeId }) => nodeId), without });
    }
    this.#without.set(model, without);
  }
}
