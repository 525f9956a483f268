/** A client of the chat endpoint that reads its stream piece by piece and notes when each came. Judges nothing. */
import { once } from 'node:events';
import http from 'node:http';

/** One piece of an answer. */
export interface ChatPiece {
  readonly text: string;
  /** `performance.now()` when it was read. */
  readonly atMs: number;
  /**
   * The two best tokens of the closest choice since the piece before, as the difference of their log probabilities; only where the
   * body asks for `top_logprobs`.
   */
  readonly tie?: number;
}

/** How a streamed answer went. */
export interface StreamedAnswer {
  /** Pieces with text, in order. */
  readonly pieces: readonly ChatPiece[];
  readonly text: string;
  /** `data: [DONE]` has come. */
  readonly isDone: boolean;
  /** `stop` or `length`; absent where the answer was not finished. */
  readonly finishReason?: string;
  /** What the endpoint said went wrong. */
  readonly error?: { readonly code: string; readonly message: string };
  /** Tokens, the last one included; absent where the answer was not finished. */
  readonly completionTokens?: number;
}

/** A question. */
export interface ChatQuestion {
  readonly model: string;
  readonly prompt: string;
  /** More fields of the body: `temperature`, `seed`, `max_tokens`, … */
  readonly body?: Readonly<Record<string, unknown>>;
  /** After which it is given up, and this rejects with a `TimeoutError`. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Told after each piece how many have come. */
  readonly onPiece?: (count: number) => void;
}

interface Chunk {
  readonly choices?: ReadonlyArray<{
    readonly delta: { readonly content?: string };
    readonly finish_reason: string | null;
    readonly logprobs?: {
      readonly content: ReadonlyArray<{ readonly top_logprobs: ReadonlyArray<{ readonly logprob: number }> }>;
    } | null;
  }>;
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Asks, and reads the stream to its end. Rejects where the connection breaks, the time is over, or its signal is aborted. */
export async function askStream(api: string, question: ChatQuestion): Promise<StreamedAnswer> {
  const { model, prompt, body, timeoutMs = 60_000, signal } = question;
  signal?.throwIfAborted();
  const text = JSON.stringify({
    model,
    messages: [{ role: 'user', content: prompt }],
    stream: true,
    stream_options: { include_usage: true },
    ...body,
  });
  // Not by `fetch`: with a signal that is aborted in the middle of a body it leaves its reader waiting for ever, once in thousands.
  const request = http.request(`${api}/v1/chat/completions`, {
    method: 'POST',
    agent: false,
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
  });
  let why: Error | undefined;
  const giveUp = (error: Error) => {
    why ??= error;
    request.destroy(why);
  };
  const onAbort = () => giveUp(signal?.reason as Error);
  const timer = setTimeout(() => giveUp(new DOMException('no end in time', 'TimeoutError')), timeoutMs);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    request.end(text);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    // What breaks later is told by the reader.
    request.on('error', () => undefined);
    return await readAnswer(response, question);
  } catch (error) {
    throw why ?? error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    request.destroy();
  }
}

async function readAnswer(
  response: http.IncomingMessage,
  { onPiece }: ChatQuestion,
): Promise<StreamedAnswer> {
  const pieces: ChatPiece[] = [];
  if (response.statusCode !== 200) {
    let text = '';
    for await (const bytes of response.setEncoding('utf8')) text += bytes as string;
    const { error } = JSON.parse(text) as Chunk;
    return { pieces, text: '', isDone: false, ...(error === undefined ? {} : { error }) };
  }
  const answer: { -readonly [Key in keyof StreamedAnswer]: StreamedAnswer[Key] } = {
    pieces,
    text: '',
    isDone: false,
  };
  let tie = Number.POSITIVE_INFINITY;
  for await (const data of events(response)) {
    if (data === '[DONE]') {
      answer.isDone = true;
      continue;
    }
    const { choices, usage, error } = JSON.parse(data) as Chunk;
    if (error !== undefined) answer.error = error;
    if (usage) answer.completionTokens = usage.completion_tokens;
    const choice = choices?.[0];
    if (choice?.finish_reason) answer.finishReason = choice.finish_reason;
    for (const { top_logprobs: top } of choice?.logprobs?.content ?? []) {
      if (top.length > 1) tie = Math.min(tie, top[0]!.logprob - top[1]!.logprob);
    }
    const text = choice?.delta.content ?? '';
    if (text === '') continue;
    pieces.push({ text, atMs: performance.now(), ...(Number.isFinite(tie) ? { tie } : {}) });
    tie = Number.POSITIVE_INFINITY;
    answer.text += text;
    onPiece?.(pieces.length);
  }
  return answer;
}

async function* events(response: http.IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  for await (const text of response.setEncoding('utf8')) {
    const whole = (rest + (text as string)).split('\n\n');
    rest = whole.pop() ?? '';
    for (const event of whole) if (event.startsWith('data: ')) yield event.slice('data: '.length);
  }
}
