/** A client of the chat endpoint that reads its stream piece by piece and notes when each came. Judges nothing. */

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

/** Asks, and reads the stream to its end. Rejects where the connection breaks or the time is over. */
export async function askStream(api: string, question: ChatQuestion): Promise<StreamedAnswer> {
  const { model, prompt, body, timeoutMs = 60_000, signal, onPiece } = question;
  const deadline = AbortSignal.timeout(timeoutMs);
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      messages: [{ role: 'user', content: prompt }],
      stream: true,
      stream_options: { include_usage: true },
      ...body,
    }),
    signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
  });
  const pieces: ChatPiece[] = [];
  if (response.status !== 200) {
    const { error } = (await response.json()) as Chunk;
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

async function* events(response: Response): AsyncGenerator<string> {
  // Not through a TransformStream: where the body is aborted, its reader may wait for ever.
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of response.body!) {
    const whole = (rest + decoder.decode(bytes as Uint8Array, { stream: true })).split('\n\n');
    rest = whole.pop() ?? '';
    for (const event of whole) if (event.startsWith('data: ')) yield event.slice('data: '.length);
  }
}
