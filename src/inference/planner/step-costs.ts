/**
 * What a step costs a member beside its layers: queues, the way to the engine's process and back, a token chosen. It is a
 * third of a millisecond on a machine that does nothing else and ten on a busy one, and for a small model all of the time: so it is
 * learnt from the answers that were computed, by model. What an engine's figures have wrong is learnt with it.
 */
import { BoundedMap, LIMITS } from '../../shared/index.js';

/** Of a member and a token, until an answer has shown it: what a hop is to cost at most. The bench measured 1.4 ms on a machine with two cores. */
const STEP_MS = 0.3;
const STEP_MS_MIN = 0.05;
/** Above it something else is wrong, and will pass. */
const STEP_MS_MAX = 100;
/** Half of what an answer shows: one that was disturbed is forgotten after a few. */
const GAIN = 0.5;

/** One answer that was computed alone. */
export interface LearntAnswer {
  readonly model: string;
  readonly members: number;
  /** Predicted of a token, in ms; `stepsMs` of it for the steps of all members. */
  readonly predictedMs: number;
  readonly stepsMs: number;
  readonly measuredMs: number;
}

/** Of one entry node, for itself and, in its offers, for others. */
export class StepCosts {
  readonly #ms = new BoundedMap<string, number>(LIMITS.ringsRemembered);

  /**
   * In ms, for each member of the ring and each token of an answer.
   * @param told what others have learnt, where one has
   */
  of(model: string, told?: number): number {
    const known = this.#ms.get(model) ?? told ?? STEP_MS;
    return Math.min(STEP_MS_MAX, Math.max(STEP_MS_MIN, known));
  }

  /** What answers of this node have shown. */
  learnt(model: string): number | undefined {
    return this.#ms.get(model);
  }

  learn({ model, members, predictedMs, stepsMs, measuredMs }: LearntAnswer): void {
    const shownMs = (measuredMs - (predictedMs - stepsMs)) / members;
    if (!Number.isFinite(shownMs)) return;
    const boundedMs = Math.min(STEP_MS_MAX, Math.max(STEP_MS_MIN, shownMs));
    const knownMs = this.of(model);
    this.#ms.set(model, knownMs + GAIN * (boundedMs - knownMs));
  }
}
