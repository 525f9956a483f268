/**
 * Renders a chat template, as the interpreter of the package does, and ends one whose values or memory grow over bounds. A heap
 * that is full ends the thread, and where it grew by much at once, the whole program with it: V8 gives a thread that has reached
 * its limit 16 MiB to be cleaned up in. Called by `chat-template.ts`.
 */
import { getHeapStatistics } from 'node:v8';
import { type Environment, Interpreter, type Template } from '@huggingface/jinja';
import { LIMITS } from '../../../shared/index.js';

const MIB = 1024 * 1024;
/** Looking at the heap takes as long as some operations on short values, so it is done after so many of them. */
const LOOK_EVERY = 64;
/** And after each value of so many characters or items. */
const LONG = 64 * 1024;

/** As the package has it; its own types do not resolve here. */
interface PackageInterpreter {
  run(template: Template['parsed']): { readonly value: unknown };
  evaluate(part: unknown, scope: Environment): { readonly value: unknown };
}
const Base = Interpreter as new (scope: Environment) => PackageInterpreter;

/** What a template made too much of; whether that is its own fault, the caller knows. */
export class TemplateBoundError extends Error {}

/** An interpreter for one run. */
export class BoundedInterpreter extends Base {
  readonly #heapBytesMax = getHeapStatistics().used_heap_size + LIMITS.chatTemplateHeapMbMax * MIB;
  #untilLook = LOOK_EVERY;

  /** Throws a `TemplateBoundError`, or what the template throws. */
  override evaluate(part: unknown, scope: Environment): { readonly value: unknown } {
    const result = super.evaluate(part, scope);
    const length = checkedLength(result.value);
    this.#untilLook -= 1;
    if (this.#untilLook <= 0 || length >= LONG) this.#look();
    return result;
  }

  #look(): void {
    this.#untilLook = LOOK_EVERY;
    if (getHeapStatistics().used_heap_size <= this.#heapBytesMax) return;
    throw new TemplateBoundError(`it needs more than ${LIMITS.chatTemplateHeapMbMax} MiB of memory`);
  }
}

function checkedLength(value: unknown): number {
  if (typeof value === 'string') {
    if (value.length <= LIMITS.promptBytesMax) return value.length;
    throw new TemplateBoundError(
      `it made a text of ${value.length} characters; at most ${LIMITS.promptBytesMax} can be sent`,
    );
  }
  if (!Array.isArray(value)) return 0;
  if (value.length <= LIMITS.chatTemplateItemsMax) return value.length;
  throw new TemplateBoundError(
    `it made a list of ${value.length} items; at most ${LIMITS.chatTemplateItemsMax} are kept`,
  );
}
