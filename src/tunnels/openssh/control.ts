/**
 * A connection to the control socket of our own ssh, over which it is asked for forwards. While it is open ssh stays, also
 * when its session on the far machine has ended. The attempt makes one.
 */
import net from 'node:net';
import { ExoError, LIMITS } from '../../shared/index.js';
import type { Endpoint } from '../description/tunnel-spec.js';
import {
  LengthPrefixed,
  MUX_VERSION,
  type MuxAnswer,
  muxAliveCheck,
  muxHello,
  muxOpenForward,
  readMuxAnswer,
} from './mux-protocol.js';

/** What became of one forward. */
export type ForwardAnswer =
  | { readonly kind: 'stands'; readonly port: number | undefined }
  | { readonly kind: 'refused'; readonly text: string };

/** A control connection together with what its ssh writes meanwhile. */
export interface ForwardDesk {
  readonly control: Control;
  /** A place in what ssh writes to stderr. */
  mark(): number;
  /** What it has written since, as far as it is kept; resolves when all of it has been read. Rejects when ssh has ended. */
  saidSince(mark: number): Promise<string>;
}

interface Waiting {
  resolve(answer: MuxAnswer): void;
  reject(error: unknown): void;
}

/** One connection to a master. */
export class Control {
  readonly #socket: net.Socket;
  readonly #messages = new LengthPrefixed(LIMITS.muxMessageBytesMax);
  readonly #waiting = new Map<number, Waiting>();
  /** The handshake has id 0: a hello carries none. */
  #nextId = 1;
  #ended: ExoError | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('data', this.#onData);
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(undefined));
  }

  /**
   * Connects and shakes hands.
   * @throws tunnel-failed when nothing listens at `path` (yet), or something else does
   */
  static async open(path: string): Promise<Control> {
    const control = new Control(net.connect({ path, allowHalfOpen: false }));
    try {
      const hello = await control.#ask(0, muxHello());
      if (hello.kind !== 'hello' || hello.version !== MUX_VERSION) {
        throw new ExoError('tunnel-failed', 'the control socket of ssh speaks an unknown version');
      }
    } catch (error) {
      control.close();
      throw error;
    }
    return control;
  }

  /** The pid that the master says it has. Also a fence: it has done everything that was asked for before. */
  async pid(): Promise<number | undefined> {
    const id = this.#nextId++;
    const answer = await this.#ask(id, muxAliveCheck(id));
    return answer.kind === 'alive' ? answer.pid : undefined;
  }

  /** Resolves when the forward stands or is refused. @throws connection-closed when ssh ends first */
  async forward(kind: 'L' | 'R', listen: Endpoint, target: Endpoint): Promise<ForwardAnswer> {
    const id = this.#nextId++;
    const answer = await this.#ask(id, muxOpenForward(id, kind, listen, target));
    if (answer.kind === 'ok')
      return { kind: 'stands', port: listen.kind === 'tcp' ? listen.port : undefined };
    if (answer.kind === 'port') return { kind: 'stands', port: answer.port };
    return {
      kind: 'refused',
      text: answer.kind === 'refused' ? answer.text : 'an answer that was not expected',
    };
  }

  /** Ends the connection; what waits is rejected. Idempotent. */
  close(): void {
    this.#end(undefined);
    this.#socket.destroy();
  }

  #ask(id: number, request: Buffer): Promise<MuxAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      this.#waiting.set(id, { resolve, reject });
      this.#socket.write(request);
    });
  }

  readonly #onData = (bytes: Buffer): void => {
    try {
      for (const body of this.#messages.push(bytes)) this.#take(readMuxAnswer(body));
    } catch (error) {
      this.#end(error);
      this.#socket.destroy();
    }
  };

  #take(answer: MuxAnswer): void {
    if (answer.kind === 'other') return;
    const id = answer.kind === 'hello' ? 0 : answer.id;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.resolve(answer);
  }

  #end(cause: unknown): void {
    this.#ended ??= new ExoError('connection-closed', 'ssh ended', { retryable: true, cause });
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
    this.#waiting.clear();
  }
}
