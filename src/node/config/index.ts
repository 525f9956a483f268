/**
 * The configuration of a node: options and environment, read, checked and turned into what `createNode` takes.
 * Apart from the node itself, so that the command line can refuse a bad option without loading it.
 */
export { parseLayerRanges } from './layer-ranges.js';
export { CONFIG_VARIABLES, type NodeSettings, nodeOptions, readConfig } from './read-config.js';
export type { ConfigNote } from './schema.js';
