/**
 * What the planner said of the last answers, and what came of it: where each was computed, the predicted and the measured figures.
 * For `exo status --json`, metrics and whoever asks how good the predictions are. An answer that broke is not measured.
 */

import { LIMITS } from '../../shared/index.js';
import type { PlacedRange } from '../placement.js';
import { placesOf } from '../ring/index.js';
import { LoadTimes } from './load-times.js';
import type { RingPlan } from './plan.js';
import type { Outsider } from './plan-errors.js';
import type { Prediction } from './predict.js';
import { StepCosts } from './step-costs.js';
import type { LearntRates } from './told-rates.js';

/** One answer. */
export interface PlanNote {
  readonly requestId: string;
  readonly model: string;
  /** `clock.now()` when it was planned. */
  readonly atMs: number;
  /** Null: each node saw to its ring itself. */
  readonly ring: readonly PlacedRange[] | null;
  readonly reason: string;
  /** Nodes that took no layers, each with the reason. */
  readonly outsiders: readonly Outsider[];
  /** Null: nothing was measured to predict with. */
  readonly predicted: PlanFigures | null;
  /** Null: it is not finished, broke, or was too short. */
  readonly measured: PlanFigures | null;
}

/** How fast an answer is. */
export interface PlanFigures {
  readonly tokensPerS: number;
  readonly firstTokenMs: number;
}

/** How wrong a prediction was: predicted by measured, less 1. */
export interface PlanErrors {
  /** Of the tokens a second; above 0: it was slower than predicted. */
  readonly tokensPerSRatio: number;
  /** Of the time to the first token; above 0: it was there sooner. */
  readonly firstTokenRatio: number;
}

/** Of fewer tokens no rate is made. */
const TOKENS_MIN = 8;

/** Watches one attempt. */
export interface PlanWatch {
  /** A token has come. */
  token(nowMs: number): void;
  /** The answer is whole. Idempotent. */
  end(): void;
  /** The attempt is over, in whatever way. Idempotent. */
  close(): void;
}

/** The last answers of one node. */
export class PlanRecord {
  readonly #notes: PlanNote[] = [];
  /** What answers show of the cost of a step. */
  readonly steps = new StepCosts();
  /** And of the time to load weights. */
  readonly loads = new LoadTimes();
  /** Attempts under way. */
  readonly #running = new Set<{ isAlone: boolean }>();
  #errors: PlanErrors | undefined;

  /** What was learnt of a model here; for others, in the offers of this node. */
  learnt(model: string): LearntRates {
    const loadBytesPerS = this.loads.learnt(model);
    const stepMs = this.steps.learnt(model);
    return {
      ...(loadBytesPerS === undefined ? {} : { loadBytesPerS }),
      ...(stepMs === undefined ? {} : { stepMs }),
    };
  }

  /** Oldest first. */
  get notes(): readonly PlanNote[] {
    return this.#notes;
  }

  /** Of the last answer that was predicted and measured; undefined before there is one. */
  get lastErrors(): PlanErrors | undefined {
    return this.#errors;
  }

  /** An attempt begins. */
  begin(
    head: { readonly requestId: string; readonly model: string },
    plan: RingPlan,
    nowMs: number,
  ): PlanWatch {
    const { prediction, reason, ring, outsiders } = plan;
    const note: PlanNote = {
      ...head,
      atMs: nowMs,
      ring: ring === undefined ? null : placesOf(ring),
      reason,
      outsiders,
      predicted:
        prediction === undefined
          ? null
          : { tokensPerS: prediction.tokensPerS, firstTokenMs: prediction.firstTokenMs },
      measured: null,
    };
    this.#notes.push(note);
    if (this.#notes.length > LIMITS.plansKept) this.#notes.shift();
    const run = { isAlone: this.#running.size === 0 };
    for (const other of this.#running) other.isAlone = false;
    this.#running.add(run);
    let firstMs: number | undefined;
    let lastMs = nowMs;
    let tokens = 0;
    let isWhole = false;
    return {
      token: (atMs) => {
        if (firstMs === undefined) this.#began(note.model, plan, atMs - nowMs, run.isAlone);
        firstMs ??= atMs;
        lastMs = atMs;
        tokens += 1;
      },
      end: () => {
        if (isWhole || firstMs === undefined || tokens < TOKENS_MIN || lastMs <= firstMs) return;
        isWhole = true;
        const measured = {
          tokensPerS: (1_000 * (tokens - 1)) / (lastMs - firstMs),
          firstTokenMs: firstMs - nowMs,
        };
        this.#measured(note, measured);
        // Answers at once share the steps: none of them shows what one costs.
        if (run.isAlone && prediction !== undefined && ring !== undefined)
          this.#learn(note.model, ring.length, prediction, measured);
      },
      close: () => {
        this.#running.delete(run);
      },
    };
  }

  /** The first token is there: what computed it is loaded. */
  #began(model: string, { ring, prediction }: RingPlan, measuredMs: number, isAlone: boolean): void {
    if (ring === undefined) return;
    this.loads.used(model, placesOf(ring));
    // Files that came meanwhile, and answers at once, hide what the load took.
    if (prediction === undefined || prediction.fetchMs > 0 || !isAlone) return;
    const { loadMs, loadBytes, firstTokenMs: predictedMs } = prediction;
    this.loads.learn({ model, loadBytes, loadMs, predictedMs, measuredMs });
  }

  #learn(model: string, members: number, prediction: Prediction, measured: PlanFigures): void {
    this.steps.learn({
      ...{ model, members, stepsMs: prediction.stepsMs },
      predictedMs: 1_000 / prediction.tokensPerS,
      measuredMs: 1_000 / measured.tokensPerS,
    });
  }

  #measured(note: PlanNote, measured: PlanFigures): void {
    const index = this.#notes.indexOf(note);
    if (index >= 0) this.#notes[index] = { ...note, measured };
    if (note.predicted === null) return;
    this.#errors = {
      tokensPerSRatio: note.predicted.tokensPerS / measured.tokensPerS - 1,
      firstTokenRatio: note.predicted.firstTokenMs / Math.max(1, measured.firstTokenMs) - 1,
    };
  }
}
