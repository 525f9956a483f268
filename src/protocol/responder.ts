/**
 * Requests being served: calls the owner, sends what it returns or throws, keeps base answers in order. A handler that
 * returns at once is answered at once. Sans-I/O; only `session.ts` uses it.
 */
import { ExoError, toExoError } from '../shared/index.js';
import { AnswerQueue, type AnswerSlot } from './answer-queue.js';
import { isOneWayType, TYPE, TYPE_OF_KIND } from './frame.js';
import type { HealthResponse, Message } from './messages/messages.js';
import type { SessionCore, SessionHost } from './session-core.js';

/** One request at work. */
interface Job {
  readonly message: Message;
  readonly type: number;
  /** Undefined for base requests. */
  readonly id: number | undefined;
  /** The place in the order of base answers. */
  readonly slot: AnswerSlot | undefined;
  /** Gives the body back. */
  readonly done: ((answer: Message | undefined) => void) | undefined;
}

/** Serves requests of one session. */
export class Responder {
  readonly #session: SessionCore;
  readonly #host: SessionHost;
  readonly #order = new AnswerQueue();
  #serving = 0;

  constructor(session: SessionCore, host: SessionHost) {
    this.#session = session;
    this.#host = host;
  }

  /** Requests and one-way messages whose handlers are at work. */
  get serving(): number {
    return this.#serving;
  }

  /** Answers a health check: at once, unless an earlier base request still waits for its answer. */
  health(id: number | undefined, answer: HealthResponse): void {
    if (id === 0) return;
    if (id !== undefined || this.#order.size === 0) this.#session.send(answer, id);
    else this.#order.settle(this.#order.open(), () => this.#session.send(answer, undefined));
  }

  /** Hands a message to the owner. */
  serve(
    message: Message,
    type: number,
    id: number | undefined,
    done: ((answer: Message | undefined) => void) | undefined,
  ): void {
    if (message.kind === 'ping') {
      const pong: Message = { kind: 'pong', data: message.data };
      if (id === undefined || id === 0) done?.(undefined);
      else if (this.#session.outbox.mayEcho(message.data.length)) {
        this.#session.send(pong, id);
        done?.(pong);
      } else {
        done?.(undefined);
        const reason = 'the answers to earlier requests were not read yet';
        this.#session.answerError(id, new ExoError('overloaded', reason, { retryable: true }));
      }
      return;
    }
    // a base prompt is a request only in its correlated form
    const slot =
      id === undefined && !isOneWayType(type) && type !== TYPE.prompt ? this.#order.open() : undefined;
    const wanted = slot !== undefined || (id !== undefined && id !== 0);
    const job: Job = { message, type, id, slot, done };
    this.#serving += 1;
    let result: Promise<Message | undefined> | Message | undefined;
    try {
      result = this.#host.onMessage(message, wanted);
    } catch (error) {
      this.#failed(job, error);
      return;
    }
    if (result instanceof Promise) {
      result.then(
        (answer) => this.#finished(job, answer),
        (error: unknown) => this.#failed(job, error),
      );
    } else this.#finished(job, result);
  }

  #finished(job: Job, answer: Message | undefined): void {
    const { id, slot } = job;
    if (slot === undefined && (id === undefined || id === 0)) {
      this.#end(job, undefined);
      return;
    }
    if (answer === undefined || TYPE_OF_KIND[answer.kind] !== job.type + 1) {
      const what = answer === undefined ? 'nothing' : `a ${answer.kind}`;
      this.#failed(job, new ExoError('internal', `the handler of ${job.message.kind} returned ${what}`));
      return;
    }
    try {
      this.#send(job, answer);
    } catch (error) {
      this.#failed(job, error);
      return;
    }
    this.#end(job, answer);
  }

  #failed(job: Job, thrown: unknown): void {
    const error = toExoError(thrown, 'request-failed');
    const { id, slot } = job;
    this.#end(job, undefined);
    if (id !== undefined && id !== 0) this.#session.answerError(id, error);
    else {
      this.#host.onSilentFailure(job.message.kind, error);
      if (slot === undefined) return;
      if (job.type === TYPE.tensorRequest) this.#send(job, { kind: 'tensor-response', tensor: null });
      // an old peer has no word for "failed" here, and an invented topology would be believed
      else this.#host.end({ by: 'error', error });
    }
  }

  #send(job: Job, answer: Message): void {
    if (job.slot === undefined) this.#session.send(answer, job.id);
    else this.#order.settle(job.slot, () => this.#session.send(answer, undefined));
  }

  #end(job: Job, answer: Message | undefined): void {
    this.#serving -= 1;
    job.done?.(answer);
  }
}
