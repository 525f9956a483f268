/**
 * The node: peers, membership, dialling, gossip and the routing of messages, put together in `node.ts`.
 * What the rooms above see is the `Mesh`.
 */

export { CONFIG_VARIABLES, type ConfigNote, type NodeSettings, nodeOptions, readConfig } from './config.js';
export { NODE_OPTIONS, type NodeOptionSpec, type OptionGroup, type RawOptions } from './config-options.js';
export { closest } from './config-values.js';
export { exoHome } from './home.js';
export { type NodeIdentity, takeIdentity } from './identity.js';
export type {
  GraphEdge,
  Mesh,
  MeshWarning,
  PeerState,
  PeerSummary,
  PingReply,
  SelfSummary,
  TopologySnapshot,
} from './mesh.js';
export { createNode, type Node, type NodeComponents, type NodeOptions } from './node.js';
export type { RunFile } from './run-claim.js';
export { listRunning, type RunRecord } from './run-file.js';
