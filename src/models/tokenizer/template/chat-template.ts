/**
 * The template that makes a text of a conversation: Jinja, as Hugging Face's transformers render it. It is a program of
 * whoever published the model. It reaches nothing of this machine and can count only so far, but it may still take long.
 */
import { Environment, Template } from '@huggingface/jinja';
import { type Clock, ExoError, LIMITS, printable } from '../../../shared/index.js';
import { LONG_TEXT_CHARS, tooLong } from '../too-long.js';
import { BoundedInterpreter, TemplateBoundError } from './bounded-interpreter.js';
import { strftime } from './strftime.js';

/** One turn of a conversation. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
}

/** What a template may use besides the messages. */
export interface TemplateOptions {
  /** Where the template stands, for messages. */
  readonly place: string;
  /** `bos_token` and the like, as texts. */
  readonly tokens: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

/** One template. */
export class ChatTemplate {
  readonly #parsed: Template['parsed'];
  readonly #globals: Environment;
  readonly #place: string;

  /** Throws `tokenizer-invalid` for a text that is no template, or a longer one than is read. */
  constructor(source: string, { place, tokens, clock }: TemplateOptions) {
    this.#place = place;
    if (source.length > LIMITS.chatTemplateBytesMax) {
      throw this.#invalid(`has ${source.length} characters; at most ${LIMITS.chatTemplateBytesMax} are read`);
    }
    try {
      this.#parsed = new Template(source).parsed;
    } catch (error) {
      throw this.#invalid(`is not understood (${reasonOf(error)})`, error);
    }
    this.#globals = globalsOf(tokens, clock);
  }

  /**
   * The text of a conversation, up to where the assistant's answer begins. Throws `conversation-refused` when the template says
   * that it does not take such a one (two turns of one role, a system message), `prompt-too-long` when it makes too much of a long one,
   * `tokenizer-invalid` when it fails.
   */
  render(messages: readonly TemplateMessage[]): string {
    const scope = new Environment(this.#globals);
    // Copies, with nothing in them but what a template may see.
    scope.set(
      'messages',
      messages.map(({ role, content }) => ({ role, content })),
    );
    let text: unknown;
    try {
      text = new BoundedInterpreter(scope).run(this.#parsed).value;
    } catch (error) {
      if (error instanceof ExoError) throw error;
      const chars = messages.reduce((sum, { content }) => sum + content.length, 0);
      if (error instanceof TemplateBoundError && chars >= LONG_TEXT_CHARS) {
        const has = `${chars} characters, too many for the model’s chat template (${error.message})`;
        throw tooLong(has, undefined, { cause: error });
      }
      throw this.#invalid(`failed (${reasonOf(error)})`, error);
    }
    if (typeof text !== 'string') throw this.#invalid('made no text');
    return text;
  }

  #invalid(why: string, cause?: unknown): ExoError {
    return new ExoError(
      'tokenizer-invalid',
      `the chat template in ${printable(this.#place)} ${why}; take another version of the model, or put a template that works into chat_template.jinja`,
      cause === undefined ? {} : { cause },
    );
  }
}

/**
 * A conversation as plain lines, for models without a template: `role: text`, and the assistant's turn begun. Such a model
 * was not taught to converse; it goes on with a text that looks like this one.
 */
export function plainConversation(messages: readonly TemplateMessage[]): string {
  return `${messages.map(({ role, content }) => `${role}: ${content}\n`).join('')}assistant:`;
}

/** The names that transformers give to every template. */
function globalsOf(tokens: Readonly<Record<string, string>>, clock: Clock): Environment {
  const globals = new Environment();
  const values = {
    ...{ true: true, True: true, false: false, False: false, none: null, None: null },
    raise_exception: (message: unknown) => {
      throw new ExoError(
        'conversation-refused',
        `the model’s chat template does not take this conversation: ${printable(String(message))}`,
      );
    },
    range,
    strftime_now: (format: unknown) => strftime(String(format), new Date(clock.wall())),
    add_generation_prompt: true,
    // Not used, and told as Python's None: templates ask `is not none` of them.
    tools: null,
    documents: null,
  };
  for (const [name, value] of Object.entries({ ...tokens, ...values })) globals.set(name, value);
  return globals;
}

/** Python's, but bounded. */
function range(...numbers: readonly unknown[]): readonly number[] {
  const whole = numbers.filter((value): value is number => Number.isSafeInteger(value));
  const [from, to, step] = whole.length === 1 ? [0, whole[0]!, 1] : [whole[0]!, whole[1]!, whole[2] ?? 1];
  const count = Math.ceil((to - from) / step);
  if (whole.length === 0 || step === 0 || Number.isNaN(count)) throw new Error('range of no numbers');
  if (count > LIMITS.chatTemplateRangeMax) throw new Error(`range over ${count} numbers`);
  return Array.from({ length: Math.max(count, 0) }, (_, index) => from + index * step);
}

function reasonOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error), 120);
}
