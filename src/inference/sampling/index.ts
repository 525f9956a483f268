/** Sampling: a token from logits, the same on every node for one seed, with what a request remembers of its answer. */
export { RequestSampler } from './request-sampler.js';
export { highestOf, sampleLogits } from './sampler.js';
export {
  historyFor,
  progressOf,
  type RequestedSampling,
  samplingState,
} from './sampling-state.js';
