/**
 * Joins a socket and an ssh channel: backpressure and half-close both ways, and neither outlives the other. Used by the driver
 * (`-L`, `-R`) and by the embedded server.
 *
 * A channel of ssh2 is no ordinary stream: it says `close` only after its reading side has been read to the end, the server's
 * `end()` closes both directions, and what is written to it goes to the session's socket whether that is full or not.
 */
import type { Socket } from 'node:net';
import type { Channel } from 'ssh2';

/** The socket that carries the whole session, as far as writers to its channels must know it. */
export interface Carrier {
  /** More than its share waits to be sent: write no more. */
  full(): boolean;
  /** Calls `fn` once when there is room again. */
  onRoom(fn: () => void): void;
}

/** What to do on the way. */
export interface SpliceOptions {
  readonly carrier: Carrier;
  /** Bytes that came out of the channel and went into it. */
  count?(inBytes: number, outBytes: number): void;
}

/**
 * Joins the two at once. The socket must be connected and made with `allowHalfOpen`. A socket that does not take what came
 * out of a channel that has ended stays until it does: whoever ends the session destroys its sockets.
 */
export function splice(socket: Socket, channel: Channel, options: SpliceOptions): void {
  /** The end of what the socket says: seen here, and handed to the session with all before it. */
  let socketEnd: 'open' | 'seen' | 'sent' = 'open';
  let channelEnded = false;
  const closeChannel = (): void => {
    channel.close();
    // `close` is said when everything was read; nobody will read it now.
    channel.resume();
  };
  const closeWhenBothEnded = (): void => {
    if (socketEnd === 'sent' && channelEnded) channel.close();
  };

  socket.on('data', (chunk: Buffer) => {
    options.count?.(0, chunk.length);
    const taken = channel.write(chunk);
    if (!taken) {
      socket.pause();
      channel.once('drain', () => socket.resume());
    } else if (options.carrier.full()) {
      socket.pause();
      options.carrier.onRoom(() => socket.resume());
    }
  });
  socket.on('end', () => {
    socketEnd = 'seen';
    // The callback of an empty write comes when all before it has been handed to the session.
    channel.write('', () => {
      socketEnd = 'sent';
      channel.eof();
      if (socket.closed) closeChannel();
      else closeWhenBothEnded();
    });
  });
  socket.on('error', closeChannel);
  socket.on('close', () => {
    // What it said to its end may still wait for the far side's window.
    if (socketEnd !== 'seen') closeChannel();
    else channel.resume();
  });

  channel.on('data', (chunk: Buffer) => {
    if (socket.destroyed) return;
    options.count?.(chunk.length, 0);
    if (!socket.write(chunk)) channel.pause();
  });
  socket.on('drain', () => channel.resume());
  channel.on('end', () => {
    channelEnded = true;
    if (!socket.destroyed) socket.end();
    closeWhenBothEnded();
  });
  channel.on('error', closeChannel);
  channel.on('close', () => socket.destroySoon());
  socket.resume();
}

/** The carrier of a session whose bytes go through `stream` (a socket, or a channel of the session before it). */
export function carrierOf(stream: NodeJS.WritableStream & { readonly writableNeedDrain: boolean }): Carrier {
  let waiting: Array<() => void> = [];
  stream.on('drain', () => {
    const now = waiting;
    waiting = [];
    for (const fn of now) fn();
  });
  return {
    full: () => stream.writableNeedDrain,
    onRoom: (fn) => {
      waiting.push(fn);
    },
  };
}
