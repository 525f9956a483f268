/**
 * Fields of a chat request that would change the answer and that this version does not have. They are refused by name: an
 * answer that silently does without them would look right. What changes nothing that a client reads (`user`, `metadata`, `store`,
 * `parallel_tool_calls`, …) is accepted and ignored, and so is every field here with the value that asks for nothing. Pure.
 */
import { HttpError } from './openai-errors.js';

/** Nothing is asked for. */
const isEmpty = (value: unknown): boolean =>
  value === null || value === undefined || value === false || value === '' || sizeOf(value) === 0;

const sizeOf = (value: unknown): number | undefined =>
  typeof value === 'object' && value !== null ? Object.keys(value).length : undefined;

const typeOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? (value as { readonly type?: unknown }).type : value;

interface Unsupported {
  readonly asksForNothing: (value: unknown, body: Fields) => boolean;
  /** What to do without it. */
  readonly instead: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** Of a client that switches tools off, and sends its list all the same. */
const areToolsOff = ({ tool_choice: tools, function_call: functions }: Fields) =>
  tools === 'none' || functions === 'none';
const isUnforced = (value: unknown) => isEmpty(value) || value === 'none' || value === 'auto';

const TOOLS = 'leave it out, and describe what you want in the messages';
const FORM = 'leave it out, and ask for the form that you want in the messages';
const TEMPLATE = 'leave it out; the model’s own chat template is used as it is';

const UNSUPPORTED: Readonly<Record<string, Unsupported>> = {
  tools: { asksForNothing: (value, body) => isEmpty(value) || areToolsOff(body), instead: TOOLS },
  tool_choice: { asksForNothing: isUnforced, instead: TOOLS },
  functions: { asksForNothing: (value, body) => isEmpty(value) || areToolsOff(body), instead: TOOLS },
  function_call: { asksForNothing: isUnforced, instead: TOOLS },
  response_format: {
    asksForNothing: (value) => isEmpty(value) || typeOf(value) === 'text',
    instead: 'leave it out or send {"type": "text"}, and ask for the form that you want in the messages',
  },
  n: {
    asksForNothing: (value) => !(Number.isInteger(value) && (value as number) > 1),
    instead: 'ask again for another answer; it must be 1',
  },
  best_of: { asksForNothing: (value) => isEmpty(value) || value === 1, instead: 'leave it out' },
  audio: { asksForNothing: isEmpty, instead: 'leave it out; answers are text' },
  modalities: {
    asksForNothing: (value) =>
      isEmpty(value) || (Array.isArray(value) && value.every((each) => each === 'text')),
    instead: 'leave it out or send ["text"]; answers are text',
  },
  web_search_options: {
    asksForNothing: (value) => value == null,
    instead: 'leave it out; nothing is looked up on the web',
  },
  // Of other servers of open models.
  grammar: { asksForNothing: isEmpty, instead: FORM },
  json_schema: { asksForNothing: isEmpty, instead: FORM },
  guided_json: { asksForNothing: isEmpty, instead: FORM },
  guided_regex: { asksForNothing: isEmpty, instead: FORM },
  guided_choice: { asksForNothing: isEmpty, instead: FORM },
  guided_grammar: { asksForNothing: isEmpty, instead: FORM },
  structured_outputs: { asksForNothing: isEmpty, instead: FORM },
  chat_template: { asksForNothing: isEmpty, instead: TEMPLATE },
  chat_template_kwargs: { asksForNothing: isEmpty, instead: TEMPLATE },
};

/** Of a message: what the model would not see. */
const UNSEEN = ['tool_calls', 'function_call', 'audio'] as const;

/** Throws `http-unsupported` (400, `unsupported_parameter`) for the first field that would change the answer. */
export function refuseUnsupported(body: Fields): void {
  for (const [name, { asksForNothing, instead }] of Object.entries(UNSUPPORTED)) {
    if (!Object.hasOwn(body, name) || asksForNothing(body[name], body)) continue;
    throw unsupported(name, instead);
  }
}

/** The same for one message. */
export function refuseUnseen(message: object, index: number): void {
  const unseen = UNSEEN.find((name) => !isEmpty((message as Fields)[name]));
  if (unseen === undefined) return;
  throw unsupported(`messages.${index}.${unseen}`, 'write what it says into "content"');
}

function unsupported(param: string, instead: string): HttpError {
  return new HttpError(
    'http-unsupported',
    `unsupported parameter: ${param} is not supported yet; ${instead}`,
    {
      param,
      status: 400,
      openaiCode: 'unsupported_parameter',
    },
  );
}
