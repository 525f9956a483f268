/**
 * Fetches what a node needs of a model: the small files, then of the weights those files, or those ranges of them, in which its
 * layers lie. The model's own kind is checked before anything large comes. What is there already is not asked for again. Called by
 * the node and by `exo model pull`.
 */
import { mkdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import { CHECKPOINT_FILE } from '../checkpoint/checkpoint.js';
import { CHECKPOINT_INDEX, parseCheckpointIndex } from '../checkpoint/checkpoint-index.js';
import {
  parseSafetensorsHeader,
  readSafetensors,
  SAFETENSORS_LENGTH_BYTES,
  type SafetensorsEntry,
  safetensorsHeaderBytes,
} from '../checkpoint/safetensors.js';
import type { ModelFile } from '../hub/answer.js';
import { ModelRecord } from '../store/record.js';
import { writeFailure } from './failure.js';
import { type FetchContext, FileFetch } from './file.js';
import { newestListing, settledListing } from './listing.js';
import { recordedRanges } from './partial.js';
import {
  CONFIG_FILE,
  type FileNeed,
  isTied,
  type LayerRange,
  layersOf,
  neededRanges,
  needsByFile,
  smallFiles,
} from './plan.js';
import { ProgressMeter } from './progress.js';
import { type ByteRange, common, normalized, sum } from './ranges.js';
import type { DownloadComponents, Downloaded, DownloadRequest } from './request.js';
import { Retries } from './retry.js';
import { assertRoom } from './room.js';
import { allOrNone, Slots } from './slots.js';

/** A file of weights and what is needed of it. */
interface Weights {
  readonly file: ModelFile;
  readonly ranges: 'all' | readonly ByteRange[];
}

/** The header of a file is nearly always within its first bytes. */
const HEADER_GUESS_BYTES = 64 * 1024;

/**
 * Fetches it. Throws `model-unknown`, `model-unsupported`, `hub-refused`, `hub-unreachable`, `hub-invalid`, `download-corrupt`,
 * `disk-full`, `state-unwritable`, or the signal's reason; what was fetched until then stays for the next time.
 */
export async function downloadModel(
  request: DownloadRequest,
  components: DownloadComponents,
  signal: AbortSignal,
): Promise<Downloaded> {
  const { repository, revision = 'main', directory } = request;
  const { hub, sharing, clock, random } = components;
  const retries = new Retries({ clock, random });
  const record = new ModelRecord(directory, { clock, random });
  const model = { repository, revision };
  const { commit, files } =
    hub === undefined || request.settled === true
      ? await settledListing({ hub, sharing, record, retries }, model, signal)
      : await newestListing(hub, retries, model, signal);
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    throw writeFailure(directory, error);
  }
  await record.listed({ repository, revision, commit }, files);
  const meter = new ProgressMeter(
    { repository, revision },
    clock,
    components.onProgress ?? (() => undefined),
  );
  const context: FetchContext = {
    directory,
    model: { repository, commit },
    hub,
    sharing,
    retries,
    slots: new Slots(request.parallelMax),
    meter,
    rates: components.rates,
    record,
    quick: request.quick ?? false,
    partBytes: request.partBytes ?? LIMITS.downloadPartBytes,
    clock,
    random,
  };
  const run = new ModelDownload(context, files, request);
  await run.fetchSmall(components.checkConfig, signal);
  if (request.smallOnly === true) {
    await run.fetchHeader(signal);
    run.forgetWeights();
  } else {
    const weights = await run.planWeights(signal);
    await run.checkRoom(weights);
    meter.begin(run.shard);
    await allOrNone(
      signal,
      weights.map((each) => (inner: AbortSignal) => run.fetchWeights(each, inner)),
    );
  }
  meter.end();
  return { directory, commit, progress: meter.snapshot };
}

/** One download under way. */
class ModelDownload {
  readonly #context: FetchContext;
  readonly #files: ReadonlyMap<string, ModelFile>;
  readonly #wanted: DownloadRequest['shard'];
  #shard: LayerRange | undefined;
  /** Files that are being fetched; each holds a lock and two descriptors. */
  readonly #places: Slots;

  constructor(context: FetchContext, files: readonly ModelFile[], request: DownloadRequest) {
    this.#context = context;
    this.#files = new Map(files.map((file) => [file.path, file]));
    this.#wanted = request.shard;
    this.#places = new Slots(request.parallelMax);
  }

  /** Known once the configuration is there; undefined: the whole model. */
  get shard(): LayerRange | undefined {
    return this.#shard;
  }

  /** The configuration first, and alone: a model of a kind that is not computed costs no more than that. */
  async fetchSmall(check: ((config: unknown) => void) | undefined, signal: AbortSignal): Promise<void> {
    const names = smallFiles([...this.#files.keys()]);
    if (!names.includes(CONFIG_FILE)) throw this.#unsupported(`has no ${CONFIG_FILE}`);
    for (const name of names) {
      const { size } = this.#files.get(name)!;
      if (size > LIMITS.tokenizerBytesMax) throw this.#unsupported(`has a ${name} of ${size} bytes`);
    }
    await this.#expectAll(names);
    await this.#fetchAll(CONFIG_FILE, signal);
    const config = await this.#json(CONFIG_FILE);
    check?.(config);
    this.#shard = this.#shardOf(config);
    await allOrNone(
      signal,
      names.slice(1).map((name) => (inner: AbortSignal) => this.#fetchAll(name, inner)),
    );
    this.#context.meter.endSmall();
  }

  /** No weights are fetched now. */
  forgetWeights(): void {
    for (const name of this.#files.keys()) if (isWeights(name)) this.#context.meter.drop(name);
  }

  /** Where the weights lie is told by an index, or by the only file's own header. */
  async fetchHeader(signal: AbortSignal): Promise<void> {
    const file = this.#files.get(CHECKPOINT_FILE);
    if (file !== undefined) await this.#header(file, signal);
  }

  /** Which files of weights are needed, and what of them. */
  async planWeights(signal: AbortSignal): Promise<Weights[]> {
    const { needs, tied } = await this.#needs();
    const missing = [...needs.keys()].filter((name) => !this.#files.has(name));
    if (missing.length > 0) {
      throw this.#unsupported(
        `has no ${missing
          .slice(0, 3)
          .map((name) => printable(name))
          .join(', ')}, which its index names`,
      );
    }
    const headers = new Map<string, Header>();
    await allOrNone(
      signal,
      [...needs]
        .filter(([, need]) => need === 'some')
        .map(([name]) => async (inner: AbortSignal) => {
          headers.set(name, await this.#places.run(inner, () => this.#header(this.#files.get(name)!, inner)));
        }),
    );
    const isTiedModel = tied ?? isTied([...headers.values()].flatMap(({ tensors }) => [...tensors.keys()]));
    const weights: Weights[] = [];
    for (const [name, need] of needs) {
      const file = this.#files.get(name)!;
      const header = headers.get(name);
      if (need === 'none') continue;
      const ranges =
        header === undefined ? 'all' : neededRanges({ size: file.size, ...header }, this.#shard, isTiedModel);
      weights.push({ file, ranges });
    }
    this.forgetWeights();
    for (const each of weights) await this.#expect(each, true);
    return weights;
  }

  /** Throws `disk-full` before anything large is fetched for nothing. */
  async checkRoom(weights: readonly Weights[]): Promise<void> {
    let missing = 0;
    for (const each of weights) missing += (await this.#look(each)).missing;
    await assertRoom(this.#context.directory, missing);
  }

  fetchWeights({ file, ranges }: Weights, signal: AbortSignal): Promise<void> {
    return this.#places.run(signal, async () => {
      const fetch = await FileFetch.open(this.#context, file, signal);
      try {
        const wanted: readonly ByteRange[] = ranges === 'all' ? [[0, file.size]] : normalized(ranges);
        const { meter } = this.#context;
        if (!fetch.isComplete) meter.set(file.path, sum(wanted), sum(common(wanted, fetch.present)));
        meter.opened(file.path);
        if (ranges === 'all') await fetch.ensureAll(signal);
        else await fetch.ensure(ranges, signal);
        this.#context.meter.complete(file.path);
      } finally {
        await fetch.close();
      }
    });
  }

  #shardOf(config: unknown): LayerRange | undefined {
    if (this.#wanted === undefined) return undefined;
    const { startLayer, endLayer, layers = layersOf(config) } = this.#wanted;
    if (layers === undefined) throw this.#unsupported('has a config.json that names no layers');
    if (endLayer >= layers) {
      throw new ExoError(
        'option-invalid',
        `${printable(this.#context.model.repository)} has ${layers} layers, so the last one is ${layers - 1}; there is none ${endLayer}`,
      );
    }
    return startLayer === 0 && endLayer === layers - 1 ? undefined : { startLayer, endLayer, layers };
  }

  async #fetchAll(name: string, signal: AbortSignal): Promise<void> {
    const file = this.#files.get(name)!;
    await this.fetchWeights({ file, ranges: 'all' }, signal);
  }

  /** By the index; the only file of a model is looked into. */
  async #needs(): Promise<{ readonly needs: ReadonlyMap<string, FileNeed>; readonly tied?: boolean }> {
    // One file counts before an index, as when it is read.
    if (this.#files.has(CHECKPOINT_FILE)) {
      return { needs: new Map([[CHECKPOINT_FILE, this.#shard === undefined ? 'all' : 'some']]) };
    }
    if (!this.#files.has(CHECKPOINT_INDEX)) {
      throw this.#unsupported(
        'has no weights as safetensors; look for the same model in that format with exo model search',
      );
    }
    const file = path.join(this.#context.directory, CHECKPOINT_INDEX);
    const index = parseCheckpointIndex(await readFile(file, 'utf8'), file);
    return { needs: needsByFile(index, this.#shard), tied: isTied(index.keys()) };
  }

  /** Where the tensors of a file lie: read from it, or fetched alone. */
  async #header(file: ModelFile, signal: AbortSignal): Promise<Header> {
    const fetch = await FileFetch.open(this.#context, file, signal);
    try {
      const known = { file: file.path, fileBytes: file.size };
      if (!fetch.isComplete) {
        await fetch.ensure([[0, Math.min(HEADER_GUESS_BYTES, file.size)]], signal);
      }
      if (!fetch.isComplete) {
        const start = await fetch.read([0, Math.min(SAFETENSORS_LENGTH_BYTES, file.size)]);
        const end = SAFETENSORS_LENGTH_BYTES + safetensorsHeaderBytes(start, known);
        await fetch.ensure([[0, end]], signal);
        if (!fetch.isComplete) {
          const header = await fetch.read([SAFETENSORS_LENGTH_BYTES, end]);
          return { headerBytes: end, tensors: parseSafetensorsHeader(header, known) };
        }
      }
    } finally {
      await fetch.close();
    }
    const tensors = await readSafetensors(path.join(this.#context.directory, file.path), signal);
    return { headerBytes: headerEnd(tensors, file.size), tensors };
  }

  /** From the first byte on it is known how much there is at most: whoever waits for a large tokenizer sees how far it is. */
  async #expectAll(names: readonly string[]): Promise<void> {
    const { meter } = this.#context;
    for (const [name, file] of this.#files) {
      if (names.includes(name) || isWeights(name)) {
        await this.#expect({ file, ranges: 'all' }, names.includes(name));
      }
    }
    meter.beginSmall();
  }

  /** Tells the meter what of the file is needed and there, by its record: whoever fetches it next looks at the bytes. */
  async #expect(weights: Weights, willOpen: boolean): Promise<void> {
    const { file, ranges } = weights;
    const { meter } = this.#context;
    const total = ranges === 'all' ? file.size : sum(ranges);
    const { missing, isSure } = await this.#look(weights);
    meter.set(file.path, total, total - missing);
    if (willOpen && !isSure) meter.hold(file.path);
  }

  /** Not sure: a process that was killed left more there than its record says. */
  async #look({ file, ranges }: Weights): Promise<{ readonly missing: number; readonly isSure: boolean }> {
    const { directory, record } = this.#context;
    const wanted: readonly ByteRange[] = ranges === 'all' ? [[0, file.size]] : normalized(ranges);
    if (await record.isUnchanged(file)) return { missing: 0, isSure: true };
    const name = path.join(directory, file.path);
    const recorded = await recordedRanges(name);
    const isNamed = (await stat(name).catch(() => undefined))?.size === file.size;
    const present = recorded?.head.identity === file.hash.hex ? recorded.ranges : [];
    const missing = sum(wanted) - sum(common(wanted, present));
    return { missing, isSure: recorded === undefined && !isNamed };
  }

  async #json(name: string): Promise<unknown> {
    const file = path.join(this.#context.directory, name);
    const text = await readFile(file, 'utf8');
    if (text.length > LIMITS.checkpointIndexBytesMax)
      throw this.#unsupported(`has a ${name} of ${text.length} characters`);
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw this.#unsupported(`has a ${name} that is not JSON`);
    }
  }

  #unsupported(why: string): ExoError {
    return new ExoError('model-unsupported', `${printable(this.#context.model.repository)} ${why}`);
  }
}

interface Header {
  /** With the length in front of it. */
  readonly headerBytes: number;
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
}

/** Perhaps of weights; which of them are needed says the index. */
function isWeights(name: string): boolean {
  return name.endsWith('.safetensors') && !name.includes('/');
}

function headerEnd(tensors: ReadonlyMap<string, SafetensorsEntry>, size: number): number {
  return [...tensors.values()].reduce((least, { offset }) => Math.min(least, offset), size);
}
