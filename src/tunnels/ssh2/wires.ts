/**
 * The connections that go through one session of the ssh2 driver: joins sockets of this machine with channels, counts them and
 * their bytes, and clears up when the session ends.
 */
import type { Socket } from 'node:net';
import type { Channel, Client, ClientChannel } from 'ssh2';
import { ExoError, LIMITS } from '../../shared/index.js';
import type { Endpoint } from '../description/tunnel-spec.js';
import { ChannelStream } from './channel-stream.js';
import type { Hop } from './hop.js';
import { splice } from './splice.js';

/** OpenSSH's and RFC 4254's reason for "the policy does not allow it". */
const PROHIBITED = 1;

/** One per session. */
export class Wires {
  in = 0;
  out = 0;
  readonly #hop: Hop;
  readonly #sockets = new Set<Socket>();
  readonly #streams = new Set<ChannelStream>();
  #ended = false;

  constructor(hop: Hop) {
    this.#hop = hop;
  }

  /** Counts a socket in until it is closed; false, and the socket destroyed, when there are too many. */
  admit(socket: Socket): boolean {
    if (this.#ended || this.#sockets.size >= LIMITS.tunnelChannelsMax) {
      socket.destroy();
      return false;
    }
    this.#sockets.add(socket);
    // A peer that goes away while its channel is being opened is no fault of anybody.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
    return true;
  }

  /** Carries bytes between an admitted socket and a channel from now on. */
  join(socket: Socket, channel: Channel): void {
    if (socket.destroyed || this.#ended) {
      channel.close();
      channel.resume();
      socket.destroy();
      return;
    }
    splice(socket, channel, {
      carrier: this.#hop.carrier,
      count: (inBytes, outBytes) => {
        this.in += inBytes;
        this.out += outBytes;
      },
    });
  }

  /** A channel as a stream for somebody outside, which ends with the session. */
  lend(channel: Channel): ChannelStream {
    const stream = new ChannelStream(channel);
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    if (this.#ended) stream.destroy();
    return stream;
  }

  /** Destroys what is left; resolves when it is gone. */
  async end(): Promise<void> {
    this.#ended = true;
    for (const stream of this.#streams) stream.destroy();
    await Promise.all(
      [...this.#sockets].map(
        (socket) =>
          new Promise<void>((resolve) => {
            socket.once('close', () => resolve());
            socket.destroy();
          }),
      ),
    );
  }
}

/** Why the far machine opened no connection: `connect-failed`, or `request-unsupported` where its policy forbids it. */
export class FarRefused extends ExoError {
  /** Trying again is of no use. */
  readonly prohibited: boolean;

  constructor(message: string, prohibited: boolean) {
    super(prohibited ? 'request-unsupported' : 'connect-failed', message);
    this.prohibited = prohibited;
  }
}

/**
 * A connection from the far machine to `target`. Rejects with `FarRefused`, `connection-closed`, or the signal's reason; a
 * channel that comes after that is closed.
 */
export function openFar(
  client: Client,
  target: Endpoint,
  origin: { readonly host: string; readonly port: number },
  signal?: AbortSignal,
): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => reject(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    const done = (
      error: (Error & { reason?: number | string }) | undefined,
      channel: ClientChannel,
    ): void => {
      signal?.removeEventListener('abort', onAbort);
      if (error) {
        reject(
          typeof error.reason === 'number'
            ? new FarRefused(
                `the far machine refused the connection: ${error.message}`,
                error.reason === PROHIBITED,
              )
            : closed(error),
        );
        return;
      }
      // Whoever takes it over listens; until then, and for those that do not, a broken session must not throw.
      channel.on('error', () => undefined);
      if (signal?.aborted) {
        channel.close();
        channel.resume();
      } else resolve(channel);
    };
    try {
      if (target.kind === 'unix') client.openssh_forwardOutStreamLocal(target.path, done);
      else client.forwardOut(origin.host, origin.port, target.host, target.port, done);
    } catch (error) {
      signal?.removeEventListener('abort', onAbort);
      reject(closed(error));
    }
  });
}

function closed(cause: unknown): ExoError {
  return new ExoError('connection-closed', 'the ssh session has ended', { retryable: true, cause });
}
