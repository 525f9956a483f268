/**
 * The HTTP API of a node. Only the CLI (which puts a node and its API together) and tests import this.
 */
export type { ErrorBody } from './openai-errors.js';
export type {
  ChatModel,
  ChatRequest,
  ChatService,
  ChatToken,
  EncodedChat,
  Generation,
} from './ports.js';
export {
  type ApiServer,
  type ApiServerComponents,
  type ApiServerOptions,
  createApiServer,
} from './server.js';
