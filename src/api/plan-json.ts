/** Where answers are computed, as JSON in snake_case. Pure. */
import { type PlanNote, type PlannedModel, type Prediction, placesOf } from '../inference/index.js';
import { ringToWire } from '../protocol/index.js';
import type { AnswerPlans } from './ports.js';

/** Version of the shape of `/v1/plan`. */
const PLAN_SCHEMA_VERSION = 1;

/** GET /v1/plan. */
export function planJson({ model, plan }: PlannedModel) {
  const { ring, reason, prediction, paths = [], outsiders } = plan;
  return {
    schema_version: PLAN_SCHEMA_VERSION,
    model,
    reason,
    /** Null: with an old peer in the mesh each node sees to it itself. */
    ring: ring === undefined ? null : ringToWire(placesOf(ring)),
    /** Null: nothing was measured to predict with. */
    predicted: prediction === undefined ? null : predictionJson(prediction),
    /** Those that the answer takes, in order. What was not measured is taken for slow. */
    paths: paths.map(({ from, to, rttMs, bytesPerS, isAssumed }) => ({
      from,
      to,
      rtt_ms: round3(rttMs),
      bytes_per_s: Math.round(bytesPerS),
      measured: !isAssumed,
    })),
    outsiders: outsiders.map(({ id, reason: why }) => ({ node_id: id, reason: why })),
  };
}

function predictionJson(prediction: Prediction) {
  const { tokensPerS, firstTokenMs, fetchMs, loadMs, isAssumed, isFetchAssumed, isLoadAssumed } = prediction;
  return {
    tokens_per_s: round3(tokensPerS),
    first_token_ms: round3(firstTokenMs),
    /** In the time to the first token. */
    fetch_ms: round3(fetchMs),
    /** In the time to the first token, too: weights that are not in memory yet. */
    load_ms: round3(loadMs),
    /** Paths between nodes were not measured, and taken for slow. */
    paths_assumed: isAssumed,
    /** The rate of fetching was not measured. */
    fetch_assumed: isFetchAssumed,
    /** How fast weights are loaded was not measured. */
    load_assumed: isLoadAssumed,
  };
}

/** The last answers of a node, oldest first. */
export function plansJson(plans: AnswerPlans | undefined) {
  return (plans?.notes ?? []).map(noteJson);
}

/** Nodes that took no layers of the model that was asked for last. */
export function outsidersJson(plans: AnswerPlans | undefined) {
  const last = plans?.notes.at(-1);
  if (last === undefined) return [];
  return last.outsiders.map(({ id, reason }) => ({ node_id: id, model: last.model, reason }));
}

function noteJson({ requestId, model, ring, reason, predicted, measured }: PlanNote) {
  const figures = (of: PlanNote['predicted']) =>
    of === null ? null : { tokens_per_s: round3(of.tokensPerS), first_token_ms: round3(of.firstTokenMs) };
  return {
    request_id: requestId,
    model,
    ring: ring === null ? null : ringToWire(ring),
    reason,
    predicted: figures(predicted),
    measured: figures(measured),
    /** Of the tokens a second: predicted by measured, less 1. */
    error_ratio:
      predicted === null || measured === null ? null : round3(predicted.tokensPerS / measured.tokensPerS - 1),
  };
}

function round3(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
