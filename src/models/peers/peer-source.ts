/**
 * Another node as a source of bytes: a range comes in answers of at most `LIMITS.fileBytesMax`, the next of which is asked for
 * while one is read. Its bytes are checked as those of a hub: by the hash of the file.
 */
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import { type ByteRange, split } from '../download/ranges.js';
import type { Slots } from '../download/slots.js';
import type { ModelFile } from '../hub/answer.js';
import type { ByteSource, SourceBody } from '../hub/hub.js';
import type { PeerFiles } from './peer-files.js';

/** One other node. */
export class PeerSource implements ByteSource {
  readonly name: string;
  readonly #nodeId: string;
  readonly #port: PeerFiles;
  readonly #slots: Slots;

  /** @param slots questions for bytes to this node under way at once, over all files */
  constructor(nodeId: string, port: PeerFiles, slots: Slots) {
    this.name = `node ${printable(nodeId, 60)}`;
    this.#nodeId = nodeId;
    this.#port = port;
    this.#slots = slots;
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
    const pieces = split([range], LIMITS.fileBytesMax);
    const asked: Array<Promise<Uint8Array>> = [];
    const ask = (): void => {
      const piece = pieces.shift();
      if (piece === undefined) return;
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
    const bytes = await this.#slots.run(signal, () => this.#port.read(this.#nodeId, question, signal));
    if (bytes.length === range[1] - range[0]) return bytes;
    throw new ExoError(
      'request-failed',
      `${this.name} sent ${bytes.length} bytes of ${printable(path)} where ${range[1] - range[0]} were asked for`,
    );
  }
}
