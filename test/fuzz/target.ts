/** One parser under fuzz: where its inputs come from, how it is run, and which errors it may answer with. */
import { type ErrorCode, ExoError, isPrintable, type Random } from '../../src/shared/index.js';

/** One parser under fuzz. */
export interface FuzzTarget {
  /** Kebab-case; the name of its folder under corpus/ and found/. */
  readonly name: string;
  /** Longer inputs are cut. Room for what grows faster than its input to show. */
  readonly bytesMax: number;
  /** Valid and nearly valid samples: what mutation begins with. */
  seeds(): readonly Uint8Array[];
  /** Words that mean something to the parser; put in at random places. */
  readonly words?: readonly string[];
  /** A change that knows the structure of an input; undefined where this input has none. */
  vary?(input: Buffer, random: Random): Buffer | undefined;
  /** Codes that bad input may be refused with. Every other error is a bug. */
  readonly codes: readonly ErrorCode[];
  /** Errors of another type that are declared by the parser's docstring. @default none */
  isDeclared?(error: unknown): boolean;
  /**
   * Runs the parser and checks what must hold of the result. Returns in a few words what kind of input it was: a kind never
   * seen before makes an input worth keeping. Throws what the parser throws, or an AssertionError.
   */
  run(input: Buffer): string | Promise<string>;
}

/** Longest message of an error: it goes into logs and answers, whatever the size of the input. */
const MESSAGE_CHARS_MAX = 2_000;

/** What is wrong with an error that came out of a target; undefined when it is one of those that may. */
export function errorFault(target: FuzzTarget, error: unknown): string | undefined {
  if (target.isDeclared?.(error) === true) return undefined;
  if (!(error instanceof ExoError)) {
    return error instanceof Error ? `${error.name}: ${error.message}` : `threw ${typeof error}`;
  }
  if (!target.codes.includes(error.code)) return `code ${error.code}: ${error.message}`;
  if (error.message === '') return `${error.code} without a message`;
  if (error.message.length > MESSAGE_CHARS_MAX) {
    return `${error.code} with a message of ${error.message.length} characters`;
  }
  if (!isPrintable(error.message)) return `${error.code} with control characters in its message`;
  return undefined;
}

/** The shape of an outcome: without quotations, numbers and what else only repeats the input. */
export function shapeOf(error: unknown): string {
  const { code, name, message } = error as ExoError;
  return `${code ?? name}: ${wordsOf(message).slice(0, 60)}`;
}

/** A message without what only repeats the input. */
export function wordsOf(message: string): string {
  return message.replace(/"[^"]*"|'[^']*'|\S*[^\x20-\x7e]\S*|\S*\d\S*/g, '#');
}
