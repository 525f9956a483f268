/**
 * POST /v1/chat/completions, whole and streamed, and POST /v1/chat/token/encode. From here a prompt goes to
 * `inference/generation` through the chat service.
 */
import type { GeneratedLogprobs } from '../inference/index.js';
import { ExoError, LIMITS, waitAtMost } from '../shared/index.js';
import { readAnswer } from './answer.js';
import { readJsonBody } from './body.js';
import { toMessages } from './chat-messages.js';
import { askedModel, type ChatCall, chatBody, encodeBody, toChatCall } from './chat-request.js';
import { type CompletionHead, chunk, completion, usageChunk } from './chat-shapes.js';
import { errorAnswer } from './openai-errors.js';
import type { Generation } from './ports.js';
import type { ApiContext, ApiRequest, Route } from './route.js';
import { SSE_HEADERS, SseStream } from './sse.js';
import { WorkScope } from './work-scope.js';

/** The chat endpoints. */
export function chatRoutes(api: ApiContext): Route[] {
  return [
    {
      method: 'POST',
      paths: ['/v1/chat/completions', '/chat/completions'],
      access: 'local',
      handle: (request) => complete(api, request),
    },
    {
      method: 'POST',
      paths: ['/v1/chat/token/encode', '/chat/token/encode'],
      access: 'local',
      handle: (request) => encode(api, request),
    },
  ];
}

async function complete(api: ApiContext, request: ApiRequest): Promise<Response> {
  const { incoming, outgoing } = request.env;
  const body = await readJsonBody(incoming, chatBody, LIMITS.httpChatBodyBytesMax);
  const call = toChatCall(body, api);
  const scope = new WorkScope(api, outgoing);
  try {
    const started = scope.race(
      api.chat.start({
        model: call.model,
        messages: call.messages,
        ...call.sampling,
        ...(call.maxTokens === undefined ? {} : { maxTokens: call.maxTokens }),
        ...(call.placement === undefined ? {} : { placement: call.placement }),
        signal: scope.signal,
      }),
    );
    if (call.stream) return await stream(api, request, call, scope, started);
    const generation = await started;
    let content = '';
    const logprobs: GeneratedLogprobs[] = [];
    const end = await readAnswer(generation, call.stops, scope, (piece) => {
      content += piece.text;
      logprobs.push(...piece.logprobs);
    });
    scope.end();
    const answer = { content, logprobs: logprobsOf(call, logprobs) };
    const top = head(api, call, generation);
    return request.json(completion(top, answer, end.finishReason, end.usage, generation.plan));
  } catch (error) {
    scope.end();
    throw error;
  }
}

/**
 * Answers with an event stream. A generation that is refused soon is still an HTTP error (it throws); after that
 * the headers are out, before the prompt has been processed, and an error is an event.
 */
async function stream(
  api: ApiContext,
  request: ApiRequest,
  call: ChatCall,
  scope: WorkScope,
  started: Promise<Generation>,
): Promise<Response> {
  await waitAtMost(api.clock, LIMITS.httpAcceptMs, started);
  const events = new SseStream(api.clock, request.env.outgoing, () =>
    scope.cancel(new ExoError('request-cancelled', 'the client left before the answer was complete')),
  );
  void pump(api, call, scope, started, events);
  return new Response(events.body, { headers: SSE_HEADERS });
}

async function pump(
  api: ApiContext,
  call: ChatCall,
  scope: WorkScope,
  started: Promise<Generation>,
  events: SseStream,
): Promise<void> {
  try {
    const generation = await started;
    const top = head(api, call, generation);
    await events.send(chunk(top, { role: 'assistant', content: '' }, null));
    const end = await readAnswer(generation, call.stops, scope, ({ text, logprobs }) =>
      events.send(chunk(top, { content: text }, null, logprobsOf(call, logprobs))),
    );
    await events.send(chunk(top, {}, end.finishReason, null, generation.plan));
    if (call.includeUsage) await events.send(usageChunk(top, end.usage));
  } catch (error) {
    const answer = errorAnswer(error);
    if (events.open) api.log.warn('chat-stream-failed', { error: answer.body.error.message });
    void events.send(answer.body);
  } finally {
    scope.end();
    void events.send('[DONE]');
    events.close();
  }
}

/** Null where they were not asked for. */
function logprobsOf(
  call: ChatCall,
  logprobs: readonly GeneratedLogprobs[],
): readonly GeneratedLogprobs[] | null {
  return call.sampling.logprobs === undefined ? null : logprobs;
}

async function encode(api: ApiContext, request: ApiRequest): Promise<Response> {
  const body = await readJsonBody(request.env.incoming, encodeBody, LIMITS.httpChatBodyBytesMax);
  const model = askedModel(body.model, api.chat);
  const messages = toMessages(body.messages);
  const scope = new WorkScope(api, request.env.outgoing);
  try {
    const { prompt, tokens } = await scope.race(api.chat.encode(model, messages, scope.signal));
    return request.json({
      length: prompt.length,
      num_tokens: tokens.length,
      encoded_tokens: tokens,
      encoded_prompt: prompt,
    });
  } finally {
    scope.end();
  }
}

function head(api: ApiContext, call: ChatCall, generation: Generation): CompletionHead {
  return {
    requestId: generation.requestId,
    createdSeconds: Math.floor(api.clock.wall() / 1000),
    model: generation.model,
    version: api.mesh.self().version,
    isExtended: call.isExtended,
  };
}
