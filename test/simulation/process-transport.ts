/**
 * The sockets of one simulated process: what it dialled and accepted, so that a kill closes them as a kernel does, a stop of the
 * process holds back the end of its dials, and what is left open after its stop can be counted.
 */
import type { ByteStream, DialOptions, Listener, Transport } from '../../src/protocol/index.js';
import type { Address } from '../../src/shared/index.js';

/** A stream of the in-memory network. */
type OpenStream = ByteStream & { readonly closed: boolean };

/** How a process ends without its own doing. `power`: nobody is told. */
export type SuddenEnd = 'kill' | 'power';

/** A transport that belongs to one process. */
export class ProcessTransport implements Transport {
  readonly #network: Transport;
  readonly #streams = new Set<OpenStream>();
  readonly #listeners = new Set<Listener>();
  readonly #dials = new Set<AbortController>();
  #waiting: Array<() => void> = [];
  #state: 'running' | 'paused' | 'dead' = 'running';

  constructor(network: Transport) {
    this.#network = network;
  }

  /** Streams that are open. */
  get openStreams(): number {
    this.#sweep();
    return this.#streams.size;
  }

  /** Open streams to another machine, whichever side dialled. */
  openStreamsTo(host: string): number {
    this.#sweep();
    return [...this.#streams].filter(({ remoteHost }) => remoteHost === host).length;
  }

  /** Dials without an end. */
  get openDials(): number {
    return this.#dials.size;
  }

  dial(address: Address, options: DialOptions): Promise<ByteStream> {
    const abort = new AbortController();
    const signal =
      options.signal === undefined ? abort.signal : AbortSignal.any([abort.signal, options.signal]);
    this.#dials.add(abort);
    const end = (settle: () => void) =>
      this.#gate(() => {
        this.#dials.delete(abort);
        settle();
      });
    return new Promise((resolve, reject) => {
      this.#network.dial(address, { ...options, signal }).then(
        (stream) => end(() => resolve(this.#track(stream))),
        (error: unknown) => end(() => reject(error)),
      );
    });
  }

  listen(address: Address, onStream: (stream: ByteStream) => void): Listener {
    const listener = this.#network.listen(address, (stream) => onStream(this.#track(stream)));
    this.#listeners.add(listener);
    return listener;
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
  }

  /** The process is gone: nothing of it hears anything any more. */
  end(how: SuddenEnd): void {
    this.#state = 'dead';
    this.#waiting = [];
    for (const listener of this.#listeners) void listener.stop();
    for (const dial of this.#dials) dial.abort();
    for (const stream of this.#streams) {
      stream.onData = ignore;
      stream.onDrain = ignore;
      stream.onEnd = ignore;
      stream.onClose = ignore;
      if (how === 'kill') stream.destroy();
    }
    this.#streams.clear();
  }

  #gate(run: () => void): void {
    if (this.#state === 'running') run();
    else if (this.#state === 'paused') this.#waiting.push(run);
  }

  #track(stream: ByteStream): ByteStream {
    if (this.#streams.size > 64) this.#sweep();
    this.#streams.add(stream as OpenStream);
    return stream;
  }

  #sweep(): void {
    for (const stream of this.#streams) if (stream.closed) this.#streams.delete(stream);
  }
}

const ignore = (): void => undefined;
