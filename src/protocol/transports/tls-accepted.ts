/**
 * An accepted stream of which nobody knows yet whether it is encrypted. It is handed out at once, so that it counts as what it
 * is: a stranger. The first byte decides; an owner that speaks first has decided for plain. Made by `tls-transport.ts`.
 */
import { type Clock, LIMITS, type TimerHandle } from '../../shared/index.js';
import { firstRecord, TLS_FIRST_BYTE } from './tls-hello.js';
import { acceptTls, type Handshake, type TlsShared } from './tls-socket.js';
import { cutShort, tlsFailed, tlsTooSlow } from './tls-words.js';
import type { ByteStream, Secured } from './transport.js';

const NO_BYTES = Buffer.alloc(0);

/** What all accepted streams of a transport share. */
export interface TlsServer extends TlsShared {
  readonly clock: Clock;
}

/** A stream in front of what it turns out to be. */
export class TlsAccepted implements ByteStream {
  readonly remote: string;
  readonly remoteHost: string;
  onData: (chunk: Buffer) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onEnd: () => void = () => undefined;
  onClose: (error?: Error) => void = () => undefined;

  readonly #server: TlsServer;
  /** What was accepted. */
  readonly #below: ByteStream;
  /** `silent`: no byte yet. `hello`: TLS, until its handshake is done. */
  #state: 'silent' | 'hello' | 'open' | 'over' = 'silent';
  /** Where bytes go and come from in state `open`: `#below` in plain, the encrypted stream otherwise. */
  #open: ByteStream;
  /** The beginning of the first record of a handshake. */
  #first: Buffer = NO_BYTES;
  #handshake: Handshake | undefined;
  #deadline: TimerHandle | undefined;
  /** Written by the owner while the handshake goes on. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #ending = false;
  #paused = false;
  /** Why this end dropped the stream. */
  #reason: Error | undefined;

  constructor(below: ByteStream, server: TlsServer) {
    this.#below = below;
    this.#open = below;
    this.#server = server;
    this.remote = below.remote;
    this.remoteHost = below.remoteHost;
    below.onData = (chunk) => this.#begin(chunk);
    below.onEnd = () => this.#endedEarly();
    below.onClose = (error) => this.#closed(this.#reason ?? error);
  }

  get secured(): Secured | undefined {
    return this.#open.secured;
  }

  get unsentBytes(): number {
    return this.#state === 'open' ? this.#open.unsentBytes : this.#heldBytes;
  }

  write(chunks: readonly Uint8Array[], last = false): boolean {
    if (this.#state === 'silent') this.#openPlain();
    if (this.#state === 'open') return this.#open.write(chunks, last);
    if (this.#state === 'over' || this.#ending) return false;
    for (const chunk of chunks) {
      this.#held.push(chunk);
      this.#heldBytes += chunk.length;
    }
    return this.#heldBytes < LIMITS.streamHighWaterBytes;
  }

  pause(): void {
    this.#paused = true;
    // A handshake goes on: what it reads is not for the owner.
    if (this.#state !== 'hello') this.#open.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#state !== 'hello') this.#open.resume();
  }

  end(): void {
    if (this.#state === 'silent') this.#openPlain();
    if (this.#state === 'open') this.#open.end();
    else this.#ending = true;
  }

  destroy(): void {
    if (this.#state === 'open') this.#open.destroy();
    else this.#drop(undefined);
  }

  #begin(chunk: Buffer): void {
    if (chunk[0] !== TLS_FIRST_BYTE) {
      this.#openPlain();
      this.onData(chunk);
      return;
    }
    this.#state = 'hello';
    const { handshakeTimeoutMs } = LIMITS;
    const late = () => this.#drop(tlsTooSlow(this.remote, handshakeTimeoutMs));
    this.#deadline = this.#server.clock.after(handshakeTimeoutMs, late);
    this.#below.onData = (more) => this.#gather(more);
    this.#gather(chunk);
  }

  /** From here on the owner's callbacks are called directly: plain costs nothing more. */
  #openPlain(): void {
    const below = this.#below;
    this.#state = 'open';
    below.onData = this.onData;
    below.onDrain = this.onDrain;
    below.onEnd = this.onEnd;
    below.onClose = this.onClose;
  }

  /** TLS begins when the first record is complete; it is mostly one chunk. */
  #gather(chunk: Buffer): void {
    if (this.#state !== 'hello') return;
    const first = Buffer.concat([this.#first, chunk]);
    const kind = firstRecord(first);
    this.#first = kind === 'partial' ? first : NO_BYTES;
    if (kind === 'garbage') this.#drop(tlsFailed(this.remote, 'what it sends is no TLS handshake'));
    if (kind !== 'complete') return;
    this.#handshake = acceptTls(this.#below, this.#server, first, {
      onSecured: (stream) => this.#openSecured(stream),
      onFailed: (error) => this.#closed(error),
    });
  }

  #openSecured(stream: ByteStream): void {
    this.#deadline?.cancel();
    this.#state = 'open';
    this.#open = stream;
    stream.onData = this.onData;
    stream.onDrain = this.onDrain;
    stream.onEnd = this.onEnd;
    stream.onClose = this.onClose;
    if (this.#paused) stream.pause();
    if (this.#heldBytes > 0) stream.write(this.#held);
    this.#forget();
    if (this.#ending) stream.end();
  }

  /** FIN before a byte, or in the middle of the first record: nothing can follow there. */
  #endedEarly(): void {
    if (this.#state === 'hello') {
      this.#drop(cutShort(this.remote));
      return;
    }
    this.#openPlain();
    this.onEnd();
  }

  #drop(reason: Error | undefined): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#reason = reason;
    this.#forget();
    if (this.#handshake === undefined) this.#below.destroy();
    else this.#handshake.drop(reason);
  }

  #closed(error: Error | undefined): void {
    this.#state = 'over';
    this.#forget();
    this.onClose(error);
  }

  #forget(): void {
    this.#deadline?.cancel();
    this.#held = [];
    this.#heldBytes = 0;
    this.#first = NO_BYTES;
  }
}
