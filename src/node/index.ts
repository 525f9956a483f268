/**
 * The node: peers, membership, dialling, gossip and the routing of messages, put together in `node.ts`.
 * What the rooms above see is the `Mesh`.
 */

export { type NodeSettings, nodeOptions, readConfig } from './config/index.js';
export { type NodeIdentity, type RunFile, takeIdentity } from './home/index.js';
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
export { createNode } from './node.js';
export { type NodeEngineParts, nodeEngine, nodeModels } from './node-engine.js';
export type { Node } from './node-handle.js';
export type { NodeComponents, NodeOptions } from './node-options.js';
export { type OpenedTrust, openNodeTrust } from './node-trust.js';
export { type DescribedTunnels, readTunnels, type TunnelFault } from './tunnel-config.js';
