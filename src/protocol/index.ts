/**
 * The wire: frames, messages, sessions and what carries them. docs/PROTOCOL.md is the norm.
 */
export { ACCESS_OF_KIND, type AccessLevel, mayUse, reaches } from './access.js';
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
export { LINK_PROFILES, type LinkName, type LinkProfile, linkProfile } from './link-profile.js';
export { type BudgetClass, MemoryBudget, type MemoryBudgetOptions } from './memory-budget.js';
export type * from './messages/file-messages.js';
export {
  bfloat16ToNumber,
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  float16ToNumber,
  numberToBfloat16,
  numberToFloat16,
} from './messages/half-float.js';
export type { Feature, Hello } from './messages/hello.js';
export { readJson } from './messages/json-reader.js';
export { MessageDecoder } from './messages/message-decoder.js';
export { type EncodedBody, encodeBase, encodeCorrelated } from './messages/message-encoder.js';
export * from './messages/messages.js';
export type * from './messages/offer-messages.js';
export { PythonFloat, type PythonJson, pythonJson, pythonString } from './messages/python-json.js';
export type { DType, Tensor } from './messages/tensor.js';
export { checkTensor, ITEM_BYTES, makeTensor, parseDType, tensorBytes } from './messages/tensor-codec.js';
export { PROTOCOL_VERSION, ringToWire } from './messages/wire-shapes.js';
export { PayloadPool } from './payload-pool.js';
export { Session } from './session.js';
export type { SessionHost, SessionOptions } from './session-core.js';
export type { MemoryNetworkOptions, NetworkEvent } from './transports/memory-fabric.js';
export { createMemoryNetwork, type MemoryNetwork } from './transports/memory-transport.js';
export { createTcpTransport, type TcpTransportOptions } from './transports/tcp-transport.js';
export type { TlsCredentials } from './transports/tls-context.js';
export {
  createTlsTransport,
  type TlsComponents,
  type TlsTransportOptions,
} from './transports/tls-transport.js';
export type { ByteStream, DialOptions, Listener, Secured, Transport } from './transports/transport.js';
export {
  type ConnectionComponents,
  type ConnectionOptions,
  createWireShared,
  type WireShared,
} from './wire-shared.js';
