/**
 * One file of a model on its way to disk: under its lock, in parts side by side, each part resumed where it broke, the whole
 * checked by its hash before it gets its name. Which ranges are wanted says `download.ts`; how bytes are kept
 * `download-partial.ts`.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type Clock, ExoError, printable, type Random, sleep } from '../../shared/index.js';
import { type Lock, takeLock } from '../disk/lock.js';
import type { ModelFile } from '../hub/answer.js';
import { HubError } from '../hub/failure.js';
import type { ByteSource, SourceBody } from '../hub/hub.js';
import type { FileSharing, ShareStep, Sharing } from '../peers/sharing.js';
import { type ModelRecord, STATE_FOLDER } from '../store/record.js';
import { notAllHere, writeFailure } from './failure.js';
import type { FetchRates } from './fetch-rates.js';
import { hashFile } from './hash.js';
import { PARTIAL_SUFFIX, PartialFile, type RangeWriter } from './partial.js';
import type { ProgressMeter } from './progress.js';
import { type ByteRange, normalized, split, sum, without } from './ranges.js';
import type { Retries } from './retry.js';
import { allOrNone, type Slots } from './slots.js';

/** What the files of one download share. */
export interface FetchContext {
  readonly directory: string;
  readonly model: { readonly repository: string; readonly commit: string };
  /** Undefined: no hub may be asked. */
  readonly hub: ByteSource | undefined;
  /** Undefined: there are no other nodes. */
  readonly sharing: Sharing | undefined;
  readonly retries: Retries;
  readonly slots: Slots;
  readonly meter: ProgressMeter;
  /** Told how fast it comes. */
  readonly rates: FetchRates | undefined;
  readonly record: ModelRecord;
  /** Compare sizes, not hashes, of what is there. */
  readonly quick: boolean;
  readonly partBytes: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** One file, locked. */
export class FileFetch {
  readonly #context: FetchContext;
  readonly #file: ModelFile;
  readonly #lock: Lock;
  #partial: PartialFile | undefined;
  /** Undefined where no other node is asked for the file, or not any more. */
  #sharing: FileSharing | undefined;
  /** Nodes of which bytes were taken. */
  readonly #givers = new Set<string>();
  /** Whether the hub takes ranges, once it has answered a request for one. */
  #takesRanges: boolean | undefined;

  private constructor(context: FetchContext, file: ModelFile, lock: Lock) {
    this.#context = context;
    this.#file = file;
    this.#lock = lock;
    this.#sharing = context.sharing?.file(context.model.repository, file);
  }

  /** Waits for the lock of the file, and looks what is there of it. */
  static async open(context: FetchContext, file: ModelFile, signal: AbortSignal): Promise<FileFetch> {
    const { meter, directory, clock, random } = context;
    let lock: Lock;
    try {
      lock = await takeLock(path.join(directory, STATE_FOLDER), file.path, { clock, random }, signal, () =>
        meter.waiting(file.path, true),
      );
    } catch (error) {
      throw signal.aborted ? error : writeFailure(path.join(directory, STATE_FOLDER), error);
    }
    meter.waiting(file.path, false);
    const fetch = new FileFetch(context, file, lock);
    try {
      if (await fetch.#isThere(signal)) return fetch;
      fetch.#partial = await PartialFile.open(
        fetch.#path,
        { size: file.size, identity: file.hash.hex, quick: context.quick },
        clock,
        signal,
      );
      return fetch;
    } catch (error) {
      await fetch.close();
      throw error;
    }
  }

  /** The whole file is there under its name, and is what it should be. */
  get isComplete(): boolean {
    return this.#partial === undefined;
  }

  /** What is there, normalized. */
  get present(): readonly ByteRange[] {
    return this.#partial?.present ?? [[0, this.#file.size]];
  }

  /** Bytes that are there and not complete yet. */
  read(range: ByteRange): Promise<Buffer> {
    if (this.#partial === undefined) throw new Error('a complete file is read by its name');
    return this.#partial.read(range);
  }

  /**
   * Fetches what is missing of `wanted`. A source that knows no ranges sends everything: then all of it is kept, and the file is
   * complete afterwards.
   */
  async ensure(wanted: readonly ByteRange[], signal: AbortSignal): Promise<void> {
    const partial = this.#partial;
    if (partial === undefined) return;
    const [first, ...rest] = split(without(normalized(wanted), partial.present), this.#context.partBytes);
    if (first !== undefined) {
      // The first answer tells whether there are ranges at all; the other parts wait for it.
      let told: () => void = () => undefined;
      const head = new Promise<void>((resolve) => {
        told = resolve;
      });
      await allOrNone(signal, [
        async (inner) => this.#part(first, inner, told).finally(told),
        async (inner) => {
          await head;
          if (this.#takesRanges === false) return;
          await allOrNone(
            inner,
            rest.map((part) => (deepest) => this.#part(part, deepest, () => undefined)),
          );
        },
      ]);
      if (this.#takesRanges === false) await this.#fetchRest(signal);
    }
    if (sum(partial.present) === this.#file.size) await this.#finish(signal);
  }

  /** Fetches all of it. */
  ensureAll(signal: AbortSignal): Promise<void> {
    // An empty file has no byte that could be missing.
    return this.#file.size === 0 ? this.#finish(signal) : this.ensure([[0, this.#file.size]], signal);
  }

  /** Lets others have it. Idempotent. */
  async close(): Promise<void> {
    const partial = this.#partial;
    this.#partial = undefined;
    try {
      await partial?.close();
    } finally {
      await this.#lock.release();
    }
  }

  get #path(): string {
    return path.join(this.#context.directory, this.#file.path);
  }

  /** Whether the file has its name and is the one that the hub means: by its record, else by its hash. */
  async #isThere(signal: AbortSignal): Promise<boolean> {
    const { record, quick } = this.#context;
    const stats = await stat(this.#path).catch(() => undefined);
    if (stats === undefined || !stats.isFile() || stats.size !== this.#file.size) return false;
    if (quick || record.isVerified(this.#file, stats)) return true;
    if ((await hashFile(this.#path, this.#file.hash.kind, signal)) !== this.#file.hash.hex) return false;
    await record.verified(this.#file);
    return true;
  }

  /** Where the source sends only whole files and something is still missing, it is asked until nothing is. */
  async #fetchRest(signal: AbortSignal): Promise<void> {
    while (sum(this.#partial!.present) < this.#file.size)
      await this.#part([0, this.#file.size], signal, () => undefined);
  }

  #part(range: ByteRange, signal: AbortSignal, onHead: () => void): Promise<void> {
    return this.#context.slots.run(signal, async () => {
      for (;;) {
        const missing = without([range], this.#partial!.present);
        if (missing.length === 0) return;
        const step = await this.#sharing?.next(missing, this.#context.hub !== undefined, signal);
        if (step === undefined) await this.#fromHub(range, signal, onHead);
        else await this.#take(step, signal, onHead);
      }
    });
  }

  async #take(step: ShareStep, signal: AbortSignal, onHead: () => void): Promise<void> {
    const { meter, clock } = this.#context;
    switch (step.kind) {
      case 'hub':
        try {
          await this.#fromHub(step.range, signal, onHead);
        } finally {
          step.done();
        }
        return;
      case 'peer':
        onHead();
        this.#givers.add(step.nodeId);
        await this.#fromPeer(step, signal, onHead);
        return;
      case 'wait':
        onHead();
        meter.waiting(this.#file.path, true);
        await sleep(clock, step.delayMs, signal);
    }
  }

  async #fromPeer(
    { source, range, nodeId }: Extract<ShareStep, { readonly kind: 'peer' }>,
    signal: AbortSignal,
    onHead: () => void,
  ): Promise<void> {
    let gaveSome = false;
    const progressed = (): void => {
      gaveSome = true;
    };
    try {
      await this.#stream(source, range, signal, progressed, onHead, true);
    } catch (error) {
      if (signal.aborted || !isAboutSource(error)) throw error;
      this.#sharing?.failed(nodeId, error, gaveSome);
    }
  }

  #fromHub(range: ByteRange, signal: AbortSignal, onHead: () => void): Promise<void> {
    const { retries, hub } = this.#context;
    return retries.run(signal, async (progressed) => {
      if (hub === undefined) throw notAllHere(this.#context.model.repository, this.#file.path);
      for (const missing of without([range], this.#partial!.present)) {
        await this.#stream(hub, missing, signal, progressed, onHead);
      }
    });
  }

  /** One request: what comes and is missing is written, until `to` or, without ranges, to the end. */
  async #stream(
    source: ByteSource,
    [from, to]: ByteRange,
    signal: AbortSignal,
    progressed: () => void,
    onHead: () => void,
    isPeer = false,
  ): Promise<void> {
    const { model, meter, rates } = this.#context;
    const { size, path: name } = this.#file;
    const isAll = from === 0 && to === size;
    const watch = rates?.begin(isPeer ? 'peers' : 'hub');
    let body: SourceBody | undefined;
    let writer: RangeWriter | undefined;
    try {
      body = await source.open(model, this.#file, isAll ? undefined : [from, to], signal);
      this.#checkSize(source, body);
      if (!isAll && !isPeer) this.#takesRanges ??= body.isRange;
      onHead();
      const limit = body.isRange || isPeer || this.#takesRanges === true ? to : size;
      let at = body.from;
      for await (const chunk of body.chunks) {
        const end = Math.min(at + chunk.length, limit);
        for (const [begin, stop] of without([[at, end]], this.#partial!.present)) {
          if (writer?.at !== begin) {
            await writer?.close();
            writer = await this.#partial!.writer([begin, limit]);
          }
          await writer.write(chunk.subarray(begin - at, stop - at));
          meter.add(name, stop - begin);
          progressed();
        }
        at += chunk.length;
        watch?.came(chunk.length);
        if (at >= limit) break;
      }
      if (at < limit) {
        throw new HubError(
          'hub-unreachable',
          `${source.name} ended before all bytes of ${printable(name)} came`,
          {
            retryable: true,
          },
        );
      }
    } finally {
      watch?.end();
      body?.cancel();
      // What could not be recorded is found when the file is opened again.
      await writer?.close().catch(() => undefined);
    }
  }

  #checkSize(source: ByteSource, body: SourceBody): void {
    if (body.size === undefined || body.size === this.#file.size) return;
    throw new HubError(
      'hub-invalid',
      `${source.name} has ${body.size} bytes of ${printable(this.#file.path)} where it listed ${this.#file.size}; ask again, the model may have just changed`,
      { retryable: false },
    );
  }

  /** Checks the hash and gives the file its name; wrong bytes are fetched once more, from the hub. */
  async #finish(signal: AbortSignal): Promise<void> {
    const { meter, record } = this.#context;
    const { hash, path: name, size } = this.#file;
    for (let isSecond = false; ; isSecond = true) {
      const partial = this.#partial!;
      if ((await hashFile(`${this.#path}${PARTIAL_SUFFIX}`, hash.kind, signal)) === hash.hex) {
        this.#partial = undefined;
        const seen = this.#sharing?.keep();
        try {
          await partial.finish();
          await record.verified(this.#file);
        } finally {
          seen?.();
        }
        meter.complete(name);
        return;
      }
      await partial.discard();
      if (isSecond || size === 0) throw this.#corrupt();
      meter.set(name, size, 0);
      // Whose bytes were wrong cannot be told: the hub's count. Without one, those of nodes that gave none of these.
      if (this.#context.hub !== undefined) this.#sharing = undefined;
      for (const nodeId of this.#givers) this.#sharing?.avoid(nodeId);
      const parts = split([[0, size]], this.#context.partBytes);
      await allOrNone(
        signal,
        (this.#takesRanges === false ? [[0, size] as ByteRange] : parts).map(
          (part) => (inner) => this.#part(part, inner, () => undefined),
        ),
      );
    }
  }

  #corrupt(): ExoError {
    return new ExoError(
      'download-corrupt',
      `${printable(this.#file.path)} of ${printable(this.#context.model.repository)} came twice with bytes that do not have its hash; ask again later, or take another mirror with HF_ENDPOINT`,
    );
  }
}

/** Not the disk, nor a fault of this program. */
function isAboutSource(error: unknown): boolean {
  return error instanceof ExoError && error.code !== 'disk-full' && error.code !== 'state-unwritable';
}
