/**
 * The messages of a conversation as clients send them, read one by one up to the first that is wrong: a schema over all of them
 * notes a fault for each, and a body of ninety thousand wrong ones kept the node for a third of a second. Not the rest of the
 * request (`chat-request.ts`), which calls this.
 */
import * as z from 'zod';
import type { ChatMessage } from '../inference/index.js';
import { printable } from '../shared/index.js';
import { HttpError } from './openai-errors.js';

// Other fields are not copied: there may be thousands.
const part = z.object(
  { type: z.string({ error: 'must be a string' }), text: z.string({ error: 'must be a string' }).optional() },
  { error: 'must be an object like {"type": "text", "text": "…"}' },
);

const message = z.object(
  {
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function'], {
      error: 'must be system, developer, user, assistant, tool or function',
    }),
    content: z
      .union([z.string(), z.array(z.unknown())], { error: 'must be a string or a list of text parts' })
      .nullish(),
  },
  { error: 'must be an object with "role" and "content"' },
);

/** Who may have said nothing: an assistant that called tools or was cut short, and a function that returned nothing. */
const MAY_BE_SILENT: ReadonlySet<string> = new Set(['assistant', 'function']);

/** The list, its messages not looked at. */
export const messageList = z
  .array(z.unknown(), { error: 'must be a list of messages, each with "role" and "content"' })
  .min(1, { error: 'must have at least one message' });

/**
 * Messages in the engine's form. Throws `http-invalid` for the first that has not the form of one, whose role needs content and
 * has none, or with parts that are not text.
 * @param check of each message that has the form of one; throws what else is wrong with it
 */
export function toMessages(
  messages: readonly unknown[],
  check: (message: object, index: number) => void = () => undefined,
): ChatMessage[] {
  return messages.map((each, index) => {
    const param = `messages.${index}`;
    const { role, content } = read(message, each, param);
    check(each as object, index);
    const isEmpty = content === null || content === undefined || content.length === 0;
    // An empty string is what its client wrote; anything else that is empty is a field that somebody forgot to fill.
    if (isEmpty && content !== '' && !MAY_BE_SILENT.has(role)) throw withoutContent(role, `${param}.content`);
    return {
      role: role === 'developer' ? 'system' : role === 'function' ? 'tool' : role,
      content: typeof content === 'string' ? content : joinParts(content ?? [], `${param}.content`),
    };
  });
}

function joinParts(parts: readonly unknown[], param: string): string {
  return parts.map((each, at) => textOf(each, `${param}.${at}`)).join('\n');
}

function textOf(value: unknown, param: string): string {
  const { type, text } = read(part, value, param);
  if (type === 'text' && text !== undefined) return text;
  const reason =
    type === 'text'
      ? 'a text part needs "text"'
      : `parts of type "${printable(type, 40)}" are not supported yet; send text parts only`;
  throw new HttpError('http-invalid', reason, { param });
}

function read<T>(schema: z.ZodType<T>, value: unknown, param: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = [param, ...(issue?.path ?? [])].join('.');
  const reason = printable(issue?.message ?? 'is not valid');
  throw new HttpError('http-invalid', `${place}: ${reason}`, { param: place });
}

function withoutContent(role: string, param: string): HttpError {
  return new HttpError(
    'http-invalid',
    `${param}: a message of role ${role} needs content: a string, or a list of at least one text part`,
    { param },
  );
}
