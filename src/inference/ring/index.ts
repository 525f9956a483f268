/** The ring: the requests that this node computes its shard for, and the port to the mesh by which they travel. */
export { ActiveNode } from './active-node.js';
export { NoEntrance } from './entrance.js';
export { ResultOrder } from './result-order.js';
export { Ring } from './ring.js';
export { resultError, ringError } from './ring-errors.js';
export type { LocalPrompt, RingComponents, RingOptions } from './ring-options.js';
export { placesOf, ringFault, ringOf } from './ring-plan.js';
export type { MeshNow, RingMember, RingPort } from './ring-port.js';
export type { RingClient } from './ring-request.js';
