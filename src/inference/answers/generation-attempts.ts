/**
 * The owner of one answer: prompt, tokens so far and sampling options are here, on the entry node, and a ring is only ever lent
 * them. When the ring breaks (a member is lost or stops, the nodes see different rings, an engine has to start anew), the
 * answer is taken up where it is, in the ring as it is by then: prompt and answer go in as one prompt, and the next token is
 * chosen as if nothing had happened. Every attempt has a request id of its own, so that what still comes of the one before is
 * dropped. Stands between `generations.ts` and the ring.
 */
import type { Result } from '../../protocol/index.js';
import {
  type Clock,
  type ErrorCode,
  ExoError,
  LIMITS,
  type Logger,
  printable,
  type Random,
  randomInt,
  type TimerHandle,
  toExoError,
} from '../../shared/index.js';
import type { ModelEntry } from '../engine-models.js';
import type { Placement } from '../placement.js';
import type { PlanWatch, RingPlan, RingPlanner } from '../planner/index.js';
import {
  NoEntrance,
  ResultOrder,
  type Ring,
  type RingClient,
  resultError,
  ringError,
} from '../ring/index.js';
import { historyFor, type RequestedSampling, samplingState } from '../sampling/index.js';
import { StallWatch } from './stall-watch.js';

/** A ring that is being put together again. What is unknown, too long or full stays so. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'ring-incomplete',
  'peer-lost',
  'peer-unreachable',
  'connection-closed',
]);
/** What passes too, once an answer has begun: its client was not refused when it could still go elsewhere. */
const PASSING_LATER: ReadonlySet<ErrorCode> = new Set(['overloaded', 'request-timeout']);

/** What the attempts are made with. */
export interface GenerationAttemptsComponents {
  readonly ring: Pick<Ring, 'submit' | 'end' | 'silentMembers'>;
  readonly planner: Pick<RingPlanner, 'plan'> & Partial<Pick<RingPlanner, 'record'>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A question of a client of this node. */
export interface GenerationQuestion {
  /** Unique in the mesh and for all time; further attempts are `….2`, `….3`. */
  readonly requestId: string;
  readonly model: ModelEntry;
  readonly prompt: string;
  /** `prompt`, encoded. */
  readonly tokens: readonly number[];
  readonly sampling: RequestedSampling;
  readonly placement: Placement;
  /** As the client bounds it. */
  readonly maxTokens?: number | undefined;
  /** As in `LocalPrompt`. */
  readonly lengthMax?: number | undefined;
  /** Gets results in order, each with its index, and no token twice. */
  readonly client: RingClient;
  /** Told before each attempt where it is computed. */
  readonly onPlan?: (plan: RingPlan) => void;
}

/** Settings of the attempts. */
export interface GenerationAttemptsOptions {
  /** The deadline of the whole answer, from now; only looked at before a pause. */
  readonly timeoutMs: number;
  /** False: an answer that has begun is not taken up again. */
  readonly recovery: boolean;
}

/** One attempt: a request of its own, which goes on with the answer of those before. */
interface Attempt {
  readonly requestId: string;
  readonly order: ResultOrder;
  /** `clock.now()` when the ring took it over. */
  takenOverMs?: number;
  /** Measures what was predicted. */
  watch?: PlanWatch;
}

/** One answer. */
export class GenerationAttempts {
  readonly #question: GenerationQuestion;
  readonly #parts: GenerationAttemptsComponents;
  readonly #deadlineMs: number;
  readonly #recovery: boolean;
  readonly #settled: Promise<void>;
  /** Nobody wants the answer any more. */
  readonly #ended = new AbortController();
  #settle: () => void = () => undefined;
  /** The one that runs; undefined in a pause and after the end. */
  #current: Attempt | undefined;
  #pause: TimerHandle | undefined;
  readonly #watch: StallWatch;
  #isLookingElsewhere = false;
  readonly #answer: number[] = [];
  #tries = 0;
  /** Tries since the answer went on the last time. */
  #triesInRow = 0;
  #breaks = 0;
  /** When the ring broke; undefined while it works. */
  #brokenMs: number | undefined;

  constructor(
    question: GenerationQuestion,
    options: GenerationAttemptsOptions,
    components: GenerationAttemptsComponents,
  ) {
    this.#question = question;
    this.#parts = components;
    this.#deadlineMs = components.clock.now() + options.timeoutMs;
    this.#recovery = options.recovery;
    this.#watch = new StallWatch(components.clock, () => void this.#lookElsewhere());
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Resolves when the ring has taken the prompt over, when the client has been failed, or after `end`. Call once. */
  begin(): Promise<void> {
    this.#try();
    return this.#settled;
  }

  /** The client is done, in whatever way: nothing is tried any more, and the ring is freed. Idempotent. */
  end(): void {
    this.#ended.abort(new ExoError('request-cancelled', 'the answer is over'));
    this.#pause?.cancel();
    this.#watch.stop();
    // Also what its client bounds: such an answer has no token that says that it is the last.
    this.#current?.watch?.end();
    this.#leave();
    this.#settle();
  }

  #try(): void {
    this.#tries += 1;
    this.#triesInRow += 1;
    const { requestId } = this.#question;
    const attempt: Attempt = {
      requestId: this.#tries === 1 ? requestId : `${requestId}.${this.#tries}`,
      order: new ResultOrder(this.#answer.length),
    };
    this.#current = attempt;
    if (this.#recovery) this.#watch.heard();
    this.#submit(attempt).then(
      () => {
        if (this.#current !== attempt) return;
        attempt.takenOverMs = this.#parts.clock.now();
        this.#settle();
      },
      (error) => this.#fail(attempt, toExoError(error)),
    );
  }

  /** Decides where, and gives it away. Each attempt anew: the mesh is another one than at the last. */
  async #submit(attempt: Attempt): Promise<void> {
    const { model, prompt, tokens, sampling, lengthMax } = this.#question;
    const plannedMs = this.#parts.clock.now();
    const plan = await this.#plan(this.#tries > 1);
    if (this.#current !== attempt) return;
    this.#question.onPlan?.(plan);
    const { ring } = plan;
    const head = { requestId: attempt.requestId, model: model.id };
    const watch = this.#parts.planner.record?.begin(head, plan, plannedMs);
    if (watch !== undefined) attempt.watch = watch;
    const answered = this.#answer.length;
    const history = historyFor(sampling, tokens, this.#answer);
    await this.#parts.ring.submit({
      requestId: attempt.requestId,
      model,
      prompt,
      tokens: [...tokens, ...this.#answer],
      answered,
      lengthMax,
      inferenceState: samplingState(sampling, { answered, history }),
      ...(ring === undefined ? {} : { ring }),
      client: {
        deliver: (result) => this.#deliver(attempt, result),
        fail: (error) => this.#fail(attempt, error),
      },
    });
  }

  #plan(isRetry: boolean, isTrial = false): Promise<RingPlan> {
    const { model, tokens, placement, maxTokens } = this.#question;
    const promptTokens = tokens.length + this.#answer.length;
    const { signal } = this.#ended;
    const question = { model, placement, promptTokens, maxTokens, isRetry, isTrial, signal };
    return this.#parts.planner.plan(question);
  }

  /**
   * The answer stands still. Where members of its ring are silent and others can do without them, it goes on there; else it waits
   * for them, as long as membership does.
   */
  async #lookElsewhere(): Promise<void> {
    const attempt = this.#current;
    if (attempt === undefined || this.#isLookingElsewhere) return;
    const silent = this.#parts.ring.silentMembers(attempt.requestId);
    if (silent.length === 0) return;
    this.#isLookingElsewhere = true;
    const plan = await this.#plan(true, true)
      .catch(() => undefined)
      .finally(() => {
        this.#isLookingElsewhere = false;
      });
    if (plan?.ring === undefined || plan.ring.some(({ nodeId }) => silent.includes(nodeId))) return;
    const names = silent.map((nodeId) => printable(nodeId, 60)).join(', ');
    this.#fail(
      attempt,
      ringError('peer-lost', `the answer stands still, and ${names} has fallen silent; ask again`),
    );
  }

  #deliver(attempt: Attempt, result: Result): void {
    if (this.#current !== attempt) return;
    if (this.#recovery) this.#watch.heard();
    try {
      const error = resultError(result);
      if (error !== undefined) throw error;
      for (const next of attempt.order.accept(result)) this.#take(attempt, next);
    } catch (cause) {
      this.#fail(attempt, toExoError(cause));
    }
  }

  #take(attempt: Attempt, result: Result): void {
    // The client may have had enough with the result before.
    if (this.#current !== attempt) return;
    const index = this.#answer.length;
    this.#answer.push(...result.result);
    this.#brokenMs = undefined;
    this.#triesInRow = 0;
    attempt.watch?.token(this.#parts.clock.now());
    if (result.isFinished) attempt.watch?.end();
    this.#question.client.deliver({ ...result, index });
  }

  #fail(attempt: Attempt, error: ExoError): void {
    if (this.#current !== attempt) return;
    this.#leave();
    const { clock, log } = this.#parts;
    const nowMs = clock.now();
    this.#noteBreak(attempt, nowMs, error);
    const { requestId } = attempt;
    const delayMs = this.#delayMs(nowMs, error);
    if (delayMs === undefined) {
      const last = this.#last(error, nowMs);
      log.warn('generation-failed', { requestId, error: last });
      this.#question.client.fail(last);
      return;
    }
    log.info('generation-retried', { requestId, error, delayMs, answered: this.#answer.length });
    this.#pause = clock.after(delayMs, () => this.#try());
  }

  /**
   * One that has worked for a while (a long prompt) is no try in vain: a new break, with a time of its own. One that waited for a model
   * is none: its time begins with what breaks afterwards.
   */
  #noteBreak({ takenOverMs }: Attempt, nowMs: number, { code }: ExoError): void {
    if (code === 'model-fetching') {
      this.#brokenMs = undefined;
      return;
    }
    const hasWorked = takenOverMs !== undefined && nowMs - takenOverMs >= LIMITS.generationRetryMs;
    if (this.#brokenMs !== undefined && !hasWorked) return;
    this.#brokenMs = nowMs;
    this.#breaks += 1;
    this.#triesInRow = 1;
  }

  /** Until the next try; undefined when there is none. */
  #delayMs(nowMs: number, error: ExoError): number | undefined {
    if (!this.#isPassing(error) || this.#breaks > LIMITS.generationBreaksMax) return undefined;
    const { generationRetryMs, generationRetryDelayMsMin, generationRetryDelayMsMax } = LIMITS;
    const delayMs = randomInt(this.#parts.random, generationRetryDelayMsMin, generationRetryDelayMsMax);
    // A last try that is cut by the deadline would tell the client of a timeout, not of the ring.
    const deadlineMs = this.#deadlineMs - generationRetryDelayMsMax;
    const isFetched = error.code === 'model-fetching';
    const untilMs = isFetched
      ? deadlineMs
      : Math.min(deadlineMs, (this.#brokenMs ?? nowMs) + generationRetryMs);
    return nowMs + delayMs < untilMs ? delayMs : undefined;
  }

  #isPassing(error: ExoError): boolean {
    if (error instanceof NoEntrance) return false;
    const { length } = this.#answer;
    if (length > 0) {
      const isTooLong = this.#question.tokens.length + length > LIMITS.promptTokensMax;
      if (!this.#recovery || isTooLong) return false;
      if (PASSING_LATER.has(error.code)) return true;
    }
    // A member has the model soon: the answer waits as long as its client does.
    if (error.code === 'model-fetching') return true;
    return PASSING.has(error.code) || (error.code === 'engine-failed' && error.retryable);
  }

  /** What the client hears. */
  #last(error: ExoError, nowMs: number): ExoError {
    if (this.#triesInRow === 1 || !PASSING.has(error.code) || error instanceof NoEntrance) return error;
    const seconds = ((nowMs - (this.#brokenMs ?? nowMs)) / 1000).toFixed(1);
    return new ExoError(
      error.code,
      `the nodes did not come to one ring in ${seconds} s (${this.#triesInRow} tries; "exo topology" on each node shows what it sees): ${error.message}`,
      { retryable: true, cause: error },
    );
  }

  #leave(): void {
    const attempt = this.#current;
    this.#current = undefined;
    attempt?.watch?.close();
    if (attempt !== undefined) this.#parts.ring.end(attempt.requestId);
  }
}
