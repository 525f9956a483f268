/**
 * The shape of the mesh: what this machine can do, which nodes and links there are, and which node holds which
 * layers. Pure but for the capability probe; connections, timers and messages are the node's.
 */
export {
  type CapabilityProbe,
  type ProbeOptions,
  probeCapabilities,
  type SystemReader,
} from './capabilities.js';
export { chipFlops } from './chips.js';
export { splitBySize } from './entry.js';
export { addRttSample, type RttEstimate } from './links.js';
export { assignShards, type Partition, partitionRing, ringOrder, type ShardAssignment } from './partition.js';
export { type Push, PushPlanner, type PushPlannerOptions } from './push-planner.js';
export type { ShownEdge } from './reach.js';
export { recipients } from './recipients.js';
export { type RingInput, type RingMembers, type RingOutsider, ringMembers } from './ring-members.js';
export { SyncGate } from './sync-gate.js';
export { type MergeResult, TopologyView, type Versions } from './view.js';
export type { ViewSnapshot } from './view-snapshot.js';
