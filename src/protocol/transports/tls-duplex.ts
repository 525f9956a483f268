/**
 * Any `ByteStream` as a Node stream, for TLS to lie upon where there is no socket: the in-memory network, so that whole meshes
 * with encryption run in one process. Sets the stream's callbacks. Only `tls-socket.ts` makes one.
 */
import { Duplex } from 'node:stream';
import { LIMITS } from '../../shared/index.js';
import type { ByteStream } from './transport.js';

type Written = (error?: Error | null) => void;

/** Both directions of a stream, with its backpressure. */
export class StreamDuplex extends Duplex {
  readonly #stream: ByteStream;
  #written: Written | undefined;
  #closed = false;

  constructor(stream: ByteStream) {
    super({ allowHalfOpen: true, writableHighWaterMark: LIMITS.streamHighWaterBytes });
    this.#stream = stream;
    stream.onData = (chunk) => {
      // The chunk's memory is reused after this call, and it may lie here for a while.
      if (!this.push(Buffer.from(chunk))) stream.pause();
    };
    stream.onEnd = () => this.push(null);
    stream.onDrain = () => this.#drained();
    stream.onClose = (error) => {
      this.#closed = true;
      this.destroy(error);
    };
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: Written): void {
    this.#send([chunk], written);
  }

  override _writev(chunks: Array<{ readonly chunk: Buffer }>, written: Written): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      written,
    );
  }

  override _final(done: Written): void {
    this.#stream.end();
    done();
  }

  override _destroy(error: Error | null, done: Written): void {
    const written = this.#written;
    this.#written = undefined;
    written?.(error ?? new Error('the stream is closed'));
    // An alert that was written just now leaves first.
    if (!this.#closed) setImmediate(() => this.#stream.destroy());
    done(error);
  }

  #send(chunks: readonly Buffer[], written: Written): void {
    this.#written = written;
    this.#stream.write(chunks, true);
    this.#drained();
  }

  /** The next batch is taken when nothing of the last one waits: what waits in here is counted above. */
  #drained(): void {
    if (this.#written === undefined || this.#stream.unsentBytes > 0) return;
    const written = this.#written;
    this.#written = undefined;
    written();
  }
}
