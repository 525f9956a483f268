/**
 * Checkpoints on disk: what they are and where they come from. Reads configs, headers, tokenizers and templates, fetches
 * files; computes nothing. The engine takes architectures and places of tensors from here, the ring tokenizers.
 */
export type {
  Architecture,
  Family,
  LayerSpec,
  LayerWeights,
  RopeScheme,
  WeightRef,
} from './architecture/architecture.js';
export { type ArchitectureOptions, readArchitecture } from './architecture/config.js';
export type { MlxQuantization, TensorEntry, WeightType } from './architecture/tensor-entry.js';
export { layerShapes, type WantedTensor, wantedTensors } from './architecture/weight-shapes.js';
export {
  type CatalogueModel,
  catalogue,
  catalogueModel,
  isRepository,
  type ModelReference,
  resolveReference,
  searchCatalogue,
  shortNameOf,
} from './catalogue/catalogue.js';
export { CHECKPOINT_FILE, Checkpoint } from './checkpoint/checkpoint.js';
export { CHECKPOINT_INDEX, parseCheckpointIndex } from './checkpoint/checkpoint-index.js';
export {
  parseSafetensorsHeader,
  readSafetensors,
  SAFETENSORS_LENGTH_BYTES,
  type SafetensorsEntry,
  type SafetensorsFile,
  type SafetensorsType,
  safetensorsHeaderBytes,
} from './checkpoint/safetensors.js';
export { DEMO_DIRECTORY } from './demo-directory.js';
export { downloadModel } from './download/download.js';
export type { FetchSource } from './download/fetch-rates.js';
export {
  type FetchesComponents,
  type FetchesOptions,
  ModelFetches,
  type Wanted,
} from './download/fetches.js';
export { isNeeded, type LayerRange, layersOf, smallFiles } from './download/plan.js';
export { type DownloadProgress, type FileProgress, repoProgressEvent } from './download/progress.js';
export type { DownloadComponents, Downloaded, DownloadRequest } from './download/request.js';
export { Retries } from './download/retry.js';
export type { FileHash, FoundModel, ModelFile } from './hub/answer.js';
export { type ByteSource, DEFAULT_ENDPOINT, Hub, type HubOptions, type SourceBody } from './hub/hub.js';
export { readHubToken } from './hub/token.js';
export { Claims } from './peers/claims.js';
export { FileServer } from './peers/file-server.js';
export type { PeerFiles } from './peers/peer-files.js';
export { PeerSource } from './peers/peer-source.js';
export { Sharing } from './peers/sharing.js';
export { type ModelPlace, modelPlaces, type PlaceOptions } from './store/places.js';
export type { RecordData } from './store/record.js';
export { ModelStore, type Removed, type StoredModel } from './store/store.js';
export { type ModelSurvey, surveyModel } from './store/survey.js';
export type { VerifiedFile } from './store/verify.js';
export { type WeightsOnDisk, weightsOnDisk } from './store/weights.js';
export type { TemplateMessage } from './tokenizer/template/chat-template.js';
export { openThreadedTokenizer, type ThreadedTokenizer } from './tokenizer/threaded-tokenizer.js';
export { type ModelTokenizer, openTokenizer, type TokenizerComponents } from './tokenizer/tokenizer.js';
