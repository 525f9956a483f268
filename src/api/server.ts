/**
 * The HTTP server of a node: OpenAI's endpoints, the mesh for programs and for the page, and control for the
 * owner. `node/node.ts`'s caller (the CLI) starts it beside the node.
 */
import { hostname, networkInterfaces } from 'node:os';
import { getRequestListener } from '@hono/node-server';
import type { Mesh } from '../node/index.js';
import {
  type Address,
  type Clock,
  ExoError,
  formatAddress,
  isLoopback,
  type Logger,
  type Startable,
} from '../shared/index.js';
import { createApp, toResponse } from './app.js';
import type { GuardOptions } from './guard.js';
import { HTTP_TIMEOUTS, HttpListener, type HttpTimeouts } from './listener.js';
import { HttpError } from './openai-errors.js';
import type { ChatService } from './ports.js';

/** How the server is set up. */
export interface ApiServerOptions {
  /** `--chatgpt-api-host`. */
  readonly host: string;
  /** `--chatgpt-api-port`; 0 takes any. */
  readonly port: number;
  /** `--chatgpt-api-response-timeout`, in milliseconds. */
  readonly responseTimeoutMs: number;
  /** Secret of the run file: who sends it is the owner. */
  readonly ownerToken: string;
  /** Further names under which this server is reached. @default none */
  readonly allowedHosts?: readonly string[];
  /** @default HTTP_TIMEOUTS */
  readonly timeouts?: HttpTimeouts;
}

/** What the server works with. */
export interface ApiServerComponents {
  readonly mesh: Mesh;
  readonly chat: ChatService;
  readonly clock: Clock;
  readonly log: Logger;
  /** Stops the node (POST /quit). */
  quit(): void;
}

/** A running API. */
export interface ApiServer extends Startable {
  /** The bound address, with a real port; valid after start. */
  readonly address: Address;
}

/** The API server of one node. `start` rejects with `port-in-use` or `option-invalid`. */
export function createApiServer(options: ApiServerOptions, components: ApiServerComponents): ApiServer {
  return new HttpApiServer(options, components);
}

class HttpApiServer implements ApiServer {
  readonly #options: ApiServerOptions;
  readonly #components: ApiServerComponents;
  #listener: HttpListener | undefined;
  #stopping: AbortController | undefined;
  #stopped: Promise<void> | undefined;
  #port: number;

  constructor(options: ApiServerOptions, components: ApiServerComponents) {
    this.#options = options;
    this.#components = components;
    this.#port = options.port;
  }

  get address(): Address {
    return { host: this.#options.host, port: this.#port };
  }

  async start(): Promise<void> {
    if (this.#listener !== undefined) return;
    const options = this.#options;
    const components = this.#components;
    const stopping = new AbortController();
    const app = createApp(
      {
        mesh: components.mesh,
        chat: components.chat,
        clock: components.clock,
        log: components.log,
        quit: () => components.quit(),
        ownerToken: options.ownerToken,
        responseTimeoutMs: options.responseTimeoutMs,
        stopping: stopping.signal,
      },
      () => this.#guard(),
    );
    const onRequest = getRequestListener(app.fetch, {
      overrideGlobalObjects: false,
      errorHandler: () =>
        toResponse(new HttpError('http-invalid', 'the request has a Host or URL that is not valid')),
    });
    const listener = new HttpListener(options.timeouts ?? HTTP_TIMEOUTS, {
      clock: components.clock,
      log: components.log,
      onRequest: (incoming, outgoing) => {
        for (const [name, value] of Object.entries(EVERY_ANSWER)) outgoing.setHeader(name, value);
        void onRequest(incoming, outgoing);
      },
    });
    this.#port = await listener.listen(options.host, options.port);
    this.#listener = listener;
    this.#stopping = stopping;
    this.#stopped = undefined;
    const open = !isLoopback(options.host);
    components.log.info('api-listening', {
      address: formatAddress(this.address),
      access: open ? 'this machine; others with the token of the run file' : 'this machine only',
    });
  }

  /** Ends running answers with an error that says so, then all connections. */
  stop(): Promise<void> {
    const listener = this.#listener;
    if (listener === undefined) return Promise.resolve();
    this.#stopped ??= (async () => {
      this.#stopping?.abort(new ExoError('request-cancelled', 'this node is stopping; ask another one'));
      await listener.close();
      this.#listener = undefined;
    })();
    return this.#stopped;
  }

  #guard(): GuardOptions {
    const { host, allowedHosts, ownerToken } = this.#options;
    return { host, port: this.#port, allowedHosts: allowedHosts ?? [], ownerToken, machineHosts };
  }
}

/** Headers of every answer. */
const EVERY_ANSWER: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  vary: 'Origin',
};

/** Every name and address under which this machine may be meant. */
function machineHosts(): string[] {
  const name = hostname();
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return [name, `${name}.local`, ...addresses.map(({ address }) => address.split('%', 1)[0] ?? address)];
}
