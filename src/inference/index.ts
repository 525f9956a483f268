/**
 * Inference: a chat becomes a prompt, the prompt travels the ring of shards, tokens come back as text. `node` gives the
 * ring its port to the mesh and routes messages to it; `api` and `cli` start generations.
 */

export type {
  Candidate,
  FinishReason,
  GeneratedLogprobs,
  GeneratedToken,
  Generation,
  GenerationResult,
} from './answers/generation.js';
export {
  type AvailableModel,
  type EncodedChat,
  type GenerationRequest,
  Generations,
  type GenerationsComponents,
  type GenerationsOptions,
  type PlanAsked,
  type PlannedModel,
} from './answers/generations.js';
export type {
  ChatMessage,
  EngineInput,
  EngineProfile,
  ForwardRequest,
  ForwardResult,
  InferenceEngine,
  LayerCost,
  SampledToken,
  SamplingOptions,
  SamplingPlace,
  Tokenizer,
  TokenLogprob,
  TokenLogprobs,
} from './engine.js';
export { DUMMY_MODELS } from './engines/dummy.js';
export type { GgmlComponents, GgmlOptions, ModelFiles } from './engines/ggml/index.js';
export { canComputeGgml, ggmlDevices } from './engines/ggml/library/platform-package.js';
export { QUANTISATIONS, type Quantisation } from './engines/ggml/weights/quantisation.js';
export { createEngine, ENGINE_NAMES, type EngineName } from './engines/index.js';
export type { BoardEntry } from './node-models/download-board.js';
export type { Downloads, DownloadsMesh } from './node-models/downloads.js';
export {
  DEMO_MODEL,
  type EngineModels,
  FixedModels,
  type ModelEntry,
  meantModel,
  resolveModel,
} from './node-models/models.js';
export type { PlacedRange, Placement } from './placement.js';
export {
  type Outsider,
  type PlanErrors,
  type PlanFigures,
  type PlanNote,
  type PlanQuestion,
  PlanRecord,
  type Prediction,
  type RingPlan,
  RingPlanner,
  type RingPlannerComponents,
} from './planner/index.js';
export { ActiveNode } from './ring/active-node.js';
export { Ring } from './ring/ring.js';
export type { LocalPrompt, RingComponents, RingOptions } from './ring/ring-options.js';
export { placesOf, ringFault } from './ring/ring-plan.js';
export type { MeshNow, RingMember, RingPort } from './ring/ring-port.js';
export type { RingClient } from './ring/ring-request.js';
export type { RequestedSampling } from './sampling/sampling-state.js';

/** The parts of real models; loaded when they are needed. */
export const loadRealModels = () => import('./node-models/real-models.js');
