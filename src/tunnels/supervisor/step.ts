/** What the parts of one supervisor share while a step is made: the time, the chance, and the list of what is to be done. */
import type { SupervisorAction } from './supervisor-events.js';

/** One per supervisor. */
export class Step {
  /** `clock.now()` of this step. */
  nowMs = 0;
  /** Uniform in [0, 1). */
  chance = 0;
  #actions: SupervisorAction[] = [];
  #number = 0;

  begin(nowMs: number, chance: number): void {
    this.nowMs = nowMs;
    this.chance = chance;
    this.#actions = [];
  }

  ask(action: SupervisorAction): void {
    this.#actions.push(action);
  }

  /** A number that was never given: a late answer to an old one is known by it. */
  number(): number {
    this.#number += 1;
    return this.#number;
  }

  end(): SupervisorAction[] {
    return this.#actions;
  }
}
