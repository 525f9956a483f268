/**
 * What the rest of the program sees of one connection. `connection.ts` implements it.
 */

import type { ExoError } from '../shared/index.js';
import type { AccessLevel } from './access.js';
import type { Hello } from './messages/hello.js';
import type { Message } from './messages/messages.js';
import type { Secured } from './transports/transport.js';

/**
 * fresh → legacy (spoke only the base protocol) or established (hello on both sides) → closed.
 * An accepted connection in `legacy` takes no requests from our side.
 */
export type ConnectionState = 'fresh' | 'legacy' | 'established' | 'closed';

/** Which end opened the connection. */
export type ConnectionRole = 'dialler' | 'acceptor';

/** Why and by whom a connection ended. */
export interface CloseReason {
  /** `local`: this side ended it on purpose; `remote`: FIN or goodbye; `error`: reset, protocol error, dead path. */
  readonly by: 'local' | 'remote' | 'error';
  readonly error?: ExoError;
  /** The other side said goodbye first, and this is what it said. */
  readonly goodbye?: 'stopping' | 'duplicate';
}

/** How to wait for an answer. */
export interface RequestOptions {
  /** @default LIMITS.requestTimeoutMs */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Counters of one connection. */
export interface ConnectionStats {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly framesIn: number;
  readonly framesOut: number;
  /** Requests sent and not yet answered. */
  readonly pending: number;
  /** Requests received and not yet answered. */
  readonly serving: number;
  /** Bytes waiting in the outbox. */
  readonly queuedBytes: number;
}

/** One open path to one peer. All waits have a deadline; a closed connection rejects everything with `connection-closed`. */
export interface Connection {
  /** Unique in this process; rises. */
  readonly serial: number;
  readonly role: ConnectionRole;
  readonly state: ConnectionState;
  /** `host:port` of the other end, for people. */
  readonly remote: string;
  /** Host of the other end. */
  readonly remoteHost: string;
  /** The hello of the other side, once established. */
  readonly hello: Hello | undefined;
  /** `clock.now()` of the last byte received or of the last progress of an own write. */
  readonly aliveAtMs: number;
  readonly stats: ConnectionStats;
  /** What the other end may say here. */
  readonly access: AccessLevel;
  /** What encryption has proven of the other end; undefined in plain. Known before the first message. */
  readonly secured: Secured | undefined;
  /** The other end has proven enough for this, or no more. What it said behind its `auth-response` is taken only then. */
  grant(access: AccessLevel): void;
  /**
   * Dialler only: a health check that carries `hello`. Resolves to the other side's hello, or undefined for an
   * old peer (state becomes `legacy`). Rejects with the refusal's code when the other side refuses.
   */
  introduce(hello: Hello, options?: RequestOptions): Promise<Hello | undefined>;
  /** Sends a request and waits for its answer. An error answer rejects with its code. */
  request(message: Message, options?: RequestOptions): Promise<Message>;
  /**
   * Gives the bytes of an answer back, so that the next large one is received into them. Nobody may look at them any more.
   * Never needed: what is not given back is garbage collected, at the cost of fresh memory.
   */
  recycle(answer: Message): void;
  /** Sends without waiting. Rejects nothing; on a closed connection it does nothing and returns false. */
  notify(message: Message): boolean;
  /**
   * Ends the connection: flushes what is queued for at most `LIMITS.closeGraceMs`, then closes. With an error as the reason it is
   * dropped at once, so that the other end hears of it as soon as the path lets it. Idempotent.
   */
  close(reason?: CloseReason): Promise<void>;
  /** Resolves when the connection is closed, with the reason. */
  readonly closed: Promise<CloseReason>;
}

/** What a connection asks of its owner. */
export interface ConnectionHandlers {
  /**
   * Acceptor: a hello came in. Returns the own hello, or throws an `ExoError` that is sent as refusal.
   * Called at most once a connection; later hellos on it only refresh the other side's capabilities.
   */
  onHello(connection: Connection, hello: Hello): Hello;
  /**
   * A request or one-way message. The return value is the answer (undefined for one-way kinds). What it throws goes
   * back as an error answer (new) or as `is_healthy: false` / `00000000` (old). Health checks and pings never get here.
   * `signal` is aborted when the connection closes. A tensor's bytes belong to the handler until its promise settles
   * (then the buffer is reused: copy what must outlive it).
   */
  onMessage(
    connection: Connection,
    message: Message,
    context: { readonly signal: AbortSignal; readonly answerWanted: boolean },
  ): Promise<Message | undefined> | Message | undefined;
  /** Exactly once, after the state became `closed`. */
  onClose(connection: Connection, reason: CloseReason): void;
}
