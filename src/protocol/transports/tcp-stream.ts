/**
 * One TCP connection as a `ByteStream`. Holds what is written during a tick and hands it to the socket as one
 * batch, then the next batch when the system took the last: so every batch taken is visible progress. Only
 * `tcp-transport.ts` makes one, when the socket is connected.
 */
import type net from 'node:net';
import { ExoError, formatAddress, LIMITS } from '../../shared/index.js';
import type { OpenSocket } from './tcp-receive.js';
import { plainHost } from './tcp-words.js';
import type { ByteStream, Secured } from './transport.js';

/** What lies over a socket that is not a bare TCP one: what differs then. */
export interface Cover {
  readonly remote: string;
  readonly remoteHost: string;
  readonly secured: Secured;
  /** Most bytes of one batch. */
  readonly batchBytes: number;
  /** Drops what lies below at once. */
  reset(): void;
  /** Why it broke, in words; undefined when the system's error says it all, or nothing broke. `cause`: what the socket told. */
  brokenInWords(cause: Error | undefined): ExoError | undefined;
}

/** A connected socket's two directions. Callbacks do nothing until they are set. */
export class TcpStream implements ByteStream {
  readonly remote: string;
  readonly remoteHost: string;
  readonly secured: Secured | undefined;
  onData: (chunk: Buffer) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onEnd: () => void = () => undefined;
  onClose: (error?: Error) => void = () => undefined;

  readonly #socket: net.Socket;
  readonly #cover: Cover | undefined;
  readonly #batchBytesMax: number;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** Bytes of the batch that the system has not taken yet. */
  #batchBytes = 0;
  #burstBytes = 0;
  #flushing = false;
  #ending = false;
  /** Destroyed by us or closed: no callback but `onClose` any more. */
  #over = false;
  #error: Error | undefined;

  constructor(opened: OpenSocket, cover?: Cover) {
    const socket = opened.socket;
    this.#socket = socket;
    this.#cover = cover;
    this.#batchBytesMax = cover?.batchBytes ?? LIMITS.writeBatchBytes;
    this.secured = cover?.secured;
    this.remoteHost = cover?.remoteHost ?? plainHost(socket.remoteAddress ?? '');
    this.remote = cover?.remote ?? formatAddress({ host: this.remoteHost, port: socket.remotePort ?? 0 });
    if (cover === undefined) {
      socket.setNoDelay(true);
      socket.setKeepAlive(true, LIMITS.tcpKeepaliveMs);
    }
    opened.onBytes = (chunk) => {
      if (!this.#over) this.onData(chunk);
    };
    socket.on('end', () => {
      if (!this.#over) this.onEnd();
    });
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.on('close', () => this.#closed());
  }

  get unsentBytes(): number {
    return this.#queuedBytes + this.#batchBytes;
  }

  write(chunks: readonly Uint8Array[], last = false): boolean {
    if (this.#over || this.#ending) return false;
    if (last && chunks.length === 1 && this.#writeAtOnce(chunks[0]!)) return true;
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      this.#queue.push(chunk);
      this.#queuedBytes += chunk.length;
    }
    if (!last) this.#flushSoon();
    else if (!this.#flushing && this.#batchBytes === 0) this.#flush();
    return this.unsentBytes < LIMITS.streamHighWaterBytes;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#over) this.#socket.resume();
  }

  end(): void {
    if (this.#over || this.#ending) return;
    this.#ending = true;
    this.#flushSoon();
  }

  destroy(): void {
    if (this.#over) return;
    this.#over = true;
    this.#drop();
    const socket = this.#socket;
    if (socket.destroyed) return;
    if (this.#cover !== undefined) {
      this.#cover.reset();
    } else if (socket.writableEnded) {
      // FIN is under way: the system takes no reset any more.
      socket.destroy();
    } else {
      // Node's reset first sends FIN and waits for unsent bytes, for ever where the path is dead; ours does neither.
      socket.destroySoon = () => socket.destroy();
      socket.resetAndDestroy();
    }
  }

  /**
   * Gives the socket away, paused: encryption is laid over it. Nothing may have been written yet. This stream is over
   * then, without a word.
   */
  handOver(): net.Socket {
    this.#over = true;
    this.onClose = () => undefined;
    this.#socket.pause();
    return this.#socket;
  }

  /** The usual case, some frames in one chunk and nothing before them. False when it is another case. */
  #writeAtOnce(chunk: Uint8Array): boolean {
    const bytes = chunk.length;
    if (this.unsentBytes > 0 || this.#flushing || bytes === 0 || bytes > LIMITS.streamHighWaterBytes)
      return false;
    this.#batchBytes = bytes;
    this.#socket.write(chunk, this.#taken);
    return true;
  }

  #flushSoon(): void {
    if (this.#flushing || this.#batchBytes > 0) return;
    this.#flushing = true;
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    if (this.#over) return;
    if (this.#queuedBytes === 0) {
      if (this.#ending) this.#endSocket();
      return;
    }
    const batch = this.#nextBatch();
    const last = batch.length - 1;
    if (last > 0) this.#socket.cork();
    for (let index = 0; index < last; index += 1) this.#socket.write(batch[index]!);
    this.#socket.write(batch[last]!, this.#taken);
    if (last > 0) this.#socket.uncork();
  };

  #endSocket(): void {
    if (this.#cover === undefined) this.#socket.end();
    // Ending TLS while it hands out what it has read loses the rest of that: in a turn of its own nothing is being read.
    else setImmediate(() => this.#socket.end());
  }

  /** The whole queue when it fits, else its beginning; a chunk on the border is cut without a copy. */
  #nextBatch(): Uint8Array[] {
    const queue = this.#queue;
    if (this.#queuedBytes <= this.#batchBytesMax) {
      this.#queue = [];
      this.#batchBytes = this.#queuedBytes;
      this.#queuedBytes = 0;
      return queue;
    }
    const batch: Uint8Array[] = [];
    let room = this.#batchBytesMax;
    let whole = 0;
    while (queue[whole]!.length <= room) {
      room -= queue[whole]!.length;
      batch.push(queue[whole]!);
      whole += 1;
    }
    const border = queue[whole]!;
    if (room > 0) {
      batch.push(border.subarray(0, room));
      queue[whole] = border.subarray(room);
    }
    queue.splice(0, whole);
    this.#batchBytes = this.#batchBytesMax;
    this.#queuedBytes -= this.#batchBytes;
    return batch;
  }

  readonly #taken = (error?: Error | null): void => {
    if (error || this.#over) return;
    this.#burstBytes += this.#batchBytes;
    this.#batchBytes = 0;
    // What the owner writes in `onDrain` leaves with the flush below.
    this.#flushing = true;
    this.onDrain();
    if (this.#burstBytes >= LIMITS.writeBurstBytes) {
      this.#burstBytes = 0;
      setImmediate(this.#flush);
    } else {
      this.#flush();
    }
  };

  #drop(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#batchBytes = 0;
  }

  #closed(): void {
    const own = this.#over;
    this.#over = true;
    this.#drop();
    this.onClose(own ? undefined : this.#lost());
  }

  #lost(): ExoError | undefined {
    const cause = this.#error;
    const broken = this.#cover?.brokenInWords(cause);
    if (broken !== undefined || cause === undefined) return broken;
    return new ExoError('connection-closed', lostInWords(this.remote, cause), { cause });
  }
}

function lostInWords(remote: string, cause: Error): string {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'ECONNRESET':
      return `${remote} reset the connection`;
    case 'EPIPE':
      return `${remote} closed the connection while bytes were sent to it`;
    case 'ETIMEDOUT':
      return `${remote} no longer answers: the connection timed out`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENETDOWN':
      return `the network path to ${remote} is gone`;
    default:
      return `the connection to ${remote} broke: ${cause.message}`;
  }
}
