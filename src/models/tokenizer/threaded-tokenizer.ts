/**
 * The tokenizer of a model in a thread of its own: a vocabulary loads for seconds, a long prompt is encoded for half of one, and a
 * chat template is a program of a stranger. The event loop sees none of it; decoding, which is a look-up in a table, is done
 * here. What does not end is ended, and the next question finds a new thread. Called by the engine's `model-reader.ts`.
 */
import { type Clock, ExoError, LIMITS, printable, systemClock, toExoError } from '../../shared/index.js';
import type { TemplateMessage } from './template/chat-template.js';
import type { OpenedTokenizer, TokenizerAnswer, TokenizerQuestion } from './thread/messages.js';
import { TokenizerThread } from './thread/tokenizer-thread.js';
import { TokenTable } from './token-table.js';
import { LONG_TEXT_CHARS, tooLong } from './too-long.js';

/** As `ModelTokenizer`, with the other half elsewhere. */
export interface ThreadedTokenizer {
  readonly eosTokenIds: ReadonlySet<number>;
  readonly bosTokenId?: number;
  readonly hasChatTemplate: boolean;
  /**
   * Throws `overloaded`, `request-cancelled` or `tokenizer-invalid`, and `prompt-too-long` for a long text that is not encoded in
   * time. A text that has by far more than `tokensMax` tokens is `prompt-too-long` before all of it was encoded.
   */
  encode(text: string, signal?: AbortSignal, tokensMax?: number): Promise<readonly number[]>;
  decode(tokens: readonly number[]): string;
  /** Throws `conversation-refused` or `prompt-too-long` too. */
  applyChatTemplate(messages: readonly TemplateMessage[], signal?: AbortSignal): Promise<string>;
  /** Ends the thread; what waits is told `request-cancelled`. Afterwards only `decode` works. Idempotent. */
  close(): Promise<void>;
}

interface Job {
  readonly question: TokenizerQuestion;
  readonly signal: AbortSignal | undefined;
  resolve(answer: TokenizerAnswer): void;
  reject(error: unknown): void;
}

/** By question: how long it may take, and what it is called when it took longer. */
const WORK = {
  open: [LIMITS.tokenizerLoadMs, 'reading the tokenizer'],
  encode: [LIMITS.tokenizerEncodeMs, 'encoding the prompt'],
  template: [LIMITS.chatTemplateMs, 'the chat template'],
} as const;

/** Reads the files of a folder. Throws as `openTokenizer`. */
export async function openThreadedTokenizer(
  directory: string,
  signal: AbortSignal,
  { clock = systemClock }: { readonly clock?: Clock } = {},
): Promise<ThreadedTokenizer> {
  signal.throwIfAborted();
  const line = new TokenizerLine(directory, clock);
  const onAbort = () => void line.stop();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const { eosTokenIds, bosTokenId, hasChatTemplate, table } = await line.open();
    const decoder = new TokenTable(table);
    return {
      eosTokenIds: new Set(eosTokenIds),
      ...(bosTokenId === undefined ? {} : { bosTokenId }),
      hasChatTemplate,
      async encode(text, until, tokensMax) {
        const bound = tokensMax === undefined ? {} : { tokensMax };
        const answer = await line.ask({ op: 'encode', text, ...bound }, until);
        return 'ids' in answer ? Array.from(answer.ids) : [];
      },
      decode: (tokens) => decoder.decode(tokens),
      async applyChatTemplate(messages, until) {
        const answer = await line.ask({ op: 'template', messages }, until);
        return 'text' in answer ? answer.text : '';
      },
      close: () => line.stop(),
    };
  } catch (error) {
    await line.stop();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The questions to one tokenizer, first come first served, and the thread that answers them. */
class TokenizerLine {
  readonly #directory: string;
  readonly #clock: Clock;
  #jobs: Job[] = [];
  #isBusy = false;
  #thread: TokenizerThread | undefined;
  #stopped: ExoError | undefined;

  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  async open(): Promise<OpenedTokenizer> {
    const answer = await this.#askThread(this.#start(), { op: 'open', directory: this.#directory });
    if (!('opened' in answer)) throw new ExoError('internal', 'the tokenizer’s thread gave another answer');
    return answer.opened;
  }

  ask(question: TokenizerQuestion, signal?: AbortSignal): Promise<TokenizerAnswer> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    if (signal?.aborted === true) return Promise.reject(cancelled(signal));
    if (this.#jobs.length >= LIMITS.tokenizerJobsMax) {
      const message = `${this.#jobs.length} texts wait for the tokenizer; try again later`;
      return Promise.reject(new ExoError('overloaded', message, { retryable: true }));
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        // One that is under way goes on to its end or its deadline; nobody waits for it.
        this.#jobs = this.#jobs.filter((other) => other !== job);
        reject(cancelled(signal!));
      };
      const settled = () => signal?.removeEventListener('abort', onAbort);
      const job: Job = {
        question,
        signal,
        resolve: (answer) => {
          settled();
          resolve(answer);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#jobs.push(job);
      void this.#work();
    });
  }

  async stop(): Promise<void> {
    this.#stopped ??= new ExoError('request-cancelled', 'the tokenizer was closed');
    for (const job of this.#jobs.splice(0)) job.reject(this.#stopped);
    await this.#thread?.stop(this.#stopped);
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      try {
        job.resolve(await this.#answer(job.question));
      } catch (error) {
        job.reject(error);
      }
    }
    this.#isBusy = false;
  }

  async #answer(question: TokenizerQuestion): Promise<TokenizerAnswer> {
    // The one before did not survive its last question.
    if (this.#thread === undefined || this.#thread.ended) await this.open();
    return this.#askThread(this.#thread!, question);
  }

  #start(): TokenizerThread {
    if (this.#stopped !== undefined) throw this.#stopped;
    this.#thread = new TokenizerThread(this.#clock);
    return this.#thread;
  }

  async #askThread(thread: TokenizerThread, question: TokenizerQuestion): Promise<TokenizerAnswer> {
    const [timeoutMs, what] = WORK[question.op];
    const answer = await thread
      .ask(question, timeoutMs, `${what} of ${printable(this.#directory)}`)
      .catch((error: unknown) => {
        // It ran out of time or memory: of a long text that is the text's fault.
        if (!isLongText(question) || this.#stopped !== undefined) throw error;
        const why = toExoError(error).message;
        const has = `${question.text.length} characters, too many for the tokenizer of the model (${why})`;
        throw tooLong(has, question.tokensMax, { cause: error });
      });
    if ('error' in answer) throw new ExoError(answer.error.code, answer.error.message);
    return answer;
  }
}

type EncodeQuestion = Extract<TokenizerQuestion, { op: 'encode' }>;

function isLongText(question: TokenizerQuestion): question is EncodeQuestion {
  return question.op === 'encode' && question.text.length >= LONG_TEXT_CHARS;
}

function cancelled(signal: AbortSignal): ExoError {
  return new ExoError('request-cancelled', 'the request was cancelled', { cause: signal.reason });
}
