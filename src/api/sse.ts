/**
 * A stream of server-sent events as the body of an answer. Waits for a slow reader, cuts one that reads nothing
 * at all, keeps a silent connection alive with comments, and tells when the client has left.
 */
import type { ServerResponse } from 'node:http';
import { type Clock, LIMITS, type TimerHandle } from '../shared/index.js';

/** What an event stream says in its headers. */
export const SSE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // nginx would collect the tokens otherwise.
  'x-accel-buffering': 'no',
};

/** One open event stream. */
export class SseStream {
  /** Goes into the response. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #encoder = new TextEncoder();
  readonly #outgoing: ServerResponse;
  readonly #onLeft: () => void;
  readonly #tick: TimerHandle;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #wakeSender: (() => void) | undefined;
  #open = true;
  /** The reader has taken something since the last tick. */
  #moved = false;

  /** `onLeft` is called once if the client goes before `close`. */
  constructor(clock: Clock, outgoing: ServerResponse, onLeft: () => void) {
    this.#outgoing = outgoing;
    this.#onLeft = onLeft;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          this.#moved = true;
          this.#wake();
        },
        cancel: () => this.#gone(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: LIMITS.httpStreamBufferBytes }),
    );
    this.#tick = clock.every(LIMITS.httpPingMs, () => this.#onTick());
    outgoing.once('close', () => this.#gone());
    if (outgoing.destroyed) this.#gone();
  }

  /** The reader keeps up: nothing much is waiting. */
  get hasRoom(): boolean {
    return this.#open && (this.#controller?.desiredSize ?? 0) > 0;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Sends one event; resolves when there is room for the next, or the stream is over. */
  async send(data: unknown): Promise<void> {
    this.#write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
    if (!this.#open || this.hasRoom) return;
    await new Promise<void>((resolve) => {
      this.#wakeSender = resolve;
    });
  }

  /** Ends the stream after what was sent. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#controller?.close();
    this.#wake();
  }

  #onTick(): void {
    if (this.hasRoom) this.#write(': ping\n\n');
    else if (!this.#moved) this.#outgoing.destroy();
    this.#moved = false;
  }

  #write(text: string): void {
    if (this.#open) this.#controller?.enqueue(this.#encoder.encode(text));
  }

  #wake(): void {
    const wake = this.#wakeSender;
    this.#wakeSender = undefined;
    wake?.();
  }

  /** The response is closed: by the client, or after everything was sent. */
  #gone(): void {
    this.#tick.cancel();
    if (!this.#open) return;
    this.#open = false;
    this.#wake();
    this.#onLeft();
  }
}
