/** One end of a stream under test: counts, hashes and remembers what its callbacks were told, and waits for it. */
import { createHash } from 'node:crypto';
import type { ByteStream } from '../../src/protocol/index.js';

/** Sets all callbacks of a stream. */
export class StreamEnd {
  readonly stream: ByteStream;
  receivedBytes = 0;
  chunks = 0;
  drains = 0;
  closes = 0;
  readonly callsAfterClose: string[] = [];
  /** Resolves at the other side's FIN; rejects when the stream closes without one. */
  readonly ended: Promise<void>;
  /** Resolves with what `onClose` was given. */
  readonly closed: Promise<Error | undefined>;
  onFirstData: () => void = () => undefined;
  #onData: (chunk: Buffer) => void = () => undefined;
  #onEnd: () => void = () => undefined;
  readonly #hash = createHash('sha256');
  readonly #wakers = new Set<() => void>();

  constructor(stream: ByteStream) {
    this.stream = stream;
    let resolveEnded: () => void = () => undefined;
    let rejectEnded: (error: Error) => void = () => undefined;
    this.ended = new Promise((resolve, reject) => {
      resolveEnded = resolve;
      rejectEnded = reject;
    });
    this.ended.catch(() => undefined);
    this.closed = new Promise((resolve) => {
      stream.onClose = (error) => {
        this.#note('onClose');
        this.closes += 1;
        rejectEnded(new Error(`closed before its end: ${error?.message ?? 'destroyed'}`));
        resolve(error);
        this.#wake();
      };
    });
    stream.onData = (chunk) => {
      this.#note('onData');
      this.receivedBytes += chunk.length;
      this.chunks += 1;
      this.#hash.update(chunk);
      if (this.chunks === 1) this.onFirstData();
      this.#onData(chunk);
      this.#wake();
    };
    stream.onDrain = () => {
      this.#note('onDrain');
      this.drains += 1;
      this.#wake();
    };
    stream.onEnd = () => {
      this.#note('onEnd');
      this.#onEnd();
      resolveEnded();
    };
  }

  /** SHA-256 of everything received. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** Sends back what arrives, FIN included; stops reading while the other side does not take it. */
  echo(): void {
    this.#onData = (chunk) => {
      if (this.stream.write([Buffer.from(chunk)])) return;
      this.stream.pause();
      void this.drained().then(() => this.stream.resume());
    };
    this.#onEnd = () => this.stream.end();
  }

  /** Sends one byte back for every `bytes` received. */
  answerEvery(bytes: number): void {
    let answered = 0;
    this.#onData = () => {
      for (; this.receivedBytes >= (answered + 1) * bytes; answered += 1)
        this.stream.write([Buffer.alloc(1)]);
    };
  }

  /** Resolves when at least so many bytes have arrived, or the stream is closed. */
  received(bytes: number): Promise<void> {
    return this.#until(() => this.receivedBytes >= bytes || this.closes > 0);
  }

  /** Resolves when nothing is unsent, or the stream is closed. */
  drained(): Promise<void> {
    return this.#until(() => this.stream.unsentBytes === 0 || this.closes > 0);
  }

  /** Resolves when the system took some of what was written, or the stream is closed. */
  progressed(): Promise<void> {
    return this.#until(() => this.drains > 0 || this.closes > 0);
  }

  /** As `drained`; false when that takes longer. */
  async drainedWithin(timeoutMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    const drained = await Promise.race([this.drained().then(() => true), late]);
    clearTimeout(timer);
    return drained;
  }

  /** Time in which something unwanted could happen. */
  quiet(durationMs: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, durationMs));
  }

  #note(call: string): void {
    if (this.closes > 0) this.callsAfterClose.push(call);
  }

  #wake(): void {
    for (const waker of [...this.#wakers]) waker();
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const waker = () => {
        if (!condition()) return;
        this.#wakers.delete(waker);
        resolve();
      };
      this.#wakers.add(waker);
      waker();
    });
  }
}
