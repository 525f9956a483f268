/**
 * POST /v1/download: fetches a model for a client that waits (`exo model pull`), and tells how far it is as events. The download ends
 * when the client leaves, unless somebody else wants it.
 */
import * as z from 'zod';
import { ExoError, LIMITS, untilAnyAborted, waitAtMost } from '../shared/index.js';
import { readJsonBody } from './body.js';
import { errorAnswer, HttpError } from './openai-errors.js';
import type { PullProgress } from './ports.js';
import type { ApiContext, ApiRequest, Route } from './route.js';
import { SSE_HEADERS, SseStream } from './sse.js';

const layer = z.int().min(0).max(LIMITS.modelLayersMax);
const text = z.string().min(1, { error: 'must not be empty' }).max(LIMITS.httpPathCharsMax);
const pullBody = z.looseObject(
  {
    model: text.max(LIMITS.modelIdCharsMax, { error: `at most ${LIMITS.modelIdCharsMax} characters` }),
    layers: z
      .tuple([layer, layer], { error: 'must be [first, last]' })
      .refine(([from, to]) => from <= to, { error: 'must be [first, last], the first not above the last' })
      .optional(),
    directory: text.optional(),
    endpoint: text.optional(),
  },
  { error: 'must be a JSON object' },
);

/** `/v1/download`. */
export function pullRoutes(api: ApiContext): Route[] {
  return [
    { method: 'POST', paths: ['/v1/download'], access: 'trusted', handle: (request) => pull(api, request) },
  ];
}

/** What is refused soon is an HTTP error; after that an error is an event. */
async function pull(api: ApiContext, request: ApiRequest): Promise<Response> {
  const { incoming, outgoing } = request.env;
  const body = await readJsonBody(incoming, pullBody, LIMITS.httpSmallBodyBytesMax);
  if (api.downloads === undefined) {
    throw new HttpError('http-unsupported', 'the models of this node have no files');
  }
  const left = new AbortController();
  const leave = () => left.abort(new ExoError('request-cancelled', 'the client left before the end'));
  outgoing.once('close', leave);
  let events: SseStream | undefined;
  const onProgress = (progress: PullProgress): void => {
    if (events?.hasRoom !== true) return;
    void events.send({
      progress: {
        ...figures(progress),
        bytes_per_s: progress.bytesPerSecond,
        eta_s: progress.etaSeconds,
        waiting: progress.files.some(({ isWaiting }) => isWaiting),
      },
    });
  };
  const { downloads } = api;
  const work = untilAnyAborted([api.stopping, left.signal], (signal) =>
    downloads.pull(body, onProgress, signal),
  );
  await waitAtMost(api.clock, LIMITS.httpAcceptMs, work);
  events = new SseStream(api.clock, outgoing, leave);
  void pump(work, events).finally(() => outgoing.off('close', leave));
  return new Response(events.body, { headers: SSE_HEADERS });
}

async function pump(
  work: ReturnType<NonNullable<ApiContext['downloads']>['pull']>,
  events: SseStream,
): Promise<void> {
  try {
    const { progress, ...pulled } = await work;
    void events.send({
      done: { ...pulled, progress: progress === undefined ? null : doneJson(progress) },
    });
  } catch (error) {
    void events.send(errorAnswer(error).body);
  } finally {
    events.close();
  }
}

function figures(progress: PullProgress) {
  return {
    downloaded_bytes: progress.downloadedBytes,
    fetched_bytes: progress.downloadedBytesThisSession,
    total_bytes: progress.totalBytes,
  };
}

function doneJson(progress: PullProgress) {
  const files = progress.files.map((file) => ({
    path: file.path,
    bytes: file.totalBytes,
    fetched_bytes: file.downloadedBytesThisSession,
  }));
  return { ...figures(progress), files };
}
