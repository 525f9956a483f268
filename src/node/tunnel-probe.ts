/**
 * The proof that an exo node answers behind a forward: a health check of the base protocol, as any node of any version
 * answers it, over a stream that a tunnel has opened. It makes no peer and no connection of ours, and it does not close the
 * stream. The node hands it to `tunnels`, which knows nothing of the protocol.
 */
import type { Duplex } from 'node:stream';
import {
  encodeBase,
  FrameDecoder,
  type FrameHead,
  type FrameSink,
  HEADER_BYTES,
  MAGIC,
  MessageDecoder,
  TYPE,
  TYPE_OF_KIND,
  typeLimitBytes,
} from '../protocol/index.js';
import { type Clock, ExoError, LIMITS, toExoError } from '../shared/index.js';
import type { TunnelProbe } from '../tunnels/index.js';

/**
 * A probe. With `padBytes` the request is made about so long by a field that no node reads (an old one reads no body at
 * all): messages under one segment show whether the path holds them back (Nagle). Throws `internal` for a padding that a
 * node would refuse (`LIMITS.helloBytesMax`).
 */
export function createTunnelProbe(clock: Clock): TunnelProbe {
  const plain = healthRequest(0);
  return async (stream, signal, { padBytes = 0 } = {}) =>
    check(stream, padBytes === 0 ? plain : healthRequest(padBytes), clock, signal);
}

function healthRequest(paddingBytes: number): Buffer {
  const message = { kind: 'health-request' } as const;
  const { text } = encodeBase(message);
  const body =
    paddingBytes === 0 ? Buffer.from(text) : Buffer.from(`{"padding": "${'.'.repeat(paddingBytes)}"}`);
  if (body.length > LIMITS.helloBytesMax) {
    throw new ExoError('internal', `a health check of ${body.length} bytes would be refused`);
  }
  const frame = Buffer.alloc(HEADER_BYTES + body.length);
  frame.set(MAGIC, 0);
  frame[MAGIC.length] = TYPE_OF_KIND[message.kind];
  frame.writeUInt32BE(body.length, MAGIC.length + 1);
  body.copy(frame, HEADER_BYTES);
  return frame;
}

function check(
  stream: Duplex,
  request: Buffer,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ readonly rttMs: number }> {
  return new Promise((resolve, reject) => {
    const startedAtMs = clock.now();
    const finish = (settle: () => void) => {
      stream.off('data', onData);
      stream.off('end', onEnd);
      stream.off('close', onEnd);
      stream.off('error', onError);
      signal.removeEventListener('abort', onAbort);
      // Whoever closes the stream later must not fall over what it still has to say.
      stream.on('error', () => undefined);
      settle();
    };
    const fail = (error: unknown) => finish(() => reject(error));
    const answer = new HealthAnswer(() => finish(() => resolve({ rttMs: clock.now() - startedAtMs })));
    const decoder = new FrameDecoder(answer);
    let bytesIn = 0;
    const onData = (chunk: Buffer) => {
      bytesIn += chunk.length;
      try {
        decoder.push(chunk);
      } catch (error) {
        fail(toExoError(error));
      }
    };
    const onEnd = () => fail(ended(bytesIn));
    // What the tunnel itself says (a policy of the server, nobody at the listener) is told as it is.
    const onError = (error: Error) =>
      fail(bytesIn === 0 && error instanceof ExoError ? error : ended(bytesIn, error));
    const onAbort = () => fail(signal.reason);
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    stream.on('data', onData);
    stream.on('end', onEnd);
    stream.on('close', onEnd);
    stream.on('error', onError);
    if (stream.destroyed) onEnd();
    else stream.write(request);
  });
}

/** Takes one health answer; anything else that is no such answer is a frame error. */
class HealthAnswer implements FrameSink {
  readonly #done: () => void;

  constructor(done: () => void) {
    this.#done = done;
  }

  checkHeader(type: number, length: number): void {
    if (type !== TYPE.healthResponse) {
      throw new ExoError(
        'frame-unknown-type',
        `a health check was answered by type 0x${type.toString(16)}; is this port really an exo node port?`,
      );
    }
    if (length > typeLimitBytes(TYPE.healthResponse)) {
      throw new ExoError('frame-too-large', `a health check was answered by ${length} bytes`);
    }
  }

  place(head: FrameHead): Buffer {
    return Buffer.alloc(head.bodyLength);
  }

  /** A node that says it is not healthy, or refuses in words, is there and answers: that is what a tunnel can prove. */
  frame(_head: FrameHead, body: Buffer | undefined): void {
    new MessageDecoder().decode(TYPE.healthResponse, body ?? Buffer.alloc(0));
    this.#done();
  }
}

function ended(bytesIn: number, cause?: Error): ExoError {
  return bytesIn === 0
    ? new ExoError('connection-closed', 'nothing listens at the far end of the forward', { cause })
    : new ExoError('frame-malformed', 'the far end closed in the middle of its answer', { cause });
}
