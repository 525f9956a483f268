/**
 * A hub of models as seen from here: revisions, their files, ranges of bytes of them, search. Four requests of an API that has
 * been the same for years, over Node's own fetch; it retries nothing (`download-retry.ts` does). The token goes to the hub alone,
 * never to where it redirects, to a log, or over an unencrypted path.
 */
import { type Clock, ExoError, LIMITS, printable } from '../../shared/index.js';
import type { ByteRange } from '../download/ranges.js';
import {
  type FoundModel,
  type ModelFile,
  nextPage,
  readCommit,
  readContentRange,
  readFound,
  readTree,
} from './answer.js';
import { type Asked, answerError, nonsenseError, silenceError, wordsOf } from './failure.js';

/** The hub that is asked where none is named. */
export const DEFAULT_ENDPOINT = 'https://huggingface.co';

/** Where the hub is. */
export interface HubOptions {
  /** http or https; a path below it is kept. */
  readonly endpoint: string;
  readonly token?: string | undefined;
}

/** Bytes on their way. */
export interface SourceBody {
  /** Of the first byte that comes. */
  readonly from: number;
  /** False: the whole file comes, also where a range was asked for. */
  readonly isRange: boolean;
  /** Of the whole file, where it is told. */
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Ends it early. Idempotent. */
  cancel(): void;
}

/** Where the bytes of a model's files come from: a hub, or another node that has them. */
export interface ByteSource {
  /** For messages. */
  readonly name: string;
  /** `range` undefined: the whole file. Throws an `ExoError` whose `retryable` says whether to ask again. */
  open(
    model: { readonly repository: string; readonly commit: string },
    file: ModelFile,
    range: ByteRange | undefined,
    signal: AbortSignal,
  ): Promise<SourceBody>;
}

/** One hub. */
export class Hub implements ByteSource {
  /** Host and port. */
  readonly name: string;
  /** Its address, without a slash at the end. */
  readonly endpoint: string;
  readonly #token: string | undefined;
  readonly #clock: Clock;

  constructor(options: HubOptions, components: { readonly clock: Clock }) {
    const url = new URL(options.endpoint);
    this.name = url.host;
    this.endpoint = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
    this.#token = mayCarryToken(url) ? options.token : undefined;
    this.#clock = components.clock;
  }

  /** The commit that a revision (branch, tag, commit) means now. Throws `model-unknown` and what else a hub throws. */
  async commitOf(repository: string, revision: string, signal: AbortSignal): Promise<string> {
    const path = `/api/models/${repository}/revision/${encodeURIComponent(revision)}`;
    const { value } = await this.#json(path, { repository, part: `revision ${revision}` }, signal);
    const commit = readCommit(value);
    if (commit === undefined) throw nonsenseError(this.name, 'names no commit');
    return commit;
  }

  /** All files of a commit. */
  async files(repository: string, commit: string, signal: AbortSignal): Promise<ModelFile[]> {
    const files: ModelFile[] = [];
    let path: string | undefined = `/api/models/${repository}/tree/${commit}?recursive=true`;
    while (path !== undefined) {
      const page: { value: unknown; headers: Headers } = await this.#json(path, { repository }, signal);
      const some = readTree(page.value);
      if (some === undefined)
        throw nonsenseError(this.name, `lists the files of ${printable(repository)} in no known way`);
      files.push(...some);
      if (files.length > LIMITS.hubFilesMax) {
        throw nonsenseError(
          this.name,
          `lists more than ${LIMITS.hubFilesMax} files of ${printable(repository)}`,
        );
      }
      path = this.#below(nextPage(page.headers.get('link')));
    }
    return files;
  }

  /** Models with safetensors whose names have the words in them, the most fetched first. */
  async search(words: string, limit: number, signal: AbortSignal): Promise<FoundModel[]> {
    const query = new URLSearchParams({
      search: words,
      filter: 'safetensors',
      sort: 'downloads',
      direction: '-1',
      limit: String(limit),
    });
    const { value } = await this.#json(`/api/models?${query}`, {}, signal);
    const found = readFound(value);
    if (found === undefined) throw nonsenseError(this.name, 'answers a search in no known way');
    return found;
  }

  async open(
    { repository, commit }: { readonly repository: string; readonly commit: string },
    file: ModelFile,
    range: ByteRange | undefined,
    signal: AbortSignal,
  ): Promise<SourceBody> {
    const path = `/${repository}/resolve/${commit}/${file.path.split('/').map(encodeURIComponent).join('/')}`;
    const headers = range === undefined ? {} : { range: `bytes=${range[0]}-${range[1] - 1}` };
    const answer = await this.#ask(path, { repository, part: file.path }, headers, signal);
    try {
      const packing = answer.response.headers.get('content-encoding') ?? 'identity';
      if (answer.response.status !== 206) {
        // Some that stand between pack small files whatever is asked for; fetch has unpacked them, the length is of the packed.
        const length = packing === 'identity' ? answer.response.headers.get('content-length') : null;
        return bodyOf(answer, {
          from: 0,
          isRange: false,
          size: length === null ? undefined : Number(length),
        });
      }
      if (packing !== 'identity') throw nonsenseError(this.name, 'packs a range of bytes');
      const told = readContentRange(answer.response.headers.get('content-range'));
      if (range === undefined || told === undefined || told.from !== range[0]) {
        throw nonsenseError(this.name, 'sends another range than was asked for', true);
      }
      return bodyOf(answer, { ...told, isRange: true });
    } catch (error) {
      answer.cancel();
      throw error;
    }
  }

  async #json(
    path: string,
    asked: Pick<Asked, 'repository' | 'part'>,
    signal: AbortSignal,
  ): Promise<{ value: unknown; headers: Headers }> {
    const answer = await this.#ask(path, asked, {}, signal);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of answer.chunks) {
      bytes += chunk.length;
      if (bytes > LIMITS.hubAnswerBytesMax) {
        answer.cancel();
        throw nonsenseError(this.name, `answers with more than ${LIMITS.hubAnswerBytesMax} bytes`);
      }
      chunks.push(chunk);
    }
    try {
      return { value: JSON.parse(Buffer.concat(chunks).toString('utf8')), headers: answer.response.headers };
    } catch {
      throw nonsenseError(this.name, 'answers with something that is not JSON');
    }
  }

  /** The answer to a GET, once its head is there and says success. Every wait ends after `hubSilenceMs` without a byte. */
  async #ask(
    path: string,
    asked: Pick<Asked, 'repository' | 'part'>,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Answer> {
    signal.throwIfAborted();
    const patience = new Patience(this.#clock, this.name, signal);
    try {
      const response = await fetch(`${this.endpoint}${path}`, {
        headers: {
          'accept-encoding': 'identity',
          'user-agent': 'exo-mesh',
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
          ...headers,
        },
        signal: patience.signal,
      });
      patience.heard();
      if (!response.ok) {
        await response.body?.cancel();
        const context = { hub: this.name, hasToken: this.#token !== undefined, ...asked };
        throw answerError(response.status, response.headers, context, this.#clock.wall());
      }
      return new Answer(response, patience, this.name);
    } catch (error) {
      patience.end();
      throw patience.reasonOf(error);
    }
  }

  /** The path of the next page, asked of this hub: a mirror may hand on the links of the hub that it mirrors. */
  #below(url: string | undefined): string | undefined {
    if (url === undefined) return undefined;
    const { pathname, search } = new URL(url, `${this.endpoint}/`);
    const at = pathname.indexOf('/api/models/');
    if (at < 0) throw nonsenseError(this.name, 'names a next page that is none');
    return `${pathname.slice(at)}${search}`;
  }
}

/** One answer whose body has not been read. */
class Answer {
  readonly response: Response;
  readonly #patience: Patience;
  readonly #hub: string;

  constructor(response: Response, patience: Patience, hub: string) {
    this.response = response;
    this.#patience = patience;
    this.#hub = hub;
  }

  get chunks(): AsyncIterable<Uint8Array> {
    return this.#read();
  }

  cancel(): void {
    this.#patience.abort();
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    const reader = this.response.body?.getReader();
    try {
      for (;;) {
        this.#patience.waiting();
        const next = await reader?.read();
        // While the reader is at work with it the other side is not what is slow.
        this.#patience.heard();
        if (next === undefined || next.done) return;
        yield next.value;
      }
    } catch (error) {
      throw this.#patience.reasonOf(error, this.#hub);
    } finally {
      this.#patience.abort();
    }
  }
}

function bodyOf(answer: Answer, head: Pick<SourceBody, 'from' | 'isRange' | 'size'>): SourceBody {
  return { ...head, chunks: answer.chunks, cancel: () => answer.cancel() };
}

/** Ends a request when the other side has been silent for too long, or the caller gives up. */
class Patience {
  readonly #clock: Clock;
  readonly #hub: string;
  readonly #caller: AbortSignal;
  readonly #controller = new AbortController();
  readonly #onAbort = () => this.#controller.abort(this.#caller.reason);
  #timer: { cancel(): void } | undefined;
  #isSilent = false;

  constructor(clock: Clock, hub: string, caller: AbortSignal) {
    this.#clock = clock;
    this.#hub = hub;
    this.#caller = caller;
    caller.addEventListener('abort', this.#onAbort, { once: true });
    this.waiting();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  waiting(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(LIMITS.hubSilenceMs, () => {
      this.#isSilent = true;
      this.abort();
    });
  }

  heard(): void {
    this.#timer?.cancel();
  }

  end(): void {
    this.heard();
    this.#caller.removeEventListener('abort', this.#onAbort);
  }

  abort(): void {
    this.end();
    this.#controller.abort();
  }

  /** Why it ended: the caller, silence, or what the network says. */
  reasonOf(error: unknown, hub = this.#hub): unknown {
    if (this.#caller.aborted) return this.#caller.reason;
    if (this.#isSilent) return silenceError(hub, `silent for ${LIMITS.hubSilenceMs / 1000} s`, error);
    return error instanceof ExoError ? error : silenceError(hub, wordsOf(error), error);
  }
}

/** A token is a password: not over a path that others read. */
function mayCarryToken({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
