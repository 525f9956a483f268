/**
 * The wire: frames, messages, sessions and what carries them. docs/PROTOCOL.md is the norm.
 */
export { createConnection } from './connection.js';
export type {
  CloseReason,
  Connection,
  ConnectionHandlers,
  ConnectionRole,
  ConnectionState,
  ConnectionStats,
  RequestOptions,
} from './connection-api.js';
export * from './frame.js';
export { FrameDecoder, type FrameHead, type FrameSink } from './frame-decoder.js';
export {
  bfloat16ToNumber,
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  float16ToNumber,
  numberToBfloat16,
  numberToFloat16,
} from './half-float.js';
export type { Feature, Hello } from './hello.js';
export { readJson } from './json-reader.js';
export { LINK_PROFILES, type LinkName, type LinkProfile, linkProfile } from './link-profile.js';
export { type BudgetClass, MemoryBudget, type MemoryBudgetOptions } from './memory-budget.js';
export type { MemoryNetworkOptions, NetworkEvent } from './memory-fabric.js';
export { createMemoryNetwork, type MemoryNetwork } from './memory-transport.js';
export { MessageDecoder } from './message-decoder.js';
export { type EncodedBody, encodeBase, encodeCorrelated } from './message-encoder.js';
export * from './messages.js';
export { PayloadPool } from './payload-pool.js';
export { PythonFloat, type PythonJson, pythonJson, pythonString } from './python-json.js';
export { Session, type SessionHost, type SessionOptions } from './session.js';
export { createTcpTransport, type TcpTransportOptions } from './tcp-transport.js';
export type { DType, Tensor } from './tensor.js';
export { checkTensor, ITEM_BYTES, makeTensor, parseDType, tensorBytes } from './tensor-codec.js';
export type { ByteStream, Listener, Transport } from './transport.js';
export { PROTOCOL_VERSION } from './wire-shapes.js';
export {
  type ConnectionComponents,
  type ConnectionOptions,
  createWireShared,
  type WireShared,
} from './wire-shared.js';
