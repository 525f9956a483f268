/** One end of a stream of the in-memory network. What is between two ends is `memory-pipe.ts`. */
import { ExoError, LIMITS } from '../../shared/index.js';
import type { MemoryHost } from './memory-host.js';
import type { MemoryPipe } from './memory-pipe.js';
import type { PipeEnd } from './memory-pipe-end.js';
import type { MemoryScheduler } from './memory-scheduler.js';
import type { ByteStream } from './transport.js';

/** An end on one host. Callbacks do nothing until they are set. */
export class MemoryStream implements ByteStream, PipeEnd {
  readonly remote: string;
  readonly remoteHost: string;
  onData: (chunk: Buffer) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onEnd: () => void = () => undefined;
  onClose: (error?: Error) => void = () => undefined;

  readonly host: MemoryHost;
  /** The life of the host that this end belongs to. */
  readonly life: number;
  /** Not yet handed out, or handed out in this very tick: callbacks may not be set yet. */
  held = true;
  paused = false;
  closed = false;
  readonly #scheduler: MemoryScheduler;
  #out: MemoryPipe | undefined;
  #in: MemoryPipe | undefined;
  #ending = false;
  #finTaken = false;
  #ended = false;

  constructor(scheduler: MemoryScheduler, host: MemoryHost, remote: string, remoteHost: string) {
    this.#scheduler = scheduler;
    this.host = host;
    this.life = host.life;
    this.remote = remote;
    this.remoteHost = remoteHost;
  }

  /** Ties the end to its two directions. */
  join(out: MemoryPipe, incoming: MemoryPipe): void {
    this.#out = out;
    this.#in = incoming;
  }

  get unsentBytes(): number {
    return this.#out?.pendingBytes ?? 0;
  }

  /** The machine went down under this end: nothing leaves and nothing arrives any more. */
  get dead(): boolean {
    return this.life !== this.host.life;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (this.closed || this.#ending) return false;
    this.#out!.add(chunks);
    return this.unsentBytes < LIMITS.streamHighWaterBytes;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.#in?.wake();
  }

  end(): void {
    if (this.closed || this.#ending) return;
    this.#ending = true;
    this.#out!.end();
  }

  destroy(): void {
    if (this.closed) return;
    this.#out!.reset();
    this.#close();
  }

  /** The first tick has passed, callbacks are set. */
  release(): void {
    this.held = false;
    this.#in?.wake();
  }

  /** The end was never handed out and never will be. */
  abandon(): void {
    this.closed = true;
    this.#out?.silence();
    this.#in?.drop();
  }

  /** A chunk arrived. */
  receive(chunk: Buffer): void {
    this.onData(chunk);
  }

  /** FIN arrived. */
  receiveEnd(): void {
    this.#ended = true;
    this.onEnd();
    this.#closeIfDone();
  }

  /** RST arrived. */
  receiveReset(): void {
    this.#out!.silence();
    this.#close(new ExoError('connection-closed', `${this.remote} reset the connection`));
  }

  /** The link took bytes, or everything and then FIN. */
  taken(fin: boolean): void {
    if (this.closed) return;
    if (fin) {
      this.#finTaken = true;
      this.#closeIfDone();
    } else {
      this.onDrain();
    }
  }

  #closeIfDone(): void {
    if (this.#finTaken && this.#ended && !this.closed) this.#close();
  }

  #close(error?: Error): void {
    this.closed = true;
    this.#in?.drop();
    this.#scheduler.soon({ run: () => this.onClose(error) });
  }
}
