/**
 * Another node as a source of bytes: a range comes in answers as large as the link takes in a moment (`piece-size.ts`), the next of
 * which is asked for while one travels. Its bytes are checked as those of a hub: by the hash of the file.
 */
import { type Clock, ExoError, printable } from '../../shared/index.js';
import type { ByteRange } from '../download/ranges.js';
import type { Slots } from '../download/slots.js';
import type { ModelFile } from '../hub/answer.js';
import type { ByteSource, SourceBody } from '../hub/hub.js';
import type { PeerFiles } from './peer-files.js';
import type { PieceSize } from './piece-size.js';

/** What is asked of one other node, over all files. */
export interface PeerLane {
  /** Questions for bytes under way at once. */
  readonly slots: Slots;
  readonly size: PieceSize;
  readonly clock: Clock;
}

/** One other node. */
export class PeerSource implements ByteSource {
  readonly name: string;
  readonly #nodeId: string;
  readonly #port: PeerFiles;
  readonly #lane: PeerLane;

  constructor(nodeId: string, port: PeerFiles, lane: PeerLane) {
    this.name = `node ${printable(nodeId, 60)}`;
    this.#nodeId = nodeId;
    this.#port = port;
    this.#lane = lane;
  }

  async open(
    { repository }: { readonly repository: string },
    file: ModelFile,
    range: ByteRange | undefined,
    signal: AbortSignal,
  ): Promise<SourceBody> {
    const whole: ByteRange = range ?? [0, file.size];
    const ended = new AbortController();
    return {
      from: whole[0],
      isRange: range !== undefined,
      size: file.size,
      chunks: this.#chunks(repository, file, whole, AbortSignal.any([signal, ended.signal])),
      cancel: () => ended.abort(new ExoError('request-cancelled', 'no more bytes are needed')),
    };
  }

  async *#chunks(
    repository: string,
    file: ModelFile,
    range: ByteRange,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const [from, to] = range;
    let at = from;
    const asked: Array<Promise<Uint8Array>> = [];
    const ask = (): void => {
      if (at >= to) return;
      const piece: ByteRange = [at, Math.min(to, at + this.#lane.size.bytes)];
      at = piece[1];
      const answer = this.#piece(repository, file, piece, signal);
      // It is awaited in its turn, if the ones before it come.
      answer.catch(() => undefined);
      asked.push(answer);
    };
    ask();
    for (let next = asked.shift(); next !== undefined; next = asked.shift()) {
      ask();
      yield await next;
    }
  }

  async #piece(
    repository: string,
    { path, hash }: ModelFile,
    range: ByteRange,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const question = { repository, path, hash: hash.hex, range };
    const { slots, size, clock } = this.#lane;
    const bytes = await slots.run(signal, async () => {
      const askedMs = clock.now();
      const answer = await this.#port.read(this.#nodeId, question, signal);
      size.took(clock.now() - askedMs);
      return answer;
    });
    if (bytes.length === range[1] - range[0]) return bytes;
    throw new ExoError(
      'request-failed',
      `${this.name} sent ${bytes.length} bytes of ${printable(path)} where ${range[1] - range[0]} were asked for`,
    );
  }
}
