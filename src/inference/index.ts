/**
 * Inference: a chat becomes a prompt, the prompt travels the ring of shards, tokens come back as text. `node` gives the
 * ring its port to the mesh and routes messages to it; `api` and `cli` start generations.
 */
export {
  type AvailableModel,
  type Candidate,
  type EncodedChat,
  type FinishReason,
  type GeneratedLogprobs,
  type GeneratedToken,
  type Generation,
  type GenerationRequest,
  type GenerationResult,
  Generations,
  type GenerationsComponents,
  type GenerationsOptions,
  type PlanAsked,
  type PlannedModel,
} from './answers/index.js';
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
export {
  DEMO_MODEL,
  type EngineModels,
  FixedModels,
  type ModelEntry,
  meantModel,
  resolveModel,
} from './engine-models.js';
export {
  canComputeGgml,
  createEngine,
  DUMMY_MODELS,
  ENGINE_NAMES,
  type EngineName,
  type GgmlComponents,
  type GgmlOptions,
  ggmlDevices,
  loadGgml,
  type ModelFiles,
  QUANTISATIONS,
  type Quantisation,
} from './engines/index.js';
export type { Downloads, DownloadsMesh, ModelOnDisk, NodeDownload } from './node-models/index.js';
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
export {
  ActiveNode,
  type LocalPrompt,
  type MeshNow,
  placesOf,
  Ring,
  type RingClient,
  type RingComponents,
  type RingMember,
  type RingOptions,
  type RingPort,
  ringFault,
} from './ring/index.js';
export type { RequestedSampling } from './sampling/index.js';

/** The models of a node with a real engine; loaded when they are needed. */
export const loadNodeModels = () => import('./node-models/index.js');
