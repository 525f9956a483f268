/**
 * The ways from here to addresses that the far machine sees, as long as one session stands: for each address a unix
 * socket in the session's folder, forwarded at the first need. The session has one.
 */
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { ExoError, LIMITS, printable, unlessAborted } from '../../shared/index.js';
import type { Endpoint } from '../description/tunnel-spec.js';
import type { ForwardDesk } from './control.js';
import { FarStream } from './far-stream.js';
import { explainFarRefusal } from './ssh-said.js';

/** Open until `close`. */
export class FarDoor {
  readonly #folder: string;
  readonly #desk: ForwardDesk;
  /** Address → path of the socket. */
  readonly #ways = new Map<string, Promise<string>>();
  readonly #streams = new Set<Duplex>();
  #closed = false;

  /** @param folder only its owner may enter it */
  constructor(folder: string, desk: ForwardDesk) {
    this.#folder = folder;
    this.#desk = desk;
  }

  /** As `TunnelSession.connectFar`. */
  async connect(target: Endpoint, signal: AbortSignal): Promise<Duplex> {
    signal.throwIfAborted();
    // An ssh that stands still answers nothing.
    const socket = await unlessAborted(this.#wayTo(target), signal);
    const mark = this.#desk.mark();
    const stream = await FarStream.connect(socket, () => this.#whyRefused(target, mark), signal);
    if (this.#closed) {
      stream.destroy();
      throw ended();
    }
    this.#streams.add(stream);
    // A session may end at any time; that must not bring the node down where nobody listens yet.
    stream.on('error', () => undefined);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }

  /** Cuts every stream. */
  close(): void {
    this.#closed = true;
    for (const stream of this.#streams) stream.destroy(ended());
  }

  #wayTo(target: Endpoint): Promise<string> {
    const key = JSON.stringify(target);
    let way = this.#ways.get(key);
    if (way === undefined) {
      way = this.#make(target);
      this.#ways.set(key, way);
      way.catch(() => this.#ways.delete(key));
    }
    return way;
  }

  async #make(target: Endpoint): Promise<string> {
    if (this.#closed) throw ended();
    if (this.#ways.size >= LIMITS.tunnelFarAddressesMax) {
      throw new ExoError(
        'tunnel-failed',
        `a tunnel leads to at most ${LIMITS.tunnelFarAddressesMax} addresses of the far machine`,
      );
    }
    const socket = path.join(this.#folder, `f${this.#ways.size}`);
    const answer = await this.#desk.control.forward('L', { kind: 'unix', path: socket }, target);
    if (answer.kind === 'stands') return socket;
    throw new ExoError('tunnel-failed', `ssh could not listen on ${socket} (${printable(answer.text)})`);
  }

  async #whyRefused(target: Endpoint, mark: number): Promise<ExoError | undefined> {
    if (this.#closed) return ended();
    const reason = explainFarRefusal(await this.#desk.saidSince(mark).catch(() => ''));
    if (reason === undefined) return undefined;
    const where = target.kind === 'unix' ? target.path : `port ${target.port} of ${target.host}`;
    return reason.kind === 'policy'
      ? new ExoError(
          'request-unsupported',
          `the policy of the far machine forbids to connect to ${where} from there`,
        )
      : new ExoError(
          'connect-failed',
          `the far machine cannot connect to ${where} (${printable(reason.text)})`,
          {
            retryable: true,
          },
        );
  }
}

function ended(): ExoError {
  return new ExoError('connection-closed', 'the ssh session ended', { retryable: true });
}
