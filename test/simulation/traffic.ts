/**
 * Questions to the nodes of a run, and what must hold for each: every token that comes is the right one, an answer is whole, an
 * error is a typed one that tells of the mesh and not of a fault, and the end comes within the deadline.
 */
import { type Clock, ExoError, type Random } from '../../src/shared/index.js';
import { expectedAnswer } from './engine.js';
import { type Life, type Machine, RESPONSE_TIMEOUT_MS } from './machine.js';
import type { Trace } from './trace.js';

/** What the traffic works with. */
export interface TrafficComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  machines(): Iterable<Machine>;
  fail(what: string): void;
}

/** One question. */
export interface Question {
  readonly id: string;
  readonly at: Machine;
  readonly life: Life;
  state: 'open' | 'answered' | 'failed';
  outcome: string;
}

/** Between two questions to the mesh, on average. */
const EVERY_MS_MEAN = 8_000;
/** After the deadline, until its timer has certainly run. */
const LATE_MS = 500;
/** Codes that no fault of the network, of a machine or of a clock explains. */
const FAULTS: ReadonlySet<string> = new Set([
  'internal',
  'engine-failed',
  'tensor-invalid',
  'protocol-violation',
]);

/** All questions of a run. */
export class Traffic {
  readonly counts = { asked: 0, answered: 0, failed: 0, dropped: 0 };
  readonly #c: TrafficComponents;
  readonly #open = new Set<Question>();
  #isOver = false;

  constructor(components: TrafficComponents) {
    this.#c = components;
  }

  /** Asks some node now and then, until `end`. */
  begin(): void {
    const { clock, random } = this.#c;
    clock.after(-Math.log(1 - random.next()) * EVERY_MS_MEAN, () => {
      if (this.#isOver) return;
      this.askSomebody();
      this.begin();
    });
  }

  end(): void {
    this.#isOver = true;
  }

  /** Questions to this process without an end. */
  openAt(life: Life): number {
    return [...this.#open].filter((question) => question.life === life).length;
  }

  /** The process was killed: nobody is told how its questions ended. */
  drop(life: Life): void {
    for (const question of this.#open) {
      if (question.life !== life) continue;
      this.#open.delete(question);
      this.counts.dropped += 1;
    }
  }

  askSomebody(): Question | undefined {
    const running = [...this.#c.machines()].filter(({ state }) => state === 'up');
    const at = running[Math.floor(this.#c.random.next() * running.length)];
    return at === undefined ? undefined : this.#ask(at);
  }

  #ask(at: Machine): Question {
    this.counts.asked += 1;
    const id = `q${this.counts.asked}`;
    const question: Question = { id, at, life: at.life!, state: 'open', outcome: '' };
    this.#open.add(question);
    this.#c.trace.note(this.#c.clock.now(), at.id, 'asked', id);
    void this.#answer(question).then((outcome) => this.#ended(question, outcome));
    this.#c.clock.after(RESPONSE_TIMEOUT_MS + LATE_MS, () => this.#due(question));
    return question;
  }

  async #answer({ id, life }: Question): Promise<string | undefined> {
    const prompt = `question ${id}`;
    const expected = expectedAnswer(prompt);
    let count = 0;
    try {
      const generation = await life.node.chat.start({ prompt, requestId: id });
      for await (const { token, index } of generation.tokens) {
        if (index !== count || token !== expected[count]) {
          this.#c.fail(`wrong answer: token ${count} of ${id} is ${token}, not ${expected[count]}`);
        }
        count += 1;
      }
      const { finishReason } = await generation.result;
      if (count !== expected.length || finishReason !== 'stop') {
        this.#c.fail(
          `wrong answer: ${id} ended by ${finishReason} after ${count} of ${expected.length} tokens`,
        );
      }
      return undefined;
    } catch (error) {
      const code = error instanceof ExoError ? error.code : 'no ExoError';
      const words = `${code}: ${error instanceof Error ? error.message : String(error)}`;
      if (FAULTS.has(code) || !(error instanceof ExoError)) this.#c.fail(`${id} ended with ${words}`);
      return words;
    }
  }

  #ended(question: Question, error: string | undefined): void {
    if (!this.#open.delete(question)) return;
    question.state = error === undefined ? 'answered' : 'failed';
    question.outcome = error ?? '';
    this.counts[question.state] += 1;
    this.#c.trace.note(this.#c.clock.now(), question.at.id, question.state, `${question.id} ${error ?? ''}`);
  }

  #due(question: Question): void {
    if (!this.#open.has(question)) return;
    if (question.at.state === 'paused') this.#c.clock.after(LATE_MS, () => this.#due(question));
    else this.#c.fail(`no end: ${question.id} was asked ${RESPONSE_TIMEOUT_MS + LATE_MS} ms ago`);
  }
}
