/**
 * A connection on the far side of a session as a Duplex. It goes through a unix socket in the session's own folder that
 * ssh forwards there: no process of its own, and both ends of the connection are seen to end. (`ssh -W` hides the far
 * end's, and the proxy mode of the control socket lets a refused connection end the whole ssh, seen with 9.2.) ssh accepts
 * before it has asked the far side; a refusal is told when the stream ends without a byte.
 */
import net from 'node:net';
import { Duplex } from 'node:stream';
import { ExoError } from '../../shared/index.js';

type Done = (error?: Error | null) => void;

/** Half-close works in both directions; a refusal is the stream's error: `connect-failed` or `request-unsupported`. */
export class FarStream extends Duplex {
  readonly #socket: net.Socket;
  readonly #whyRefused: () => Promise<ExoError | undefined>;
  #bytesIn = 0;

  private constructor(socket: net.Socket, whyRefused: () => Promise<ExoError | undefined>) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#whyRefused = whyRefused;
    socket.on('data', (data: Buffer) => {
      this.#bytesIn += data.length;
      if (!this.push(data)) socket.pause();
    });
    socket.on('end', () => void this.#onEnd(undefined));
    socket.on('error', () => void this.#onEnd(closed()));
    socket.on('close', () => {
      if (!this.readableEnded && !this.writableFinished) void this.#onEnd(closed());
    });
  }

  /**
   * @param path where ssh listens
   * @param whyRefused what ssh has said by now about a connection that the far side refused, if anything
   * @throws connection-closed when ssh is gone, or the signal's reason
   */
  static async connect(
    path: string,
    whyRefused: () => Promise<ExoError | undefined>,
    signal: AbortSignal,
  ): Promise<FarStream> {
    signal.throwIfAborted();
    const socket = net.connect({ path, allowHalfOpen: true });
    const onAbort = () => socket.destroy(closed());
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', () => reject(closed()));
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    socket.removeAllListeners();
    return new FarStream(socket, whyRefused);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#socket.write(chunk, (error) => {
      // What ended the connection is told by its end.
      if (!error) done();
    });
  }

  override _final(done: Done): void {
    this.#socket.end(() => done());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.destroy();
    done(error);
  }

  async #onEnd(error: ExoError | undefined): Promise<void> {
    const refusal = this.#bytesIn === 0 ? await this.#whyRefused() : undefined;
    if (this.destroyed || this.readableEnded) return;
    if (refusal !== undefined || error !== undefined) this.destroy(refusal ?? error);
    else this.push(null);
  }
}

function closed(): ExoError {
  return new ExoError('connection-closed', 'the ssh session ended', { retryable: true });
}
