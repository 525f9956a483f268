/**
 * The models of a node whose engine computes real ones: which are on its disk (`disk-index.ts`), what they are called and what may
 * be fetched of them (`node-models.ts`), and what is told of their files (`downloads.ts`). Brings in the room of models with its
 * tokenizers and templates, sixty files that no other start should read: for its types only, or by `loadNodeModels` of the room.
 */
export type { NodeDownload } from './download-board.js';
export { Downloads, type DownloadsMesh } from './downloads.js';
export type { ModelOnDisk } from './inventory.js';
export { NodeModels, type NodeModelsComponents } from './node-models.js';
