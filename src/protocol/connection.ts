/**
 * The glue between a byte stream and a session: with `connection-ticks.ts` the only place of the protocol that knows time. Frames
 * leave when the tick ends, so that everything said in one tick travels together; what is said while bytes are being received
 * leaves at once after them. Made by the dialler and the acceptor of the node.
 */
import { ExoError, LIMITS, type TimerHandle } from '../shared/index.js';
import type { AccessLevel } from './access.js';
import type {
  CloseReason,
  Connection,
  ConnectionRole,
  ConnectionState,
  ConnectionStats,
  RequestOptions,
} from './connection-api.js';
import { TickPlace } from './connection-ticks.js';
import { HandlerContext, LazySignal } from './handler-context.js';
import type { Hello } from './messages/hello.js';
import { bytesOf } from './messages/message-bytes.js';
import type { Message } from './messages/messages.js';
import { RejectionLog } from './rejection-log.js';
import { requestUntilAborted } from './request-until-aborted.js';
import type { Sender } from './send-ledger.js';
import { Session } from './session.js';
import type { ByteStream, Secured } from './transports/transport.js';
import type { ConnectionComponents, ConnectionOptions } from './wire-shared.js';
import { slowPeer, WriteProgress } from './write-progress.js';

/** As much as this may be unsent before more is pulled: one fragment, which is what a control frame waits for. */
const WINDOW_BYTES = LIMITS.fragmentBytesMax;

/** Speaks the protocol over a stream that is open. Sets the stream's callbacks. */
export function createConnection(
  stream: ByteStream,
  options: ConnectionOptions,
  components: ConnectionComponents,
): Connection {
  return new StreamConnection(stream, options, components);
}

class StreamConnection implements Connection, Sender {
  readonly serial: number;
  readonly role: ConnectionRole;
  readonly remote: string;
  readonly remoteHost: string;
  readonly closed: Promise<CloseReason>;
  aliveAtMs: number;
  readonly #stream: ByteStream;
  readonly #components: ConnectionComponents;
  readonly #session: Session;
  readonly #rejections: RejectionLog;
  readonly #abort = new LazySignal();
  readonly #wanted = new HandlerContext(this.#abort, true);
  readonly #unwanted = new HandlerContext(this.#abort, false);
  readonly #progress: WriteProgress;
  readonly #ticks: TickPlace;
  #resolveClosed: (reason: CloseReason) => void = () => undefined;
  #reason: CloseReason | undefined;
  #graceTimer: TimerHandle | undefined;
  #receiving = false;
  #flushing = false;
  #flushPlanned = false;
  #ended = false;
  #windowFull = false;
  /** Its queue stands in the ledger. */
  #isNoted = false;
  #bytesOut = 0;
  #turnMs: number;
  readonly #flushNow = () => {
    this.#flushPlanned = false;
    this.#flush();
  };

  constructor(stream: ByteStream, options: ConnectionOptions, components: ConnectionComponents) {
    const nowMs = components.clock.now();
    this.#stream = stream;
    this.#components = components;
    this.serial = components.nextSerial();
    this.role = options.role;
    this.remote = stream.remote;
    this.remoteHost = stream.remoteHost;
    this.#rejections = new RejectionLog(this, components);
    this.aliveAtMs = nowMs;
    this.#turnMs = nowMs;
    this.#progress = new WriteProgress(nowMs, this.remote);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    const { handlers, budget, pool, slabs } = components;
    this.#session = new Session(
      { role: options.role, trusted: options.trusted, access: options.access, budget, pool, slabs, nowMs },
      {
        onHello: (hello) => handlers.onHello(this, hello),
        onMessage: (message, wanted) =>
          handlers.onMessage(this, message, wanted ? this.#wanted : this.#unwanted),
        onSilentFailure: (kind, error) => this.#rejections.handlerFailed(kind, error),
        onDropped: (error) => this.#rejections.dropped(error),
        wake: () => this.#wake(),
        end: (reason) => this.#shut(reason, true),
      },
    );
    this.#ticks = new TickPlace(
      components.ticks,
      components.clock,
      { session: this.#session, stream },
      (atMs) => this.#checkDeadlines(atMs),
    );
    stream.onData = (chunk) => this.#receive(chunk);
    stream.onDrain = () => this.#drained();
    stream.onEnd = () => this.#shut({ by: 'remote' }, true);
    stream.onClose = (error) => this.#streamClosed(error);
    this.#ticks.arm();
  }

  get state(): ConnectionState {
    return this.#session.state;
  }

  get access(): AccessLevel {
    return this.#session.access;
  }

  get secured(): Secured | undefined {
    return this.#stream.secured;
  }

  grant(access: AccessLevel): void {
    const held = this.#session.grant(access);
    if (held === undefined) return;
    this.#receive(held);
    if (!this.#session.isHeld) this.#stream.resume();
  }

  get hello(): Hello | undefined {
    return this.#session.hello;
  }

  get stats(): ConnectionStats {
    const { bytesIn, framesIn, pending, serving, outbox } = this.#session;
    const { framesOut, queuedBytes } = outbox;
    return { bytesIn, bytesOut: this.#bytesOut, framesIn, framesOut, pending, serving, queuedBytes };
  }

  async introduce(hello: Hello, options: RequestOptions = {}): Promise<Hello | undefined> {
    if (this.role === 'acceptor') {
      throw new ExoError('protocol-violation', 'only the side that opened a connection says hello first');
    }
    const answer = await this.request(
      { kind: 'health-request', hello },
      { timeoutMs: LIMITS.healthTimeoutMs, ...options },
    );
    if (answer.kind !== 'health-response' || !answer.isHealthy) {
      throw new ExoError('request-failed', `${this.remote} says that it is not healthy`, { retryable: true });
    }
    return answer.hello;
  }

  request(message: Message, options?: RequestOptions): Promise<Message> {
    return new Promise((resolve, reject) => {
      const timeoutMs = options?.timeoutMs ?? LIMITS.requestTimeoutMs;
      const nowMs = this.#turnNowMs();
      const signal = options?.signal;
      if (signal === undefined) this.#session.request(message, nowMs, timeoutMs, resolve, reject);
      else requestUntilAborted(this.#session, signal, message, nowMs, timeoutMs, resolve, reject);
      // Else behind the write, which does not wait for a timer to be set.
      if (!this.#flushPlanned) this.#ticks.arm();
    });
  }

  recycle(answer: Message): void {
    const bytes = bytesOf(answer);
    if (bytes !== undefined && bytes.length > LIMITS.smallBodyBytesMax) this.#components.pool.release(bytes);
  }

  notify(message: Message): boolean {
    return this.#session.notify(message);
  }

  async close(reason: CloseReason = { by: 'local' }): Promise<void> {
    this.#shut(reason, reason.by !== 'error');
    await this.closed;
  }

  // ------------------------------------------------------------------ bytes in

  #receive(chunk: Buffer): void {
    const nowMs = this.#components.clock.now();
    this.#turnMs = nowMs;
    this.aliveAtMs = nowMs;
    this.#progress.heard(nowMs);
    if (this.#reason !== undefined) return;
    this.#receiving = true;
    try {
      this.#session.receive(chunk, nowMs);
    } catch (error) {
      this.#fail(error);
    }
    this.#receiving = false;
    if (this.#session.isHeld) this.#stream.pause();
    this.#flush();
    this.#ticks.arm();
  }

  // ------------------------------------------------------------------ bytes out

  /** The time; what is asked for in one turn, before its frames leave, shares one look at the clock. */
  #turnNowMs(): number {
    if (!this.#receiving && !this.#flushPlanned) this.#turnMs = this.#components.clock.now();
    return this.#turnMs;
  }

  #wake(): void {
    if (this.#receiving || this.#flushing || this.#flushPlanned) return;
    this.#flushPlanned = true;
    process.nextTick(this.#flushNow);
  }

  #flush(): void {
    if (this.#ended || this.#flushing) return;
    const { outbox } = this.#session;
    const stream = this.#stream;
    let queued = outbox.queuedBytes;
    let unsent = stream.unsentBytes;
    this.#flushing = true;
    while (queued > 0 && unsent < WINDOW_BYTES) {
      const chunks: Uint8Array[] = [];
      const bytes = this.#session.pull(chunks, WINDOW_BYTES - unsent);
      if (bytes === 0) break;
      if (unsent === 0) this.#progress.moved();
      this.#bytesOut += bytes;
      queued = outbox.queuedBytes;
      stream.write(chunks, queued === 0);
      unsent = stream.unsentBytes;
    }
    this.#flushing = false;
    this.#windowFull = unsent >= WINDOW_BYTES;
    this.#ticks.arm();
    if (this.#reason !== undefined) this.#endWhenSent();
    else if (queued > LIMITS.sendQueueBytesHard && outbox.piledBytes > LIMITS.sendQueueBytesHard) {
      this.cutQueue(queued);
    } else if (queued > 0 || this.#isNoted) {
      this.#isNoted = queued > 0;
      this.#components.ledger.note(this, queued);
    }
  }

  /** Called by the ledger: of all connections, this one lets most pile up. */
  cutQueue(queuedBytes: number): void {
    this.#fail(slowPeer(`${this.remote} does not take what is sent to it`, queuedBytes));
  }

  #drained(): void {
    this.#progress.moved();
    // a small write is taken by the system even when the peer is gone; a full window moves only when the peer acknowledges
    if (this.#windowFull) this.aliveAtMs = this.#components.clock.now();
    this.#windowFull = false;
    const { outbox } = this.#session;
    if (outbox.queuedBytes > 0 || this.#reason !== undefined) this.#flush();
    else if (this.#stream.unsentBytes === 0) {
      this.#session.sent();
      this.#progress.emptied();
      this.#ticks.settled();
    }
  }

  // ------------------------------------------------------------------ time

  #checkDeadlines(nowMs: number): void {
    try {
      this.#session.tick(nowMs);
      this.#progress.check(this.#stream.unsentBytes, this.#session.outbox.queuedBytes, this.#bytesOut, nowMs);
    } catch (error) {
      this.#fail(error);
    }
  }

  // ------------------------------------------------------------------ the end

  #fail(thrown: unknown): void {
    const error =
      thrown instanceof ExoError
        ? thrown
        : new ExoError('internal', 'a fault while receiving', { cause: thrown });
    if (this.#reason === undefined) this.#rejections.rejected(error, this.#session.bytesIn);
    this.#shut({ by: 'error', error }, false);
  }

  /** The first call decides the reason. Graceful: what is queued may leave for a moment. */
  #shut(given: CloseReason, graceful: boolean): void {
    if (this.#reason !== undefined) return;
    const { goodbye, outbox } = this.#session;
    this.#reason = goodbye === undefined || given.by === 'local' ? given : { ...given, goodbye };
    this.#ticks.end();
    this.#components.ledger.note(this, 0);
    this.#session.close(
      new ExoError('connection-closed', `the connection to ${this.remote} ended${because(given)}`, {
        retryable: true,
        cause: given.error,
      }),
    );
    this.#abort.abort(given.error);
    if (!graceful) {
      this.#destroy();
      return;
    }
    this.#graceTimer = this.#components.clock.after(LIMITS.closeGraceMs, () => {
      outbox.clear();
      this.#destroy();
    });
    this.#wake();
  }

  #endWhenSent(): void {
    if (this.#ended || this.#stream.unsentBytes > 0 || this.#session.outbox.queuedBytes > 0) return;
    this.#ended = true;
    this.#stream.end();
  }

  #destroy(): void {
    this.#ended = true;
    this.#session.outbox.clear();
    this.#stream.destroy();
  }

  #streamClosed(error: Error | undefined): void {
    this.#shut(
      error === undefined
        ? { by: 'remote' }
        : {
            by: 'error',
            error: new ExoError('connection-closed', `${this.remote}: ${error.message}`, {
              retryable: true,
              cause: error,
            }),
          },
      false,
    );
    this.#graceTimer?.cancel();
    const reason = this.#reason!;
    this.#resolveClosed(reason);
    this.#components.handlers.onClose(this, reason);
  }
}

function because(reason: CloseReason): string {
  if (reason.error !== undefined) return `: ${reason.error.message}`;
  return reason.by === 'remote' ? ' from the other side' : '';
}
