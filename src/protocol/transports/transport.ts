/**
 * What carries bytes: TCP (`tcp-transport.ts`) and its in-memory twin with seeded faults (`memory-transport.ts`).
 * One compliance suite runs over both.
 */
import type { Address, Startable } from '../../shared/index.js';

/** What encryption has proven of the other end of a stream. */
export interface Secured {
  /** Raw Ed25519 public key of the other end, 32 bytes. */
  readonly peerKey: Buffer;
  /** 32 bytes that both ends of this stream have and nobody between them can (TLS exporter, RFC 8446, 7.5). */
  readonly binding: Buffer;
}

/** A reliable, ordered, two-way stream of bytes. Callbacks are set once, before the first tick passes. */
export interface ByteStream {
  /** `host:port` of the other end. */
  readonly remote: string;
  readonly remoteHost: string;
  /**
   * Undefined where the bytes travel in plain. On an accepted stream it is known with the first `onData`, on a dialled one at
   * once.
   */
  readonly secured?: Secured | undefined;
  /** Bytes given to `write` and not yet taken by the operating system (or by the simulated link). */
  readonly unsentBytes: number;
  /**
   * Hands chunks over without copying them; they must not change until sent. Several writes in one tick leave as
   * one segment where they fit. False when `onDrain` should be waited for before more bulk is written. `last`: nothing more
   * is written in this tick, so what is there may leave at once.
   */
  write(chunks: readonly Uint8Array[], last?: boolean): boolean;
  /** Stops reading until `resume`. */
  pause(): void;
  resume(): void;
  /** Sends FIN after what is written. */
  end(): void;
  /** Drops the stream at once (RST where the transport has it). */
  destroy(): void;
  /** The chunk is only valid during the call: its memory is reused. */
  onData: (chunk: Buffer) => void;
  /** The operating system took bytes: the path moves. */
  onDrain: () => void;
  /** The other side sent FIN. */
  onEnd: () => void;
  /** Exactly once. `error` when it was not a clean end. */
  onClose: (error?: Error) => void;
}

/** A bound listener. `stop` closes the listener, not the streams that it has handed out. */
export interface Listener extends Startable {
  /** The bound address (a real port even when 0 was asked for). Valid after start. */
  readonly address: Address;
}

/** How to dial. */
export interface DialOptions {
  /** For everything until the stream can be used, encryption included. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Encrypted: `secured` is set on the stream. Only a transport made by `createTlsTransport` can. @default false */
  readonly secure?: boolean;
}

/** A way to reach addresses. */
export interface Transport {
  /** Rejects with `connect-failed` (message in words: refused, unreachable, timed out, name unknown). */
  dial(address: Address, options: DialOptions): Promise<ByteStream>;
  /** `start` rejects with `port-in-use` when the port is taken. */
  listen(address: Address, onStream: (stream: ByteStream) => void): Listener;
}
