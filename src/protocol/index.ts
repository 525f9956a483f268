/**
 * The wire: frames, messages, sessions and what carries them. docs/PROTOCOL.md is the norm.
 */
export type {
  CloseReason,
  Connection,
  ConnectionHandlers,
  ConnectionRole,
  ConnectionState,
  ConnectionStats,
  RequestOptions,
} from './connection-api.js';
export type { Feature, Hello } from './hello.js';
export * from './messages.js';
export type { DType, Tensor } from './tensor.js';
export type { ByteStream, Listener, Transport } from './transport.js';
