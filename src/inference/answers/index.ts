/** Answers: a chat becomes a prompt, and the tokens that a ring sends become the client's text. On the node that serves the client. */
export type {
  Candidate,
  FinishReason,
  GeneratedLogprobs,
  GeneratedToken,
  Generation,
  GenerationResult,
} from './generation.js';
export {
  type AvailableModel,
  type EncodedChat,
  type GenerationRequest,
  Generations,
  type GenerationsComponents,
  type GenerationsOptions,
  type PlanAsked,
  type PlannedModel,
} from './generations.js';
