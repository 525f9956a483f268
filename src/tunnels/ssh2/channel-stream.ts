/**
 * A channel of ssh2 as an ordinary Duplex: it can be destroyed, says `close` whatever was read of it, and keeps half-open
 * connections. For streams that leave the driver (`connectFar`); the forwards join channels directly (splice.ts).
 */
import { Duplex } from 'node:stream';
import type { Channel } from 'ssh2';

type Done = (error?: Error | null) => void;

/** Takes the channel over. */
export class ChannelStream extends Duplex {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    super({ allowHalfOpen: true });
    this.#channel = channel;
    channel.on('data', (chunk: Buffer) => {
      if (!this.destroyed && !this.push(chunk)) channel.pause();
    });
    channel.on('end', () => {
      if (!this.destroyed) this.push(null);
    });
    channel.on('error', (error: Error) => this.destroy(error));
    channel.on('close', () => {
      // What has come is read first; what is written goes nowhere any more.
      if (this.readableEnded) this.destroy();
      else this.once('end', () => this.destroy());
    });
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: Done): void {
    this.#channel.write(chunk, encoding, done);
  }

  override _final(done: Done): void {
    // The callback of an empty write comes when all before it has been handed to the session.
    this.#channel.write('', () => {
      this.#channel.eof();
      done();
    });
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#channel.close();
    // ssh2 forgets a channel when it was read to the end.
    this.#channel.resume();
    done(error);
  }
}
