/** What an endpoint is, and what every endpoint gets. */
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { Mesh } from '../node/index.js';
import type { Clock, Logger, Sheds } from '../shared/index.js';
import type { Access } from './access.js';
import type { LoopDelay } from './loop-delay.js';
import type { ApiGauges, ApiTrust, ChatService, ModelFilesService } from './ports.js';
import type { BearerTokens } from './tokens.js';

/** One request as hono shows it, with Node's own objects in `env`. */
export type ApiRequest = Context<{ Bindings: HttpBindings }>;

/** One endpoint under one or more paths. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly paths: readonly string[];
  /** Who may use it. */
  readonly access: Access;
  handle(request: ApiRequest): Response | Promise<Response>;
}

/** What the endpoints work with. */
export interface ApiContext {
  readonly mesh: Mesh;
  readonly chat: ChatService;
  /** Undefined: the models here have no files. */
  readonly downloads: ModelFilesService | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** Stops the node; called after the answer has left. */
  readonly quit: () => void;
  readonly tokens: BearerTokens;
  readonly trust: ApiTrust;
  readonly gauges: ApiGauges;
  /** What was turned away, here and by the node. */
  readonly sheds: Sheds;
  readonly loopDelay: LoopDelay;
  /** Open HTTP connections. */
  readonly httpConnections: () => number;
  readonly responseTimeoutMs: number;
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal;
}
