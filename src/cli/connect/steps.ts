/** The steps of `exo connect` as a person sees them: one line each with the time it took, and which one failed. */
import { ExoError, toExoError } from '../../shared/index.js';
import { HintedError } from '../errors.js';
import { duration } from '../format/units.js';
import { type CliHost, colours } from '../host.js';
import { Progress } from '../progress.js';

/** One step that is done. */
export interface DoneStep {
  readonly name: string;
  readonly what: string;
  readonly tookMs: number;
}

const NAME_COLUMN = 15;

/** Runs steps one after the other and says so. */
export class Steps {
  readonly done: DoneStep[] = [];
  readonly #host: CliHost;
  readonly #quiet: boolean;

  /** @param options.quiet no lines (`--json`) */
  constructor(host: CliHost, options: { readonly quiet: boolean }) {
    this.#host = host;
    this.#quiet = options.quiet;
  }

  /**
   * Runs one step. `work` resolves with its value and a few words about what came of it; what it throws gets the name
   * of the step in front.
   */
  async run<T>(
    name: string,
    work: (tell: (text: string) => void) => Promise<{ readonly value: T; readonly what: string }>,
  ): Promise<T> {
    const { clock } = this.#host;
    const startMs = clock.now();
    const progress = new Progress(this.#host, name);
    try {
      const { value, what } = await work((text) => progress.update(`${name}: ${text}`));
      progress.end();
      this.#say({ name, what, tookMs: clock.now() - startMs });
      return value;
    } catch (error) {
      progress.end();
      throw atStep(name, error);
    }
  }

  #say(step: DoneStep): void {
    this.done.push(step);
    if (this.#quiet) return;
    const c = colours(this.#host.stdout, this.#host.env);
    const head = c.bold(`  ${step.name.padEnd(NAME_COLUMN)}`);
    this.#host.stdout.write(`${head} ${step.what}  ${c.dim(duration(step.tookMs))}\n`);
  }
}

/** The same error, with the step in front of its message. */
function atStep(name: string, thrown: unknown): ExoError {
  const error = toExoError(thrown);
  // A cancelled command is not a failed step.
  if (error.code === 'request-cancelled') return error;
  const message = `${name}: ${error.message}`;
  return error instanceof HintedError
    ? new HintedError(error.code, message, error.hint)
    : new ExoError(error.code, message, { cause: error });
}
