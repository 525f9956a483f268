/**
 * The HTTP server of a node: OpenAI's endpoints, the mesh for programs and for the page, and control for the
 * owner. `node/node.ts`'s caller (the CLI) starts it beside the node.
 */
import { setMaxListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { hostname, networkInterfaces } from 'node:os';
import { getRequestListener } from '@hono/node-server';
import type { Mesh } from '../node/index.js';
import {
  type Address,
  type Clock,
  ExoError,
  formatAddress,
  isLoopback,
  LIMITS,
  type Logger,
  Sheds,
  type Startable,
} from '../shared/index.js';
import { createApp, toResponse } from './app.js';
import type { GuardOptions } from './guard.js';
import { HTTP_TIMEOUTS, HttpListener, type HttpTimeouts } from './listener.js';
import { LoopDelay } from './loop-delay.js';
import { errorAnswer, HttpError } from './openai-errors.js';
import type { ApiGauges, ApiTrust, ChatService, ModelFilesService } from './ports.js';
import { BearerTokens } from './tokens.js';

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
  /** The files of models. @default none: models that need none */
  readonly downloads?: ModelFilesService;
  readonly clock: Clock;
  readonly log: Logger;
  /** Who may use the API beside the owner. @default nobody */
  readonly trust?: ApiTrust;
  /** Where what is turned away is counted, by the node and here. @default its own */
  readonly sheds?: Sheds;
  /** Numbers that others count. @default none */
  readonly gauges?: ApiGauges;
  /** Stops the node (POST /quit). */
  quit(): void;
}

/** A running API. */
export interface ApiServer extends Startable {
  /** The bound address, with a real port; valid after `bind`. */
  readonly address: Address;
  /**
   * Takes the port before anything dials: an outgoing connection of this machine may get the very port from the system. Requests
   * wait until `start`, `LIMITS.httpStartingMs` at most, then they get 503. `start` does it where that has not been done.
   */
  bind(): Promise<void>;
}

/**
 * The API server of one node. `bind` and `start` reject with `port-in-use` or `option-invalid`, and with `option-missing` for
 * an address that others reach while nothing says who they may be.
 */
export function createApiServer(options: ApiServerOptions, components: ApiServerComponents): ApiServer {
  return new HttpApiServer(options, components);
}

/** What becomes of a question that has waited. */
type Answering = (outgoing: ServerResponse, answer: () => void) => void;

class HttpApiServer implements ApiServer {
  readonly #options: ApiServerOptions;
  readonly #components: ApiServerComponents;
  readonly #tokens: BearerTokens;
  readonly #sheds: Sheds;
  readonly #loopDelay: LoopDelay;
  #listener: HttpListener | undefined;
  #stopping: AbortController | undefined;
  #stopped: Promise<void> | undefined;
  #ready = false;
  /** End the wait of the questions that came before `start`. */
  readonly #held = new Set<(then: Answering) => void>();
  #port: number;

  constructor(options: ApiServerOptions, components: ApiServerComponents) {
    this.#options = options;
    this.#components = components;
    this.#tokens = new BearerTokens(options.ownerToken, components.trust);
    this.#sheds = components.sheds ?? new Sheds();
    this.#loopDelay = new LoopDelay(components.clock);
    this.#port = options.port;
  }

  get address(): Address {
    return { host: this.#options.host, port: this.#port };
  }

  async bind(): Promise<void> {
    if (this.#listener !== undefined) return;
    const options = this.#options;
    const components = this.#components;
    const { trust = {}, gauges = {} } = components;
    if (this.#isOpen && !this.#tokens.isConfigured) throw nobodyNamed(options.host);
    const stopping = new AbortController();
    // One for each answer that is being made: bounded by the connections, and no leak from the eleventh on.
    setMaxListeners(LIMITS.httpConnectionsMax, stopping.signal);
    const app = createApp(
      {
        mesh: components.mesh,
        chat: components.chat,
        downloads: components.downloads,
        clock: components.clock,
        log: components.log,
        quit: () => components.quit(),
        tokens: this.#tokens,
        trust,
        gauges,
        sheds: this.#sheds,
        loopDelay: this.#loopDelay,
        httpConnections: () => this.#listener?.connections ?? 0,
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
      sheds: this.#sheds,
      onRequest: (incoming, outgoing) => {
        for (const [name, value] of Object.entries(EVERY_ANSWER)) outgoing.setHeader(name, value);
        if (this.#ready) void onRequest(incoming, outgoing);
        else this.#hold(outgoing, () => void onRequest(incoming, outgoing));
      },
    });
    this.#port = await listener.listen(options.host, options.port);
    this.#listener = listener;
    this.#stopping = stopping;
    this.#stopped = undefined;
  }

  async start(): Promise<void> {
    if (this.#ready) return;
    await this.bind();
    this.#ready = true;
    for (const end of [...this.#held]) end((_, answer) => answer());
    this.#loopDelay.start();
    this.#components.log.info('api-listening', {
      address: formatAddress(this.address),
      access: this.#isOpen ? 'this machine; others with a token' : 'this machine only',
    });
  }

  /** A question that comes before the node is put together waits for that, but not for ever, and one on each connection. */
  #hold(outgoing: ServerResponse, answer: () => void): void {
    // One that came behind another has no socket yet, and would not hear of its end.
    if (outgoing.socket === null || this.#held.size >= LIMITS.httpConnectionsMax) {
      answerStarting(outgoing);
      return;
    }
    const end = (then: Answering) => {
      timer.cancel();
      this.#held.delete(end);
      outgoing.off('close', drop);
      then(outgoing, answer);
    };
    const drop = () => end(() => undefined);
    const timer = this.#components.clock.after(LIMITS.httpStartingMs, () => end(answerStarting));
    this.#held.add(end);
    outgoing.once('close', drop);
  }

  /** Ends running answers with an error that says so, then all connections. */
  stop(): Promise<void> {
    const listener = this.#listener;
    if (listener === undefined) return Promise.resolve();
    this.#stopped ??= (async () => {
      this.#stopping?.abort(new ExoError('request-cancelled', 'this node is stopping; ask another one'));
      for (const end of [...this.#held]) end(answerStarting);
      await listener.close();
      this.#loopDelay.stop();
      this.#listener = undefined;
      this.#ready = false;
    })();
    return this.#stopped;
  }

  /** Others than this machine reach it. */
  get #isOpen(): boolean {
    return !isLoopback(this.#options.host);
  }

  #guard(): GuardOptions {
    const { host, allowedHosts } = this.#options;
    return { host, port: this.#port, allowedHosts: allowedHosts ?? [], machineHosts };
  }
}

function nobodyNamed(host: string): ExoError {
  return new ExoError(
    'option-missing',
    `--chatgpt-api-host ${host} lets other machines reach the API, and nothing says who may use it: make a mesh key first ("exo key new"), or set EXO_AUTH_TOKEN to 16 characters or more, or name a file of keys with --ssh-authorized-keys. Without the option it stays on this machine, and "ssh -L 52415:127.0.0.1:52415" reaches it`,
  );
}

/** The port is taken, the node is not put together yet: no question is looked at, and no health is claimed. */
function answerStarting(outgoing: ServerResponse): void {
  const { status, headers, body } = errorAnswer(
    new HttpError('overloaded', 'this node is starting; ask again in a moment', {
      status: 503,
      retryable: true,
    }),
  );
  outgoing.writeHead(status, { ...headers, 'content-type': 'application/json', connection: 'close' });
  outgoing.end(JSON.stringify(body));
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
