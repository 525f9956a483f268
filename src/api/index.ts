/**
 * The HTTP API of a node. Only the CLI (which puts a node and its API together) and tests import this.
 */
export type { ErrorBody } from './openai-errors.js';
export type {
  ApiGauges,
  ApiTrust,
  ChatModel,
  ChatRequest,
  ChatService,
  ChatToken,
  EncodedChat,
  Generation,
  Invitation,
  Joined,
  KeySummary,
  ShownKey,
  SshAnswer,
  SshSession,
  SshSessions,
  TrustControl,
  TrustedNode,
} from './ports.js';
export {
  type ApiServer,
  type ApiServerComponents,
  type ApiServerOptions,
  createApiServer,
} from './server.js';
export { apiTokenOf } from './tokens.js';
export { invitationJson, joinedJson, keyJson, shownKeyJson, trustedJson } from './trust-json.js';
